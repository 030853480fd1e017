/** The page of an evaluation. */

import * as Data from "../base/data.js";
import { html } from "../base/dom.js";
import * as EvaluationView from "../base/evaluation/evaluation_view.js";

/** Build the page from the payload in it. */
function start() {
  const payload = Data.evaluated();
  const main = /** @type {HTMLElement} */ (document.getElementById("page"));
  main.classList.add("chapter");
  const sentence = html("p.hint", { "data-role": "sentence" }, payload.sentence);
  main.before(html("header.page-header", html("h1", payload.title), sentence));
  EvaluationView.mount(main, payload);
}

start();
