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
  const answer = await answered(path, { method, headers, body: body && JSON.stringify(body) }, patience);
  const said = await answer.json().catch(() => null);
  if (said !== null) return said;
  throw refusal(`The server answers ${answer.status}.`, answer.status, null);
}

/**
 * A file of the server, with the name that it gives it.
 * @param {string} path from the page
 * @param {number} patience milliseconds
 * @throws {Error} as `ask` does
 */
export async function file(path, patience) {
  const answer = await answered(path, {}, patience);
  const [, name] = /filename\*?=(?:utf-8''|")([^"]+)/i.exec(answer.headers.get("Content-Disposition") ?? "") ?? [];
  const content = await answer.blob().catch(() => {
    throw refusal("The server cannot be reached.", 0, null);
  });
  return { name: decodeURIComponent(name ?? ""), content };
}

/** An answer that is no refusal. */
async function answered(path, options, patience) {
  const signal = AbortSignal.timeout(patience);
  const answer = await fetch(path, { ...options, cache: "no-store", signal }).catch(() => {
    throw refusal("The server cannot be reached.", 0, null);
  });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => null);
  throw refusal(said?.detail ?? `The server answers ${answer.status}.`, answer.status, said);
}

function refusal(sentence, status, body) {
  return Object.assign(new Error(sentence), { status, body });
}
