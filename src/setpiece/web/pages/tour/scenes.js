/** The drawn scenes of the tour: looking at one, and choosing among its queries. */

import { format, html } from "../base/dom.js";
import * as Picture from "../base/picture.js";
import * as Scene from "../base/scene.js";
import * as State from "../base/state.js";

/**
 * Where the tour looks: an image's last layer, under the criterion of the payload.
 * @param {Payload} payload
 */
function place(payload, image) {
  return { image, layer: payload.layers.length - 1, criterion: payload.criterion };
}

/**
 * All that is computed of an image there.
 * @param {Payload} payload
 */
export function scene(payload, image) {
  return Scene.of(payload, place(payload, image));
}

/**
 * A state of its own that looks there, for a view. Escape lets go of a pair.
 * @param {Payload} payload
 */
export function state(payload, image) {
  const nothing = { target: null, query: null, pinned: false };
  const made = State.create({ ...place(payload, image), ...nothing });
  document.addEventListener("keydown", (event) => event.key === "Escape" && made.set(nothing));
  return made;
}

/**
 * Integers as Python encodes them.
 * @returns {Encoded}
 */
export function integers(values) {
  const bytes = new Uint8Array(Int32Array.from(values).buffer);
  return { shape: [values.length], dtype: "i4", data: btoa(String.fromCharCode(...bytes)) };
}

/** Numbers in a random order in which none keeps its place (Sattolo 1986). */
export function shuffled(numbers) {
  const order = [...numbers];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * last);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

/**
 * "2 star 0.93": a query, its likeliest class and how sure it is of it.
 * @param {Scene} scene
 */
export function says(scene, query) {
  const { name, score } = scene.best(query);
  return `${scene.number(query)} ${name} ${format(score, 2)}`;
}

/**
 * Choosing queries of a picture as the control of a question; the answer is their sorted indices.
 * @param {{payload: object, image: number, label: string, one?: boolean, target?: number}} options `one`: only one
 *   can be chosen; `target`: the only object to show
 */
export function picker({ payload, image, label, one = false, target }) {
  const control = /** @type {Control} */ ({});
  const look = state(payload, image);
  const { queries, targets } = scene(payload, image);
  const chosen = new Set();
  const picture = Picture.create({
    payload,
    state: look,
    label,
    match: () => targets.map(() => -1),
    only: () => (target === undefined ? targets : [target]),
    idle: () => queries,
  });
  const chips = queries.map((query) =>
    html(
      "button.chip",
      {
        type: "button",
        "data-role": "pick",
        "data-query": query,
        onclick: () => toggle(query),
        onpointerenter: () => look.set({ query }),
        onpointerleave: () => look.set({ query: null }),
        onfocus: () => look.set({ query }),
        onblur: () => look.set({ query: null }),
      },
      says(scene(payload, image), query),
    ),
  );
  function paint() {
    chips.forEach((chip, query) => chip.setAttribute("aria-pressed", chosen.has(query)));
  }
  function toggle(query) {
    const had = chosen.has(query);
    if (one) chosen.clear();
    if (had) chosen.delete(query);
    else chosen.add(query);
    paint();
    control.onchange();
  }
  look.on((changed) => {
    if (!changed.has("pinned") || !look.pinned) return; // a click on a box of the picture
    const { query } = look;
    look.set({ pinned: false });
    if (query !== null && query >= 0) toggle(query);
  });
  paint();
  control.element = html("div.tour-stack", picture.element, html("div.chips", chips));
  control.value = () => (chosen.size ? [...chosen].sort((a, b) => a - b) : null);
  control.show = (queries) => {
    chosen.clear();
    for (const query of queries) chosen.add(query);
    paint();
  };
  return control;
}
