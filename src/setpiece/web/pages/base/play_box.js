/** A pair of boxes on the playground: dragged by the body, resized by the corners, or moved with the arrow keys. */

import * as Boxes from "./boxes.js";
import { svg } from "./dom.js";

export const SIZE = { width: 640, height: 400 }; // the drawing's own units; boxes are fractions of it
const LEAST = 0.02; // shortest side
const STEP = 0.01; // of the arrow keys
/** @type {Record<string, [number, number]>} */
const KEYS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
const CORNERS = ["left-top", "right-top", "left-bottom", "right-bottom"];
const KINDS = ["target", "prediction"];

/**
 * The shapes of one pair: hull and intersection to lie below, the two boxes above.
 * @param {[Box, Box]} pair target and prediction; changed in place
 * @param {{index: number, name: string}} which of the pairs on the drawing
 * @param {() => void} onchange
 */
export function create(pair, { index, name }, onchange) {
  const waste = svg("path", { fill: "url(#hatch)", "fill-rule": "evenodd" });
  const hull = svg("rect.hull", { "data-role": `hull-box-${index}` });
  const shared = svg("rect.shared");
  const boxes = pair.map((box, i) => boxShape(box, KINDS[i], `${KINDS[i]}${name}`, index, onchange));
  const draw = () => {
    const common = Boxes.intersection(...pair);
    const outlines = [Boxes.hull(...pair), ...pair, common].filter(Boolean);
    waste.setAttribute("d", outlines.map(outline).join(""));
    place(hull, Boxes.hull(...pair));
    place(shared, common ?? [0, 0, 0, 0]);
    for (const box of boxes) box.draw();
  };
  return { below: [waste, hull, shared], above: boxes.map(({ element }) => element), draw };
}

/** Left, top, right, bottom in the drawing's units. */
function edges(box) {
  const [left, top, right, bottom] = Boxes.corners(box);
  return [left * SIZE.width, top * SIZE.height, right * SIZE.width, bottom * SIZE.height];
}

function place(shape, box) {
  const [x, y, right, bottom] = edges(box);
  for (const [name, value] of Object.entries({ x, y, width: right - x, height: bottom - y })) {
    shape.setAttribute(name, value);
  }
}

/** Of hull, boxes and intersection together, filled by even and odd: what lies in the hull and in neither box. */
function outline(box) {
  const [left, top, right, bottom] = edges(box);
  return `M${left} ${top}H${right}V${bottom}H${left}z`;
}

function boxShape(box, kind, label, index, onchange) {
  const body = svg(`rect.play.${kind}`, { "data-role": `${kind}-${index}` });
  const text = svg(`text.play-label.${kind}`, label);
  const handles = CORNERS.map((corner) => handleShape(kind, index, corner));
  const element = svg("g.play-box", { tabindex: 0, role: "group", "aria-label": label }, body, text, handles);
  const change = (next) => {
    next.forEach((value, i) => (box[i] = value));
    onchange();
  };
  const present = () => [...box];
  drag(body, present, (start, dx, dy) => change(moved(start, dx, dy)));
  handles.forEach((handle, i) => drag(handle, present, (start, dx, dy) => change(pulled(start, CORNERS[i], dx, dy))));
  element.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (!step) return;
    event.preventDefault();
    change(event.shiftKey ? pulled(present(), "right-bottom", ...step) : moved(present(), ...step));
  });
  return { element, draw: () => arrange(box, kind, body, text, handles) };
}

function handleShape(kind, index, corner) {
  const falling = corner === "left-top" || corner === "right-bottom";
  const style = { cursor: falling ? "nwse-resize" : "nesw-resize" };
  return svg(`rect.handle.${kind}`, {
    width: 14,
    height: 14,
    rx: 3,
    "data-role": `${kind}-${index}-${corner}`,
    style,
  });
}

function arrange(box, kind, body, text, handles) {
  const [left, top, right, bottom] = edges(box);
  const outside = right - left < 110; // too narrow for its name
  place(body, box);
  text.setAttribute("x", outside ? left : left + 12);
  if (kind === "target") text.setAttribute("y", outside ? top - 12 : top + 22);
  else text.setAttribute("y", outside ? bottom + 22 : bottom - 12);
  handles.forEach((handle, i) => {
    const [side, edge] = CORNERS[i].split("-");
    handle.setAttribute("x", (side === "left" ? left : right) - 7);
    handle.setAttribute("y", (edge === "top" ? top : bottom) - 7);
  });
}

/** Follow the pointer from where it went down: `onmove(what was there, dx, dy)` in fractions of the drawing. */
function drag(shape, present, onmove) {
  shape.addEventListener("pointerdown", (down) => {
    const { width, height } = shape.ownerSVGElement.getBoundingClientRect();
    const start = present();
    const move = ({ clientX, clientY }) =>
      onmove(start, (clientX - down.clientX) / width, (clientY - down.clientY) / height);
    const end = () => shape.removeEventListener("pointermove", move);
    shape.setPointerCapture(down.pointerId);
    shape.addEventListener("pointermove", move);
    shape.addEventListener("lostpointercapture", end, { once: true });
  });
}

/**
 * The box elsewhere, whole within the drawing.
 * @param {Box} box
 */
function moved([x, y, w, h], dx, dy) {
  const within = (value, size) => Math.min(1 - size / 2, Math.max(size / 2, value));
  return [within(x + dx, w), within(y + dy, h), w, h];
}

/** The box with one corner elsewhere. */
function pulled(box, corner, dx, dy) {
  const [side, edge] = corner.split("-");
  let [left, top, right, bottom] = Boxes.corners(box);
  if (side === "left") left = Math.min(Math.max(0, left + dx), right - LEAST);
  else right = Math.max(Math.min(1, right + dx), left + LEAST);
  if (edge === "top") top = Math.min(Math.max(0, top + dy), bottom - LEAST);
  else bottom = Math.max(Math.min(1, bottom + dy), top + LEAST);
  return Boxes.fromCorners([left, top, right, bottom]);
}
