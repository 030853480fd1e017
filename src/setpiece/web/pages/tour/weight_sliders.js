/** The weights of the matching cost as the control of a question. */

import * as Controls from "../base/controls.js";
import { html, prose } from "../base/dom.js";
import * as Loss from "../base/loss.js";

const SIGNS = { class: "λ<sub>class</sub>", l1: "λ<sub>L1</sub>", giou: "λ<sub>GIoU</sub>" };

/**
 * A slider for each λ; the answer is the weights.
 * @param {Payload} payload
 * @param {(weights: Terms) => string} onshow what to say of the weights
 */
export function control(payload, onshow) {
  const control = /** @type {Control} */ ({});
  const weights = { ...payload.criterion.cost_weights };
  let moved = false;
  const told = html("p.tour-status");
  const sliders = Loss.TERMS.map((term) =>
    Controls.slider({
      label: prose(`<span class="term-${term}">${SIGNS[term]}</span>`),
      role: `weight-${term}`,
      min: 0,
      max: 10,
      step: 0.1,
      value: weights[term],
      write: (value) => value.toFixed(1),
      oninput: (value) => {
        weights[term] = value;
        moved = true;
        update();
        control.onchange();
      },
    }),
  );
  const update = () => (told.textContent = onshow(weights));
  update();
  control.element = html(
    "div.tour-stack",
    sliders.map((slider) => slider.element),
    told,
  );
  control.value = () => (moved ? { ...weights } : null);
  control.show = (next) => {
    Object.assign(weights, next);
    moved = true;
    Loss.TERMS.forEach((term, i) => sliders[i].show(weights[term]));
    update();
  };
  return control;
}
