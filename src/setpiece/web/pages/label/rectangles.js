/** Boxes as [left, top, right, bottom] in pixels of a photo: moving them, pulling at them, and what they share. */

export const LEAST = 2; // pixels that a side has at least

/**
 * The box within the photo; null where less than the least side is left.
 * @param {number[]} box
 * @param {{width: number, height: number}} size
 */
export function within([left, top, right, bottom], { width, height }) {
  const box = [Math.max(0, left), Math.max(0, top), Math.min(width, right), Math.min(height, bottom)].map(rounded);
  return box[2] - box[0] >= LEAST && box[3] - box[1] >= LEAST ? box : null;
}

/**
 * The box between two corners, on whole pixels.
 * @param {number[]} one
 * @param {number[]} other
 */
export function between([x, y], [u, v]) {
  return [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)].map(Math.round);
}

/**
 * The box elsewhere, whole within the photo.
 * @param {number[]} box
 * @param {{width: number, height: number}} size
 */
export function moved([left, top, right, bottom], { width, height }, dx, dy) {
  const x = Math.min(Math.max(dx, -left), width - right);
  const y = Math.min(Math.max(dy, -top), height - bottom);
  return [left + x, top + y, right + x, bottom + y].map(rounded);
}

/**
 * The box with some of its sides elsewhere: `sides` are those that move, as ["left", "top"].
 * @param {number[]} box
 * @param {{width: number, height: number}} size
 * @param {string[]} sides
 */
export function pulled([left, top, right, bottom], { width, height }, sides, dx, dy) {
  if (sides.includes("left")) left = Math.min(Math.max(0, left + dx), right - LEAST);
  if (sides.includes("right")) right = Math.max(Math.min(width, right + dx), left + LEAST);
  if (sides.includes("top")) top = Math.min(Math.max(0, top + dy), bottom - LEAST);
  if (sides.includes("bottom")) bottom = Math.max(Math.min(height, bottom + dy), top + LEAST);
  return [left, top, right, bottom].map(rounded);
}

/** The intersection of two boxes over their union. */
export function iou(a, b) {
  const across = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const down = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const shared = Math.max(0, across) * Math.max(0, down);
  return shared / (area(a) + area(b) - shared);
}

/**
 * Of a box, in square pixels.
 * @param {number[]} box
 */
export function area([left, top, right, bottom]) {
  return (right - left) * (bottom - top);
}

/** Whether two boxes have the same sides, but for what a file rounds. */
export function same(a, b) {
  return a.every((side, i) => Math.abs(side - b[i]) < 0.06);
}

/** To a tenth of a pixel. */
function rounded(value) {
  return Math.round(value * 10) / 10;
}
