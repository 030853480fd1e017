/** How a box is drawn on the stage: in the colour of its class and with its name; dashed while it is a suggestion. */

import { svg } from "../base/dom.js";

const COLOURS = 8; // see label.css
const TAG = 18; // CSS pixels that a tag is high
const ROOM = 0.8; // of its tag's width that a box is wide, or it shows the number of its class alone
const GRIP = 9; // CSS pixels
const SIDES = [["left", "top"], ["top"], ["right", "top"], ["right"], ["right", "bottom"], ["bottom"], ["left", "bottom"], ["left"]];
const widths = new Map();
const ruler = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(1, 1).getContext("2d"));
ruler.font = "600 12px system-ui, sans-serif";

/** @typedef {{x: number, y: number, width: number, height: number}} Frame */
/** @typedef {{element: SVGElement, of: string, index: number, place: (frame: Frame, room: {width: number, height: number}) => void}} Mark */

/** The colour of a class, as a class of CSS. */
export const colour = (label) => `label-colour-${label % COLOURS}`;

/** CSS pixels that a text is wide, about. */
function widthOf(text) {
  if (!widths.has(text)) widths.set(text, Math.ceil(ruler.measureText(text).width * 1.06) + 10);
  return widths.get(text);
}

function put(shape, frame) {
  for (const [name, value] of Object.entries(frame)) shape.setAttribute(name, value);
}

/**
 * A label, or a suggestion with its confidence.
 * @param {LabelAt} at
 * @param {LabelBox & {score?: number}} labelled
 * @param {string} name of its class
 * @param {boolean} chosen
 * @returns {Mark}
 */
export function box({ of, index }, { class: label, score }, name, chosen) {
  const halo = svg("rect.halo");
  const line = svg("rect.box");
  const ground = svg("rect", { height: TAG, rx: 3 });
  const text = svg("text", { x: 5, y: 13 });
  const tag = svg("g.label-tag", ground, text);
  const kind = of === "suggestions" ? "suggested" : "labelled";
  const element = svg(
    "g",
    {
      class: `label-mark ${kind} ${colour(label)}${chosen ? " chosen" : ""}`,
      "data-role": kind,
      "data-index": index,
      "data-class": label,
    },
    halo,
    line,
    tag,
  );
  const whole = score === undefined ? name : `${name} ${percent(score)}`;
  const short = `${label + 1}`;

  function place(frame, room) {
    put(halo, frame);
    put(line, frame);
    const words = chosen || frame.width > ROOM * widthOf(whole) ? whole : short;
    const wide = widthOf(words);
    const x = Math.max(0, Math.min(frame.x - 1, room.width - wide));
    const y = kind === "suggested" ? frame.y + frame.height : frame.y - TAG;
    if (text.textContent !== words) text.textContent = words;
    ground.setAttribute("width", wide);
    tag.setAttribute("transform", `translate(${x} ${Math.max(0, Math.min(y, room.height - TAG))})`);
  }
  return { element, of, index, place };
}

/** A score for reading. */
export function percent(score) {
  return `${Math.round(100 * score)} %`;
}

/** The handles of the box in hand. */
export function handles() {
  const grips = SIDES.map((sides) => svg("rect.label-grip", { width: GRIP, height: GRIP, rx: 2, "data-sides": sides.join("-") }));
  const element = svg("g.label-grips", { "data-role": "grips" }, grips);

  /** @param {Frame} frame */
  function place(frame) {
    const small = Math.min(frame.width, frame.height) < 4 * GRIP; // corners alone
    grips.forEach((grip, i) => {
      const sides = SIDES[i];
      const x = sides.includes("left") ? 0 : sides.includes("right") ? 1 : 0.5;
      const y = sides.includes("top") ? 0 : sides.includes("bottom") ? 1 : 0.5;
      grip.setAttribute("x", frame.x + x * frame.width - GRIP / 2);
      grip.setAttribute("y", frame.y + y * frame.height - GRIP / 2);
      grip.style.display = small && sides.length === 1 ? "none" : "";
    });
  }
  return { element, place };
}
