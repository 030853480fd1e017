/** Precision, recall and F1 over the threshold, as numbers and as charts. */

import { counted, html, isolated, name, svg } from "../dom.js";

const WIDTH = 420;
const HEIGHT = 300;
const COLOURS = 7; // as the style has them; then they come again with another dash
const DASHES = 3;
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
 * F1 over the threshold, and precision over recall: a line for each class, whose name brings it forward.
 * @param {EvaluatedClass[]} classes
 * @returns {{element: HTMLElement, draw: function(number | null): void}} `draw` takes the threshold of all classes; the
 *   best of each where null
 */
export function create(classes) {
  const charts = html("div.columns");
  /** @type {number | null} */
  let pressed = null;
  /** @type {number | null} */
  let pointed = null;
  const keys = classes.map((of, c) => {
    const look = () => point(c);
    const away = () => point(null);
    const properties = { onpointerenter: look, onpointerleave: away, onfocus: look, onblur: away, onclick: () => press(c) };
    const line = svg("line", { x1: 0, y1: 5, x2: 26, y2: 5, class: lineOf(c) });
    const key = svg("svg.curve-key", { viewBox: "0 0 26 10", "aria-hidden": "true" }, line);
    return html("button.chip", { type: "button", "data-role": "curve", "aria-pressed": "false", ...properties }, key, name(of.name));
  });

  function point(c) {
    pointed = c;
    mark();
  }

  function press(c) {
    pressed = pressed === c ? null : c;
    keys.forEach((key, i) => key.setAttribute("aria-pressed", String(i === pressed)));
    mark();
  }

  /** Bring the line of the name in view to the front, and let the others fade. */
  function mark() {
    const chosen = pointed ?? pressed;
    for (const line of charts.querySelectorAll(".curve")) {
      const forward = line.getAttribute("data-class") === String(chosen);
      line.classList.toggle("forward", forward);
      line.classList.toggle("faded", chosen !== null && !forward);
      if (forward) line.parentNode?.append(line);
    }
  }

  const draw = (threshold) => {
    charts.replaceChildren(...figures(classes, threshold));
    mark();
  };
  const legend = html("div.chips", { role: "group", "aria-label": "Lines of the charts" }, keys);
  return { element: html("div.stack", charts, legend), draw };
}

/** @param {EvaluatedClass[]} classes */
function figures(classes, threshold) {
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

/** The classes of style that give a line its colour and its dash. */
function lineOf(number) {
  return `chart-line of-${number % COLOURS} dash-${Math.floor(number / COLOURS) % DASHES}`;
}

/** Precision over confidence beside the line on which they are equal. */
export function diagonal(points) {
  const most = Math.max(1, ...points.map(({ count }) => count));
  const line = svg("line.chart-grid", { x1: across(0), y1: up(0), x2: across(1), y2: up(1) });
  const marks = points.map(({ x, y, count }) =>
    svg(
      "circle.chart-mark",
      { cx: across(x), cy: up(y), r: 3 + 7 * Math.sqrt(count / most) },
      svg("title", `confidence ${x.toFixed(2)}, precision ${y.toFixed(2)}, ${counted(count, "detection")}`),
    ),
  );
  return frame("confidence", "precision", [line, ...marks]);
}

function figure(caption, drawing) {
  return html("figure", drawing, html("figcaption.hint", caption));
}

function chart(lines, x, y) {
  const drawn = lines.map(({ points, mark, name: of }, number) => {
    const path = points
      .filter((point) => point.x !== null && point.y !== null)
      .map((point, i) => `${i ? "L" : "M"}${across(point.x).toFixed(1)} ${up(point.y).toFixed(1)}`)
      .join("");
    const shown = mark && mark.x !== null && mark.y !== null;
    const said = shown ? `${isolated(of)}: ${x} ${mark.x.toFixed(2)}, ${y} ${mark.y.toFixed(2)}` : isolated(of);
    return svg(
      "g.curve",
      { "data-class": number },
      svg("title", said),
      path && svg("path", { d: path, class: lineOf(number) }),
      shown && svg("circle", { cx: across(mark.x), cy: up(mark.y), r: 4, class: `chart-mark of-${number % COLOURS}` }),
    );
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
