/** Placing two boxes, by pointer or by keys, as the control of a question. */

import { html, svg } from "../base/dom.js";
import * as PlayBox from "../base/play_box.js";

/**
 * The answer is the pair of boxes (target, prediction), cxcywh in parts of the drawing; null until one was moved.
 * @param {number[][]} start where the two are at first
 */
export function control(start) {
  const control = /** @type {Control} */ ({});
  /** @type {[number[], number[]]} */
  const pair = [[...start[0]], [...start[1]]];
  let moved = false;
  const shapes = PlayBox.create(pair, { index: 0, name: "" }, () => {
    moved = true;
    shapes.draw();
    control.onchange();
  });
  const size = { viewBox: `0 0 ${PlayBox.SIZE.width} ${PlayBox.SIZE.height}`, role: "group" };
  const drawing = svg("svg.playground", { ...size, "aria-label": "Two boxes to place" }, shapes.below, shapes.above);
  shapes.draw();
  control.element = html("div", drawing);
  control.value = () => (moved ? pair.map((box) => [...box]) : null);
  control.show = (next) => {
    next.forEach((box, i) => box.forEach((value, k) => (pair[i][k] = value)));
    moved = true;
    shapes.draw();
  };
  return control;
}
