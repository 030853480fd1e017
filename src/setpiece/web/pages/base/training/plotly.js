/** Plotly takes most of a second to start. It lies in the page as text and starts when the first chart asks for it. */

import { html } from "../dom.js";

/** @returns {any} the library */
export function plotly() {
  if (!window.Plotly) {
    const source = /** @type {HTMLElement} */ (document.getElementById("plotly"));
    document.head.append(html("script", source.textContent));
  }
  return window.Plotly;
}
