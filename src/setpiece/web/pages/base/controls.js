/** The few controls that several views have. */

import { button, format, html } from "./dom.js";
import * as Scene from "./scene.js";

let count = 0;

/**
 * A labelled slider with its value beside it.
 * @returns {{element: HTMLElement, show: function(number | null)}} `show` sets it from outside
 */
export function slider({ label, role, min, max, step, value, write = (x) => format(x, 2), oninput }) {
  const id = `slider-${(count += 1)}`;
  const output = html("output", { for: id });
  const input = html("input", { id, type: "range", min, max, step, "data-role": role });
  const say = (text) => {
    output.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  const show = (now) => {
    input.value = now;
    say(write(now)); // not what the slider rounds it to
  };
  input.addEventListener("input", () => {
    say(write(Number(input.value)));
    oninput(Number(input.value));
  });
  show(value);
  return { element: html("div.control", html("label", { for: id }, label), input, output), show };
}

/**
 * The slider over a model's prediction sets; null where there is only one.
 * @param {Payload} payload
 * @param {PageState} state
 */
export function layer(payload, state) {
  if (payload.layers.length < 2) return null;
  const { element, show } = slider({
    label: "Decoder layer",
    role: "layer",
    min: 0,
    max: payload.layers.length - 1,
    step: 1,
    value: state.layer,
    write: (index) => payload.layers[index],
    oninput: (index) => Scene.toLayer(payload, state, index),
  });
  state.on((changed) => changed.has("layer") && show(state.layer));
  return element;
}

/** Buttons of which one is pressed; options are [key, text]. */
export function choice({ label, role, options, value, onchange }) {
  const press = (key) => {
    mark(key);
    onchange(key);
  };
  const chips = options.map(([key, text]) => button(text, `${role}-${key}`, () => press(key), { class: "chip" }));
  const mark = (pressed) =>
    chips.forEach((chip, i) => chip.setAttribute("aria-pressed", String(options[i][0] === pressed)));
  mark(value);
  return html("div.control", { role: "group", "aria-label": label }, html("span.label", label), chips);
}

/** A colour and what it means. */
export function key(name, text) {
  return html("span.key", html("i", { style: { "--mark": `var(--${name})` } }), text);
}

/**
 * A sentence while the weights are not those of the model, and the way back.
 * @param {Payload} payload
 * @param {PageState} state
 */
export function changedWeights(payload, state) {
  const back = button("Use the weights of the model", "own-weights", () => state.set({ criterion: payload.criterion }));
  const text = "You changed the weights in the Loss chapter. Match and costs are computed with the changed weights.";
  const element = html("div.panel.missing.controls", { "data-role": "changed-weights" }, html("span", text), back);
  const update = () => (element.hidden = state.criterion === payload.criterion);
  state.on((changed) => changed.has("criterion") && update());
  update();
  return element;
}
