/** Boxes as [centre x, centre y, width, height], as in setloss/boxes.py: the same formulas, in double precision. */

/** Added to every union and hull, so that boxes without area have finite overlaps. */
export const EPSILON = 1e-9;

/**
 * [left, top, right, bottom] of a box.
 * @param {Box} box
 */
export function corners([x, y, w, h]) {
  return [x - w / 2, y - h / 2, x + w / 2, y + h / 2];
}

/**
 * The box with these corners.
 * @param {Numbers} corners
 */
export function fromCorners([left, top, right, bottom]) {
  return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top];
}

/**
 * ‖a − b‖₁, the sum of the four absolute differences.
 * @param {Box} a
 * @param {Box} b
 */
export function l1(a, b) {
  return Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]) + Math.abs(a[2] - b[2]) + Math.abs(a[3] - b[3]);
}

/** Overlap of two intervals given by centre and length; negative across a gap. */
function overlap(aCentre, aLength, bCentre, bLength) {
  const end = Math.min(aCentre + aLength / 2, bCentre + bLength / 2);
  return end - Math.max(aCentre - aLength / 2, bCentre - bLength / 2);
}

/**
 * IoU = I / U and GIoU = I / U − (H − U) / H, with the areas of intersection I, union U and hull H.
 * @param {Box} a
 * @param {Box} b
 * @returns {{iou: number, giou: number, intersection: number, union: number, hull: number}}
 */
export function overlaps(a, b) {
  const across = overlap(a[0], a[2], b[0], b[2]);
  const down = overlap(a[1], a[3], b[1], b[3]);
  const hull = (b[2] - across + a[2]) * (b[3] - down + a[3]) + EPSILON;
  const intersection = Math.max(across, 0) * Math.max(down, 0);
  const union = a[2] * a[3] + EPSILON + b[2] * b[3] - intersection;
  const iou = intersection / union;
  return { iou, giou: union / hull + iou - 1, intersection, union, hull };
}

/**
 * The smallest box around both.
 * @param {Box} a
 * @param {Box} b
 */
export function hull(a, b) {
  const [p, q] = [corners(a), corners(b)];
  return fromCorners([Math.min(p[0], q[0]), Math.min(p[1], q[1]), Math.max(p[2], q[2]), Math.max(p[3], q[3])]);
}

/**
 * The box that both share, null where there is none.
 * @param {Box} a
 * @param {Box} b
 */
export function intersection(a, b) {
  const [p, q] = [corners(a), corners(b)];
  const shared = [Math.max(p[0], q[0]), Math.max(p[1], q[1]), Math.min(p[2], q[2]), Math.min(p[3], q[3])];
  return shared[2] > shared[0] && shared[3] > shared[1] ? fromCorners(shared) : null;
}

/** ∂ overlap / ∂ (aCentre, aLength); halved where two ends coincide, as autograd does. */
function overlapGradient(aCentre, aLength, bCentre, bLength) {
  const share = (a, b) => (a < b ? 1 : a > b ? 0 : 0.5);
  const end = share(aCentre + aLength / 2, bCentre + bLength / 2);
  const start = share(bCentre - bLength / 2, aCentre - aLength / 2);
  return [end - start, (end + start) / 2];
}

/** ∂ ‖a − b‖₁ / ∂ a. */
export function l1Gradient(a, b) {
  return [0, 1, 2, 3].map((i) => Math.sign(a[i] - b[i]));
}

/** ∂ GIoU(a, b) / ∂ a, the four of cxcywh. */
export function giouGradient(a, b) {
  const across = overlap(a[0], a[2], b[0], b[2]);
  const down = overlap(a[1], a[3], b[1], b[3]);
  const [acrossX, acrossW] = overlapGradient(a[0], a[2], b[0], b[2]);
  const [downY, downH] = overlapGradient(a[1], a[3], b[1], b[3]);
  const hullW = b[2] - across + a[2];
  const hullH = b[3] - down + a[3];
  const inside = [Math.max(across, 0) * Number(down >= 0), Math.max(down, 0) * Number(across >= 0)]; // ∂I/∂down, ∂I/∂across
  const { intersection, union, hull } = overlaps(a, b);
  const chain = (dIntersection, dArea, dHull) => {
    const dUnion = dArea - dIntersection;
    return dIntersection / union - (intersection * dUnion) / union ** 2 + dUnion / hull - (union * dHull) / hull ** 2;
  };
  return [
    chain(inside[1] * acrossX, 0, -acrossX * hullH),
    chain(inside[0] * downY, 0, -downY * hullW),
    chain(inside[1] * acrossW, a[3], (1 - acrossW) * hullH),
    chain(inside[0] * downH, a[2], (1 - downH) * hullW),
  ];
}
