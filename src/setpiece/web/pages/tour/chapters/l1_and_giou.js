/** Chapter 6: L1 against GIoU. */

import * as Boxes from "../../base/boxes.js";
import * as Controls from "../../base/controls.js";
import { format, html, number, prose } from "../../base/dom.js";
import * as Playground from "../../base/playground.js";
import * as BoxPlacer from "../box_placer.js";
import * as Curves from "../curves.js";
import * as Layout from "../layout.js";
import * as Quiz from "../quiz.js";

export const id = "boxes";
export const title = "L1 against GIoU";
export const questions = ["negative", "overlapping", "enlarged"];

const SCALE = `
  <h3>The same mistake, larger and smaller</h3>
  <p>L1 measures boxes in parts of the picture. So the same mistake, relative to the object, costs more on a large
  object than on a small one: training would correct the large boxes first. GIoU is made of ratios of areas and does
  not see the size. Move the slider: L1 grows with the object, GIoU stays.</p>`;

const APART = `
  <h3>Boxes that do not meet</h3>
  <p class="tour-formula">IoU = <i>I</i> / <i>U</i>, &emsp; GIoU = <i>I</i> / <i>U</i> − (<i>H</i> − <i>U</i>) /
  <i>H</i></p>
  <p><i>I</i> is the area that both boxes share, <i>U</i> the area that they cover together, and <i>H</i> the area of
  their hull, the smallest box around both.</p>
  <p>Once two boxes do not overlap, IoU is 0, however far apart they are. It does not measure the distance, and it has no gradient.
  GIoU takes away the empty part of the hull: it falls below 0 and keeps falling, so it still tells nearer from
  farther (Rezatofighi et al., 2019).</p>
  <p>Each term alone is weak. L1 alone favours large objects; GIoU alone is slow far away, where it flattens. The loss
  uses both.</p>`;

const PLAY = `
  <h3>Try it</h3>
  <p>Drag and resize the boxes. The presets show pairs with the same relative mistake.</p>`;

export function mount(element, { marks, examples }) {
  const view = html("div.tour-view", { "data-view": "playground" });
  element.append(
    Layout.section(prose(SCALE), scale(examples.boxes.pair)),
    Layout.section(prose(APART), Curves.apart()),
    html("div.tour-text", prose(PLAY)),
    view,
    Layout.questions(
      negative(examples.boxes.near, marks),
      overlapping(examples.boxes.close, marks),
      enlarged(examples.boxes.pair, marks),
    ),
  );
  Playground.mount(view);
}

/**
 * Both boxes enlarged by a factor, with the distance between them.
 * @returns {[Box, Box]}
 */
function enlarge([target, prediction], factor) {
  const enlarged = ([x, y, w, h]) => [
    0.5 + (x - target[0]) * factor,
    0.3 + (y - target[1]) * factor,
    w * factor,
    h * factor,
  ];
  return [enlarged(target), enlarged(prediction)];
}

function scale(pair) {
  const drawing = Curves.canvas(220, "A target and a prediction");
  const told = Layout.status("scale-status");
  const show = (factor) => {
    const [target, prediction] = enlarge(pair, factor);
    drawing.replaceChildren(...Curves.pairShapes([target, prediction]));
    told.replaceChildren(
      "L1 ",
      number(Boxes.l1(target, prediction), "scale-l1"),
      ", GIoU ",
      number(Boxes.overlaps(target, prediction).giou, "scale-giou"),
    );
  };
  const slider = Controls.slider({
    label: "Size",
    role: "scale",
    min: 0.5,
    max: 3.5,
    step: 0.1,
    value: 1,
    write: (value) => `× ${value.toFixed(1)}`,
    oninput: show,
  });
  show(1);
  return Layout.figure("scale", "Solid: target. Dashed: prediction. Thin: hull.", drawing, slider.element, told);
}

const wording = ({ iou, giou, union, hull }) =>
  `IoU = ${format(iou)}, and ${format((100 * (hull - union)) / hull, 0)} % of the hull is empty: GIoU = ${format(iou)}
    − ${format((hull - union) / hull)} = ${format(giou)}.`;

function negative(pair, marks) {
  return Quiz.question(marks, {
    id: "negative",
    ask: `<p><b>Place the boxes so that GIoU &lt; 0.</b> Drag them, or go to one with Tab and use the arrow keys;
      Shift and an arrow key resize it.</p>`,
    control: BoxPlacer.control(pair),
    solution: () => [
      [0.2, 0.25, 0.25, 0.3],
      [0.8, 0.75, 0.25, 0.3],
    ],
    judge: ([target, prediction]) => {
      const measured = Boxes.overlaps(target, prediction);
      const right = measured.giou < 0;
      const hint = right ? "" : " Move the boxes apart: the emptier the hull, the smaller GIoU.";
      return { right, why: wording(measured) + hint };
    },
  });
}

function overlapping(pair, marks) {
  return Quiz.question(marks, {
    id: "overlapping",
    ask: "<p><b>Now let the two boxes overlap, and still GIoU &lt; 0.</b></p>",
    control: BoxPlacer.control(pair),
    solution: () => [
      [0.35, 0.35, 0.3, 0.3],
      [0.63, 0.63, 0.3, 0.3],
    ],
    judge: ([target, prediction]) => {
      const measured = Boxes.overlaps(target, prediction);
      if (measured.intersection <= 0) return { right: false, why: `They do not overlap. ${wording(measured)}` };
      const right = measured.giou < 0;
      const told = right
        ? "Two boxes that meet at a corner leave much of their hull empty."
        : "Make the overlap small and the hull empty: think of two boxes that meet at a corner.";
      return { right, why: `${wording(measured)} ${told}` };
    },
  });
}

/** @param {[Box, Box]} pair */
function enlarged(pair, marks) {
  const before = { l1: Boxes.l1(...pair), giou: Boxes.overlaps(...pair).giou };
  const larger = enlarge(pair, 3);
  const after = { l1: Boxes.l1(...larger), giou: Boxes.overlaps(...larger).giou };
  const same = (a, b) => Math.abs(a - b) < 1e-6;
  const truth = ["l1", "giou"].map((term) => (same(after[term], before[term]) ? "same" : "triple")).join("-");
  return Quiz.question(marks, {
    id: "enlarged",
    ask: `<p>An object and its prediction are both drawn three times as large, with the distance between them.</p>
      <p><b>What becomes of L1 and GIoU?</b></p>`,
    control: Quiz.choice("enlarged", [
      { value: "same-same", text: "both stay" },
      { value: "triple-same", text: "L1 triples, GIoU stays" },
      { value: "same-triple", text: "L1 stays, GIoU triples" },
      { value: "triple-triple", text: "both triple" },
    ]),
    solution: () => truth,
    judge: (answer) => ({
      right: answer === truth,
      hint: answer.startsWith("same")
        ? `Computed for the pair of the first figure: L1 goes from ${format(before.l1)} to ${format(after.l1)}.`
        : `Computed for the pair of the first figure: GIoU goes from ${format(before.giou)} to
            ${format(after.giou)}.`,
      why: `Computed for the pair of the first figure: L1 goes from ${format(before.l1)} to ${format(after.l1)}, GIoU
        from ${format(before.giou)} to ${format(after.giou)}. Every length triples, and every area becomes nine times
        as large, so that ratios of areas stay.`,
    }),
  });
}
