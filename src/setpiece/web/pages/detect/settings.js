/** Which detections are shown: those of a class that is on, from a threshold on. Nothing is detected anew for it. */

import * as Controls from "../base/controls.js";
import { button, format, html } from "../base/dom.js";
import { COLOURS } from "./shown.js";

export const LEAST = 0.01; // the lowest threshold; of what is below, a model gives hundreds

/**
 * @param {DetectPayload} payload
 * @param {DetectState} state
 * @returns {{element: HTMLElement, count: function(Detection[]): void}} `count` says how many of each class there are
 */
export function create({ classes, thresholds }, state) {
  const slider = Controls.slider({
    label: "Threshold",
    role: "threshold",
    min: LEAST,
    max: 1,
    step: 0.01,
    value: state.threshold,
    oninput: (threshold) => state.set({ threshold, own: false }),
  });
  const own = thresholds
    ? button("Thresholds of the model", "own", () => state.set({ own: !state.own }), {
        title: "The thresholds that gave the best F1 on the validation images",
      })
    : null;
  const counts = classes.map(() => html("span.number"));
  const chips = classes.map((name, label) => chip(name, label, counts[label], state));
  const all = button("All", "all", () => state.set({ hidden: new Set() }), { class: "chip" });
  const none = button("None", "none", () => state.set({ hidden: new Set(classes.keys()) }), { class: "chip" });

  function update() {
    own?.setAttribute("aria-pressed", String(state.own));
    chips.forEach((one, label) => {
      one.setAttribute("aria-pressed", String(!state.hidden.has(label)));
      one.title = `Shown from ${format(threshold(state, thresholds, label), 2)} on`;
    });
  }
  state.on(update);
  update();
  const element = html(
    "div.stack.tight",
    html("div.controls", slider.element, own),
    html("div.chips", { role: "group", "aria-label": "Classes that are shown" }, all, none, chips),
  );
  const count = (detections) =>
    counts.forEach((one, label) => (one.textContent = String(detections.filter((each) => each.label === label).length)));
  return { element, count };
}

function chip(name, label, count, state) {
  const toggle = () => {
    const hidden = new Set(state.hidden);
    if (!hidden.delete(label)) hidden.add(label);
    state.set({ hidden });
  };
  const mark = html(`i.colour-${label % COLOURS}`);
  return html("button.chip.detect-class", { type: "button", "data-class": name, onclick: toggle }, mark, name, count);
}

/** The least score of a class that is shown. */
export function threshold(state, thresholds, label) {
  return state.own && thresholds ? thresholds[label] : state.threshold;
}

/**
 * The detections that are shown.
 * @param {DetectState} state
 * @param {number[] | null} thresholds of the model
 * @param {Detection[]} detections
 */
export function visible(state, thresholds, detections) {
  return detections.filter(
    ({ label, score }) => !state.hidden.has(label) && score >= threshold(state, thresholds, label),
  );
}
