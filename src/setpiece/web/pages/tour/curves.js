/** Boxes drawn without handles, and L1, IoU and GIoU as curves. */

import * as Boxes from "../base/boxes.js";
import * as Controls from "../base/controls.js";
import { format, html, number, svg } from "../base/dom.js";
import * as Layout from "./layout.js";

const WIDTH = 360;
const SIDE = 0.2; // of two equal squares
const FARTHEST = 0.6; // shift
const CHART = { left: 34, right: 350, top: 14, bottom: 150 };
/** @type {{key: string, name: string, dash: string | null, of: (pair: [Box, Box]) => number}[]} */
const CURVES = [
  { key: "l1", name: "L1", dash: "9 4", of: (pair) => Boxes.l1(...pair) },
  { key: "giou", name: "GIoU", dash: null, of: (pair) => Boxes.overlaps(...pair).giou },
  { key: "iou", name: "IoU", dash: "2 4", of: (pair) => Boxes.overlaps(...pair).iou },
];

/** An empty drawing. One unit of a box is its width in both directions, so that shapes keep their ratio. */
export function canvas(height, label, ...shapes) {
  return svg("svg.tour-canvas", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label }, shapes.flat());
}

/**
 * The shapes of a target and a prediction in their hull.
 * @param {[Box, Box]} pair
 */
export function pairShapes(pair) {
  const shape = (box, kind) => {
    const [left, top] = Boxes.corners(box);
    const [x, y, width, height] = [left, top, box[2], box[3]].map((value) => value * WIDTH);
    return svg(`rect.tour-box.${kind}`, { x, y, width, height });
  };
  return [shape(Boxes.hull(...pair), "hull"), shape(pair[0], "target"), shape(pair[1], "prediction")];
}

const x = (shift) => CHART.left + ((CHART.right - CHART.left) * shift) / FARTHEST;
const y = (value) => CHART.bottom - ((CHART.bottom - CHART.top) * (value + 1)) / 2;
/** @returns {[Box, Box]} */
const squares = (shift) => [
  [0.2, 0.17, SIDE, SIDE],
  [0.2 + shift, 0.17, SIDE, SIDE],
];

/** Two equal squares of which one moves to the side, and what the three measures say of them. */
export function apart() {
  const boxes = canvas(122, "The two squares");
  const chart = chartOf();
  const told = Layout.status("apart-status");
  const show = (shift) => {
    const pair = squares(shift);
    boxes.replaceChildren(...pairShapes(pair));
    chart.point(shift);
    told.replaceChildren(
      ...CURVES.map(({ key, name, of }) =>
        html(`span.tour-key.of-${key}`, `${name} `, number(of(pair), `apart-${key}`)),
      ),
    );
  };
  const slider = Controls.slider({
    label: "Shift",
    role: "apart",
    min: 0,
    max: FARTHEST,
    step: 0.01,
    value: 0.1,
    write: (value) => value.toFixed(2),
    oninput: show,
  });
  show(0.1);
  const caption = "GIoU: full line. IoU: dots. L1: dashes. The squares part at a shift of 0.20.";
  return Layout.figure("apart", caption, boxes, slider.element, chart.element, told);
}

function chartOf() {
  const shifts = Array.from({ length: 121 }, (_, i) => (i * FARTHEST) / 120);
  const lines = CURVES.map(({ key, dash, of }) => {
    const points = shifts.map((shift) => `${x(shift)},${y(of(squares(shift)))}`).join(" ");
    return svg(`polyline.tour-curve.of-${key}`, { "stroke-dasharray": dash, points });
  });
  const axes = [-1, 0, 1].map((value) =>
    svg(
      "g.tour-axis",
      svg("line", { x1: CHART.left, x2: CHART.right, y1: y(value), y2: y(value) }),
      svg("text", { x: CHART.left - 6, y: y(value), dy: "0.35em", "text-anchor": "end" }, format(value, 0)),
    ),
  );
  const cursor = svg("line.tour-cursor", { y1: CHART.top, y2: CHART.bottom });
  const dots = CURVES.map(({ key }) => svg(`circle.tour-dot.of-${key}`, { r: 4 }));
  const point = (shift) => {
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(shift));
    dots.forEach((dot, i) => {
      dot.setAttribute("cx", x(shift));
      dot.setAttribute("cy", y(CURVES[i].of(squares(shift))));
    });
  };
  return { element: canvas(160, "L1, IoU and GIoU against the shift", axes, lines, cursor, dots), point };
}
