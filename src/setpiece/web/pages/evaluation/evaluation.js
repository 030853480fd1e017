/** An evaluation: how good, how sure, at which threshold, what is wrong, and what to do next. */

import { slider } from "../base/controls.js";
import * as Data from "../base/data.js";
import { button, format, html, number, svg, table } from "../base/dom.js";
import * as Curves from "./curves.js";

const NOTHING = "nothing";

/** Build the page from the payload in it. */
function start() {
  const payload = Data.evaluated();
  const main = /** @type {HTMLElement} */ (document.getElementById("page"));
  main.classList.add("chapter");
  main.before(
    html(
      "header.page-header",
      html("h1", payload.title),
      html("p.hint", { "data-role": "sentence" }, payload.sentence),
    ),
  );
  main.append(
    tiles(payload),
    steps(payload),
    thresholds(payload),
    errors(payload),
    html("div.columns", confusion(payload), calibration(payload)),
  );
}

/** @param {EvaluatedPayload} payload */
function tiles({ metrics, images }) {
  const all = Object.entries(metrics).map(([name, value]) =>
    html("div.tile", html("span.hint", name), number(value, `metric-${name}`, 3, "strong")),
  );
  return html("section.panel", html("div.tiles", all), html("p.hint", `${images} images`));
}

/** @param {EvaluatedPayload} payload */
function steps({ steps: sentences }) {
  const said = sentences.length
    ? html("ol", { "data-role": "steps" }, sentences.map((text) => html("li", text)))
    : html("p", { "data-role": "steps" }, "Nothing stands out: more images and longer training help most.");
  return html("section.panel", html("h2", "What to do next"), said);
}

/**
 * A slider of the threshold, and what it gives each class.
 * @param {EvaluatedPayload} payload
 */
function thresholds({ classes }) {
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
        html("th.text", { scope: "row" }, of.name),
        html("td.number", String(of.objects)),
        html("td.number", format(of.AP)),
        threshold,
        precision,
        recall,
        f1,
      ),
    ),
  );
  const chart = html("div.columns");
  const show = (value) => {
    for (const { of, threshold, precision, recall, f1 } of cells) {
      const chosen = value === null ? of.best : value;
      const at = chosen === null ? null : value === null ? of.at_best : Curves.at(of, chosen);
      write(threshold, "threshold", chosen);
      write(precision, "precision", at?.precision);
      write(recall, "recall", at?.recall);
      write(f1, "F1", at?.F1);
    }
    chart.replaceChildren(...Curves.charts(classes, value));
  };
  const best = button("Best F1 of each class", "best", () => show(null), { class: "primary" });
  const control = slider({
    label: "Threshold",
    role: "threshold",
    min: 0,
    max: 1,
    step: 0.01,
    value: 0.5,
    oninput: show,
  });
  show(null);
  const names = ["<class", "objects", "AP", "threshold", "precision", "recall", "F1"];
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
    chart,
  );
}

function write(cell, role, value) {
  cell.replaceChildren(number(value, role, role === "threshold" ? 2 : 3));
}

/**
 * The kinds of errors with what each costs; one is opened at a time.
 * @param {EvaluatedPayload} payload
 */
function errors({ errors: kinds }) {
  const most = Math.max(0.001, ...kinds.map(({ cost }) => cost ?? 0));
  const pictures = html("div.error-pictures", { "data-role": "pictures" });
  const buttons = kinds.map((kind) => {
    const bar = html("i.error-bar", { style: { "--share": String(Math.max(0, (kind.cost ?? 0) / most)) } });
    const row = html(
      "button.error-kind",
      { type: "button", "aria-pressed": "false", "data-kind": kind.kind, onclick: () => open(kind, row) },
      html("strong", kind.kind),
      html("span.hint", kind.is),
      html("span.number", `${kind.count}`),
      html("span.number", `+${format(kind.cost, 2)}`),
      bar,
    );
    return row;
  });
  const open = (kind, row) => {
    for (const each of buttons) each.setAttribute("aria-pressed", String(each === row));
    const shown = kind.examples.map(pictureOf);
    const more = kind.count - shown.length;
    pictures.replaceChildren(
      ...(shown.length ? shown : [html("p.hint", "There are none.")]),
      ...(more > 0 ? [html("p.hint", `${more} more`)] : []),
    );
  };
  const worst = kinds.reduce((a, b) => ((b.cost ?? 0) > (a.cost ?? 0) ? b : a));
  open(worst, buttons[kinds.indexOf(worst)]);
  return html(
    "section.panel",
    html("h2", "What is wrong"),
    html(
      "p.lead",
      "How many errors there are of each kind, and what AP50 would gain if only they were put right (TIDE). Gains do " +
        "not add up: errors hide each other.",
    ),
    html("div.error-kinds", { role: "group", "aria-label": "Kinds of errors" }, buttons),
    html("div.legend", legend("prediction", "detected"), legend("target", "labelled")),
    pictures,
  );
}

function legend(name, text) {
  return html("span.key", html("i", { style: { "--mark": `var(--${name})` } }), text);
}

/** An image with the detection and the object. */
function pictureOf({ text, src, width, height, detection, object }) {
  const area = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text };
  const boxes = [object && box("target", object), detection && box("prediction", detection)];
  return html(
    "figure.picture",
    svg("svg", area, svg("image", { href: src, width, height }), boxes),
    html("figcaption.hint", text),
  );
}

function box(kind, [x, y, width, height]) {
  const place = { x, y, width, height, "vector-effect": "non-scaling-stroke" };
  return svg(`g.${kind}`, svg("rect.halo", place), svg("rect.box", place));
}

/** @param {EvaluatedPayload} payload */
function confusion({ confusion: matrix, classes }) {
  const names = [...classes.map(({ name }) => name), NOTHING];
  const rows = matrix.map((counts, row) => {
    const all = counts.reduce((sum, count) => sum + count, 0);
    return html(
      "tr",
      html("th.text", { scope: "row" }, names[row]),
      counts.map((count, column) =>
        html(
          `td.number.heat${row === column ? ".right" : ""}`,
          { style: { "--share": String(all ? count / all : 0) }, title: `${names[row]} taken for ${names[column]}` },
          row === names.length - 1 && column === row ? "" : String(count),
        ),
      ),
    );
  });
  return html(
    "section.panel",
    html("h2", "What is taken for what"),
    html("p.hint", "Rows are labelled, columns are detected, with the best threshold of each class."),
    table(["<labelled", ...names], html("tbody", rows), "Confusion matrix", "confusion"),
  );
}

/** @param {EvaluatedPayload} payload */
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
      " on average.",
    ),
    Curves.diagonal(points),
  );
}

start();
