/** An evaluation: how good, how sure, at which threshold, what is wrong, and what to do next. */

import { slider } from "../controls.js";
import { button, counted, format, html, name, number, sentence, table } from "../dom.js";
import * as State from "../state.js";
import * as Confusion from "./confusion.js";
import * as Curves from "./curves.js";
import * as Errors from "./errors.js";

const LEAST = 0.05; // confidence that is counted: evaluation/calibration.py has it

/**
 * Fill an element with an evaluation.
 * @param {Evaluated} evaluated
 */
export function mount(element, evaluated) {
  const view = State.create({ threshold: null });
  element.append(
    tiles(evaluated),
    steps(evaluated),
    thresholds(evaluated, view),
    Errors.create(evaluated, view),
    html("div.columns", Confusion.create(evaluated), calibration(evaluated)),
  );
}

/** @param {Evaluated} evaluated */
function tiles({ metrics, images }) {
  const all = Object.entries(metrics).map(([metric, value]) =>
    html("div.tile", html("span.hint", metric), number(value, `metric-${metric}`, 3, "strong")),
  );
  return html("section.panel", html("div.tiles", all), html("p.hint", counted(images, "image")));
}

/** @param {Evaluated} evaluated */
function steps({ steps: sentences }) {
  const said = html("ol", { "data-role": "steps" }, sentences.map((text) => html("li", sentence(text))));
  return html("section.panel", html("h2", "What to do next"), said);
}

/**
 * A slider of the threshold, and what it gives each class.
 * @param {Evaluated} evaluated
 * @param {object} view a State of the threshold of all classes; the best of each where null
 */
function thresholds({ classes }, view) {
  const cells = classes.map((of) => ({
    of,
    threshold: html("td.number"),
    precision: html("td.number"),
    recall: html("td.number"),
    f1: html("td.number"),
  }));
  const body = html(
    "tbody",
    cells.map(({ of, threshold, precision, recall, f1 }) =>
      html(
        "tr",
        { "data-class": of.name },
        html("th.text", { scope: "row" }, name(of.name)),
        threshold,
        precision,
        recall,
        f1,
        html("td.number", format(of.AP)),
        html("td.number", { "data-role": "AR100" }, format(of.AR100)),
        html("td.number", String(of.objects)),
      ),
    ),
  );
  const curves = Curves.create(classes);
  const show = () => {
    const value = view.threshold;
    if (value === null) control.show(null);
    for (const { of, threshold, precision, recall, f1 } of cells) {
      const chosen = value === null ? of.best : value;
      const at = value === null ? of.at_best : Curves.at(of, value);
      write(threshold, "threshold", chosen);
      write(precision, "precision", at.precision);
      write(recall, "recall", at.recall);
      write(f1, "F1", at.F1);
    }
    curves.draw(value);
  };
  const best = button("Best F1 of each class", "best", () => view.set({ threshold: null }), { class: "primary" });
  const control = slider({
    label: "Threshold",
    role: "threshold",
    min: 0,
    max: 1,
    step: 0.01,
    value: null,
    write: (threshold) => (threshold === null ? "best of each" : format(threshold, 2)),
    oninput: (threshold) => view.set({ threshold }),
  });
  view.on(show);
  show();
  const names = ["<class", "threshold", "precision", "recall", "F1", "AP", "AR100", "objects"];
  return html(
    "section.panel",
    html("h2", "Which threshold"),
    html(
      "p.lead",
      "A detection counts where its confidence reaches the threshold. Precision is the share of those that are right " +
        "(IoU 0.5 or more), recall the share of the objects that are found.",
    ),
    html("div.controls", best, control.element),
    table(names, body, "Precision and recall of each class", "classes"),
    curves.element,
  );
}

function write(cell, role, value) {
  cell.replaceChildren(number(value, role, role === "threshold" ? 2 : 3));
}

/** @param {Evaluated} evaluated */
function calibration({ calibration: { error, confidence, precision, count } }) {
  const points = confidence
    .map((x, bin) => ({ x, y: precision[bin], count: count[bin] }))
    .filter(({ x, y }) => x !== null && y !== null);
  return html(
    "section.panel",
    html("h2", "Whether confidences mean what they say"),
    html(
      "p.hint",
      "Of detections with a confidence of 0.8, eight in ten should be right: on the line. Off it by ",
      number(error, "calibration-error"),
      ` on average. Detections with a confidence below ${LEAST} are left out.`,
    ),
    Curves.diagonal(points),
  );
}
