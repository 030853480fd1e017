/** What is under the pointer: a side or a corner of a box, or its inside. */

import * as Rectangles from "./rectangles.js";
import * as Viewport from "./viewport.js";

const CLOSE = { mouse: 6, pen: 9, touch: 16 }; // CSS pixels from a side

/** @import { Session } from "./session.js" */
/** @typedef {{at: LabelAt, sides: string[]}} Target `sides` are those that a drag moves; none inside */

/**
 * @param {Session} session
 * @param {Viewport.View} view
 * @param {number[]} point of the stage
 * @param {string} pointer "mouse", "pen" or "touch"
 * @returns {Target | null}
 */
export function under(session, view, point, pointer) {
  const all = candidates(session);
  const close = (CLOSE[pointer] ?? CLOSE.mouse) / view.scale;
  const [x, y] = Viewport.toPhoto(view, point);
  for (const { at, box } of all) {
    const sides = sidesNear(box, x, y, close);
    if (sides.length) return { at, sides };
  }
  const inside = all.filter(({ box: [left, top, right, bottom] }) => x >= left && x <= right && y >= top && y <= bottom);
  const chosen = inside.find(({ at }) => is(at, session.state.at));
  const smallest = inside.sort((a, b) => Rectangles.area(a.box) - Rectangles.area(b.box))[0];
  const best = chosen ?? smallest;
  return best ? { at: best.at, sides: [] } : null;
}

/**
 * The next larger box at a point, after the one in hand; the smallest after the largest.
 * @param {Session} session
 * @param {Viewport.View} view
 * @param {number[]} point
 */
export function below(session, view, point) {
  const [x, y] = Viewport.toPhoto(view, point);
  const inside = candidates(session)
    .filter(({ at, box: [l, t, r, b] }) => at.of === "boxes" && x >= l && x <= r && y >= t && y <= b)
    .sort((a, b) => Rectangles.area(a.box) - Rectangles.area(b.box));
  const now = inside.findIndex(({ at }) => is(at, session.state.at));
  return inside.length ? inside[(now + 1) % inside.length].at : null;
}

/**
 * Whether two name the same.
 * @param {LabelAt | null} a
 * @param {LabelAt | null} b
 */
export function is(a, b) {
  return a !== null && b !== null && a.of === b.of && a.index === b.index;
}

/**
 * What can be touched: the box in hand first, then labels, then suggestions.
 * @param {Session} session
 * @returns {{at: LabelAt, box: number[]}[]}
 */
function candidates({ state, offered }) {
  const { doc, at } = state;
  if (!doc) return [];
  const boxes = doc.boxes.map(({ box }, index) => ({ at: /** @type {LabelAt} */ ({ of: "boxes", index }), box }));
  const dashed = offered().map((index) => ({
    at: /** @type {LabelAt} */ ({ of: "suggestions", index }),
    box: doc.suggestions[index].box,
  }));
  return [...boxes, ...dashed].sort((a, b) => Number(is(b.at, at)) - Number(is(a.at, at)));
}

/**
 * The sides of a box that are near a point; less of them is near where a box is small, so that it has an inside.
 * @param {number[]} box
 */
function sidesNear([left, top, right, bottom], x, y, close) {
  const [across, down] = [Math.min(close, (right - left) / 4), Math.min(close, (bottom - top) / 4)];
  if (x < left - close || x > right + close || y < top - close || y > bottom + close) return [];
  const near = (distance, inner) => distance > -close && distance < inner; // outside, and inside
  return [
    near(x - left, across) && "left",
    near(right - x, across) && "right",
    near(y - top, down) && "top",
    near(bottom - y, down) && "bottom",
  ].filter((side) => side !== false);
}
