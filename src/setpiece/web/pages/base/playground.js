/** The GIoU playground: boxes to drag and resize, with IoU, hull, GIoU and L1 moving along. */

import * as Boxes from "./boxes.js";
import * as Controls from "./controls.js";
import { format, html, number, svg } from "./dom.js";
import * as PlayBox from "./play_box.js";

const pair = (target, prediction) => [target, prediction];
const PRESETS = {
  overlap: { title: "Overlapping", pairs: [pair([0.42, 0.5, 0.36, 0.5], [0.56, 0.56, 0.36, 0.46])] },
  apart: { title: "Apart", pairs: [pair([0.24, 0.5, 0.26, 0.4], [0.74, 0.5, 0.26, 0.4])] },
  inside: { title: "One inside the other", pairs: [pair([0.5, 0.5, 0.6, 0.7], [0.5, 0.5, 0.3, 0.35])] },
  sizes: {
    title: "Same relative error, two sizes",
    pairs: [
      pair([0.34, 0.46, 0.4, 0.64], [0.42, 0.524, 0.4, 0.64]),
      pair([0.82, 0.46, 0.1, 0.16], [0.84, 0.476, 0.1, 0.16]),
    ],
  },
};

/** Fill an element with the chapter. It reads neither payload nor state. */
export function mount(element) {
  const { width, height } = PlayBox.SIZE;
  const drawing = svg("svg.playground", {
    viewBox: `0 0 ${width} ${height}`,
    role: "group",
    "aria-label": "Boxes to drag and resize",
  });
  const readings = html("div.stack.tight", { "data-role": "readings" });
  const presets = Controls.choice({
    label: "Start from",
    role: "preset",
    options: Object.entries(PRESETS).map(([key, { title }]) => [key, title]),
    value: "overlap",
    onchange: (key) => start(PRESETS[key].pairs),
  });
  element.append(
    intro(),
    html("div.panel.controls", presets),
    html("div.columns.wide-left", stage(drawing), html("div.panel", readings)),
  );
  start(PRESETS.overlap.pairs);

  function start(preset) {
    const pairs = structuredClone(preset);
    const name = (index) => (pairs.length > 1 ? ` ${index + 1}` : "");
    const shapes = pairs.map((pair, index) => PlayBox.create(pair, { index, name: name(index) }, draw));
    drawing.replaceChildren(hatch(), ...shapes.flatMap(({ below }) => below), ...shapes.flatMap(({ above }) => above));
    function draw() {
      for (const shape of shapes) shape.draw();
      readings.replaceChildren(...readingsOf(pairs));
    }
    draw();
  }
}

function intro() {
  return html(
    "div",
    html("h2", "GIoU"),
    html(
      "p.lead",
      "Drag a box, or pull a corner. IoU is 0 as soon as the boxes are apart, whatever their distance. ",
      "GIoU keeps falling as their hull becomes emptier. L1 grows with the size of the boxes; IoU and GIoU do not.",
    ),
  );
}

function stage(drawing) {
  return html(
    "div.panel",
    drawing,
    html(
      "div.legend",
      Controls.key("target", "target (solid)"),
      Controls.key("prediction", "prediction (dashed)"),
      Controls.key("giou", "intersection"),
      html("span.key", "▨ in the hull, in neither box"),
    ),
    html("p.hint", "By keyboard: Tab to a box, arrow keys move it, Shift and arrow keys resize it."),
  );
}

function hatch() {
  const size = { width: 8, height: 8, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
  return svg("defs", svg("pattern", { id: "hatch", ...size }, svg("line.hatch", { x1: 0, y1: 0, x2: 0, y2: 8 })));
}

/** @param {[Box, Box][]} pairs */
function readingsOf(pairs) {
  const values = pairs.map((pair) => ({ ...Boxes.overlaps(...pair), l1: Boxes.l1(...pair) }));
  const two = values.length > 1;
  const row = (name, key, hint, range) =>
    html(
      "tr",
      html("th.text", { scope: "row" }, name, html("div.hint", hint)),
      values.map((one, i) => html("td", number(one[key], `${key}-${i}`), range && gauge(key, one[key], range))),
    );
  const heads = html(
    "tr",
    html("td"),
    html("th", { scope: "col" }, "1 (large)"),
    html("th", { scope: "col" }, "2 (small)"),
  );
  const table = html(
    "table.facts.readings",
    two && html("thead", heads),
    html(
      "tbody",
      row("IoU", "iou", "intersection / union, 0 to 1", [0, 1]),
      row("GIoU", "giou", "IoU − empty share of the hull, −1 to 1", [-1, 1]),
      row("L1", "l1", "|Δcx| + |Δcy| + |Δw| + |Δh|", [0, 1]),
      row("intersection", "intersection", "share of the image"),
      row("union", "union", "share of the image"),
      row("hull", "hull", "the smallest box around both"),
    ),
  );
  return [
    table,
    ...values.map((one, i) => formula(one, two ? `${i + 1}: ` : "")),
    two ? compare(values[0], values[1]) : "",
  ];
}

function formula({ intersection, union, hull, giou }, name) {
  const numbers = `${format(intersection / union)} − ${format((hull - union) / hull)} = ${format(giou)}`;
  return html("p.equation.hint", `${name}GIoU = I / U − (H − U) / H = ${numbers}`);
}

function compare(large, small) {
  if (Math.abs(large.giou - small.giou) > 0.005)
    return html("p", "The relative errors differ now, and so do the GIoUs.");
  return html(
    "p",
    "Both predictions are off by the same share of their size, so their GIoU is the same. ",
    `L1 is ${format(large.l1 / small.l1, 1)} times as large for the large pair: `,
    "alone, it would weigh small objects little.",
  );
}

/** A short bar that shows the value on its range. */
function gauge(key, value, [least, most]) {
  const at = (x) => (100 * (Math.min(Math.max(x, least), most) - least)) / (most - least);
  const [from, to] = [at(Math.min(0, value)), at(Math.max(0, value))];
  const style = { left: `${from}%`, width: `${to - from}%`, "--mark": `var(--${key === "l1" ? "l1" : "giou"})` };
  return html("div.gauge", { "aria-hidden": "true" }, html("i", { style }));
}
