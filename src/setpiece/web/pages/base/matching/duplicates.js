/** Confident predictions without a target that lie over a matched one, with the reason that they lost. */

import { format, html } from "../dom.js";
import * as Scene from "../scene.js";
import * as State from "../state.js";

/** @returns {{element: HTMLElement, draw: function()}} */
export function create({ payload, state }) {
  const list = html("div.stack.tight");
  const hint =
    "Confident predictions that overlap a matched one of the same class, and why the matching did not choose them.";
  const element = html(
    "div.panel",
    { "data-role": "duplicates" },
    html("h3", "Duplicates"),
    html("p.hint", hint),
    list,
  );

  function draw() {
    const scene = Scene.of(payload, state);
    const found = scene.image.duplicates.filter(({ layer }) => layer === state.layer);
    element.hidden = !found.length;
    list.replaceChildren(...found.map((one) => line(scene, one)));
  }

  function line(scene, { target, query, matched_query, score, iou, reason }) {
    const over = `over query ${scene.number(matched_query)} of target ${target} (IoU ${format(iou, 2)})`;
    return html(
      "button.line",
      { type: "button", "data-role": "duplicate", onclick: () => State.pin(state, target, query) },
      html("b", `Query ${scene.number(query)}`),
      `, probability ${format(score, 2)}, ${over}. ${reason}`,
    );
  }
  return { element, draw };
}
