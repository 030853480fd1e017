/** Precision, recall and F1 over the threshold, as numbers and as charts. */

import { html, svg } from "../dom.js";

const WIDTH = 420;
const HEIGHT = 300;
const NAMED = 8; // lines: of more the names would lie on each other
const EDGE = { left: 52, right: 12, top: 12, bottom: 36 };

const AXIS = 14; // where the name of the vertical axis stands

const across = (x) => EDGE.left + x * (WIDTH - EDGE.left - EDGE.right);
const up = (y) => HEIGHT - EDGE.bottom - y * (HEIGHT - EDGE.top - EDGE.bottom);

/**
 * What a threshold of the slider gives a class; Python has computed each.
 * @param {EvaluatedClass} of
 * @param {number} threshold
 */
export function at(of, threshold) {
  const [precision, recall, F1] = of.at[Math.round(threshold * (of.at.length - 1))];
  return { precision, recall, F1 };
}

/**
 * F1 over the threshold, and precision over recall; a line for each class.
 * @param {EvaluatedClass[]} classes
 * @param {number | null} threshold of all classes; the best of each where null
 */
export function charts(classes, threshold) {
  const marks = classes.map((of) => {
    const x = threshold === null ? of.best : threshold;
    return x === null ? null : { x, ...(threshold === null ? of.at_best : at(of, threshold)) };
  });
  const f1 = classes.map((of, c) => ({
    points: of.f1.map(([x, y]) => ({ x, y })),
    mark: marks[c] && { x: marks[c].x, y: marks[c].F1 },
    name: of.name,
  }));
  const pr = classes.map((of, c) => ({
    points: of.recall.map((x, i) => ({ x, y: of.precision[i] })),
    mark: marks[c] && { x: marks[c].recall, y: marks[c].precision },
    name: of.name,
  }));
  return [
    figure("F1 over the threshold", chart(f1, "threshold", "F1")),
    figure("Precision over recall", chart(pr, "recall", "precision")),
  ];
}

/** Precision over confidence beside the line on which they are equal. */
export function diagonal(points) {
  const most = Math.max(1, ...points.map(({ count }) => count));
  const line = svg("line.chart-grid", { x1: across(0), y1: up(0), x2: across(1), y2: up(1) });
  const marks = points.map(({ x, y, count }) =>
    svg(
      "circle.chart-mark",
      { cx: across(x), cy: up(y), r: 3 + 7 * Math.sqrt(count / most) },
      svg("title", `confidence ${x.toFixed(2)}, precision ${y.toFixed(2)}, ${count} detections`),
    ),
  );
  return frame("confidence", "precision", [line, ...marks]);
}

function figure(caption, drawing) {
  return html("figure", drawing, html("figcaption.hint", caption));
}

function chart(lines, x, y) {
  const drawn = lines.flatMap(({ points, mark, name }) => {
    const path = points
      .filter((point) => point.x !== null && point.y !== null)
      .map((point, i) => `${i ? "L" : "M"}${across(point.x).toFixed(1)} ${up(point.y).toFixed(1)}`)
      .join("");
    const curve = path && svg("path.chart-line", { d: path }, svg("title", name));
    const shown = mark && mark.x !== null && mark.y !== null && mark.y !== undefined;
    if (!shown) return [curve];
    const [cx, cy] = [across(mark.x), up(mark.y)];
    const anchor = mark.x > 0.7 ? "end" : "start";
    const label = svg("text.chart-text", { x: cx + (anchor === "end" ? -8 : 8), y: Math.max(cy - 8, EDGE.top + 10), "text-anchor": anchor }, name);
    return [curve, svg("circle.chart-mark", { cx, cy, r: 4 }), lines.length <= NAMED && label];
  });
  return frame(x, y, drawn);
}

function frame(x, y, content) {
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  const grid = ticks.flatMap((tick) => [
    svg("line.chart-grid", { x1: across(tick), y1: up(0), x2: across(tick), y2: up(1) }),
    svg("line.chart-grid", { x1: across(0), y1: up(tick), x2: across(1), y2: up(tick) }),
    svg("text.chart-text", { x: across(tick), y: up(0) + 16, "text-anchor": "middle" }, String(tick)),
    svg("text.chart-text", { x: across(0) - 6, y: up(tick) + 4, "text-anchor": "end" }, String(tick)),
  ]);
  const names = [
    svg("text.chart-text", { x: across(0.5), y: HEIGHT - 4, "text-anchor": "middle" }, x),
    svg(
      "text.chart-text",
      { "text-anchor": "middle", transform: `translate(${AXIS} ${up(0.5)}) rotate(-90)`, "data-role": "axis-y" },
      y,
    ),
  ];
  const area = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${y} over ${x}` };
  return svg("svg.chart", area, grid, names, content);
}
