/** Asking the server, and the words for an answer that is none. */

const PATIENCE = 20_000; // milliseconds

/**
 * What the server answers, as JSON.
 * @param {"GET" | "PUT" | "POST"} method
 * @param {string} path from the page, as "api/state"
 * @param {object | null} [body]
 * @param {number} [patience] milliseconds
 * @throws {Error} a sentence, with the `status` of the answer (0 where there is none) and its `body`
 */
export async function ask(method, path, body = null, patience = PATIENCE) {
  const headers = new Headers({ Accept: "application/json" });
  if (method !== "GET") headers.set("X-Setpiece", "label");
  if (body) headers.set("Content-Type", "application/json");
  const answer = await fetch(path, {
    method,
    headers,
    body: body && JSON.stringify(body),
    cache: "no-store",
    signal: AbortSignal.timeout(patience),
  }).catch(() => {
    throw refusal("The server cannot be reached.", 0, null);
  });
  const said = await answer.json().catch(() => null);
  if (answer.ok && said !== null) return said;
  throw refusal(said?.detail ?? `The server answers ${answer.status}.`, answer.status, said);
}

function refusal(sentence, status, body) {
  return Object.assign(new Error(sentence), { status, body });
}
