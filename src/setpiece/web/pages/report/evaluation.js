/** The Evaluation chapter: the page of `setpiece eval --report`, in the report. */

import { html } from "../base/dom.js";
import * as EvaluationView from "../base/evaluation/evaluation_view.js";

/**
 * Fill an element with the chapter.
 * @param {Payload} payload
 */
export function mount(element, payload) {
  const evaluation = /** @type {Evaluated} */ (payload.evaluation);
  const sentence = html("p.lead", { "data-role": "sentence" }, evaluation.sentence);
  element.append(html("div", html("h2", "Evaluation"), sentence));
  EvaluationView.mount(element, evaluation);
}
