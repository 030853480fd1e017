/** The server that this page is from: it detects, at `POST /v1/detect`. */

import { html } from "../base/dom.js";

/** The cause of an error that ends when the token is typed. */
export const TOKEN = "token";

/**
 * @param {DetectPayload} payload
 * @param {number} least score of what is asked for; the page itself hides what is below its threshold
 * @returns {Detects & {controls: HTMLElement | null}}
 */
export function create({ server, classes }, least) {
  if (!server) throw new Error("this page has no server");
  const address = new URL(server.path, document.baseURI);
  const token = server.token
    ? html("input", { type: "password", id: "token", autocomplete: "off", "data-role": "token" })
    : null;

  async function detect(image) {
    if (token && !token.value) throw new Error("Type the token above first", { cause: TOKEN });
    const body = await image.blob();
    const headers = new Headers({ "Content-Type": body.type || "application/octet-stream" });
    if (token) headers.set("Authorization", `Bearer ${token.value}`);
    const start = performance.now();
    const answer = await fetch(`${address}?threshold=${least}`, { method: "POST", body, headers }).catch(() => {
      throw new Error("the server cannot be reached");
    });
    const said = await answer.json().catch(() => ({}));
    if (answer.status === 401) throw new Error("The token is wrong: type the right one above", { cause: TOKEN });
    if (!answer.ok) throw new Error(said.detail ?? `the server answers ${answer.status}`);
    const detections = said.detections.map(({ box, score, class: name }) => ({ label: classes.indexOf(name), score, box }));
    return { detections, milliseconds: performance.now() - start, notes: said.notes };
  }
  const controls = token && html("div.control", html("label", { for: "token" }, "Token of the server"), token);
  return { detect, controls };
}

/**
 * The line that does the same in a shell.
 * @param {{path: string, token: boolean}} server
 */
export function inShell({ path, token }, threshold) {
  const header = token ? " -H 'Authorization: Bearer TOKEN'" : "";
  return `curl${header} -F image=@photo.jpg '${new URL(path, document.baseURI)}?threshold=${threshold}'`;
}
