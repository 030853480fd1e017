/** Where a photo lies on the stage: zoom and pan. Photo pixels times `scale`, plus (x, y), are CSS pixels of the stage. */

const MARGIN = 12; // CSS pixels around a photo that is seen whole
const CLOSEST = 24; // CSS pixels per pixel of the photo
const KEPT = 48; // CSS pixels of the photo that stay in view

/** @typedef {{scale: number, x: number, y: number}} View */

/**
 * The whole photo in the middle of the stage.
 * @param {{width: number, height: number}} photo
 * @param {{width: number, height: number}} stage
 * @returns {View}
 */
export function whole(photo, stage) {
  const across = (stage.width - 2 * MARGIN) / photo.width;
  const down = (stage.height - 2 * MARGIN) / photo.height;
  const scale = Math.max(0.01, Math.min(across, down, CLOSEST));
  return { scale, x: (stage.width - photo.width * scale) / 2, y: (stage.height - photo.height * scale) / 2 };
}

/**
 * Closer or further away, with the point (x, y) of the stage left where it is.
 * @param {View} view
 * @param {{width: number, height: number}} photo
 * @param {{width: number, height: number}} stage
 * @param {number} factor
 * @param {number[]} point
 * @returns {View}
 */
export function zoomed(view, photo, stage, factor, [x, y]) {
  const least = Math.min(1, whole(photo, stage).scale) / 2;
  const scale = Math.min(CLOSEST, Math.max(least, view.scale * factor));
  const by = scale / view.scale;
  return held({ scale, x: x - (x - view.x) * by, y: y - (y - view.y) * by }, photo, stage);
}

/**
 * With a part of the photo in view.
 * @param {View} view
 * @param {{width: number, height: number}} photo
 * @param {{width: number, height: number}} stage
 * @returns {View}
 */
export function held({ scale, x, y }, photo, stage) {
  const within = (value, size, room) => Math.min(room - KEPT, Math.max(KEPT - size * scale, value));
  return { scale, x: within(x, photo.width, stage.width), y: within(y, photo.height, stage.height) };
}

/**
 * A point of the stage as pixels of the photo.
 * @param {View} view
 * @param {number[]} point
 */
export function toPhoto({ scale, x, y }, [u, v]) {
  return [(u - x) / scale, (v - y) / scale];
}

/**
 * A box of the photo as an SVG rectangle of the stage.
 * @param {View} view
 * @param {number[]} box
 */
export function toStage({ scale, x, y }, [left, top, right, bottom]) {
  return { x: left * scale + x, y: top * scale + y, width: (right - left) * scale, height: (bottom - top) * scale };
}
