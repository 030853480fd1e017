/** How far the labels and the detector are. */

import { format, html } from "../base/dom.js";
import * as Curve from "./curve.js";
import * as Finish from "./finish.js";
import * as Marks from "./marks.js";
import * as Redraw from "./redraw.js";

/** @import { Session } from "./session.js" */

/** @param {Session} session */
export function create(session) {
  const { state } = session;
  const numbers = html("dl.label-numbers", { "data-role": "numbers" });
  const trainer = html("p", { "data-role": "trainer" });
  const meter = html("progress", { "aria-label": "Training", max: 1 });
  const classes = html("ul.plain.label-bars", { "data-role": "boxes-per-class" });
  const curve = html("div.stack.tight", { "data-role": "ap" });
  const finish = Finish.create(session);
  const drawNumbers = Redraw.when(
    numbers,
    () => state.server && [state.server.progress, state.server.images.length],
    () => (state.server ? facts(state.server.progress).flatMap(([name, value]) => [html("div", html("dt", name), html("dd.number", value))]) : []),
  );
  const drawClasses = Redraw.when(
    classes,
    () => [state.server?.classes, state.server?.progress.boxes_per_class],
    () => (state.server ? bars(state.server) : []),
  );
  const drawCurve = Redraw.when(
    curve,
    () => [state.server?.progress.ap, state.server?.progress.forecast, state.server?.progress.held_out],
    () => (state.server ? ofHeldOut(state.server.progress) : []),
  );

  function draw() {
    if (!state.server || state.view !== "progress") return;
    const { training } = state.server;
    trainer.textContent = training.said;
    meter.hidden = training.done === null;
    meter.value = training.done ?? 0;
    drawNumbers();
    drawClasses();
    drawCurve();
    finish.draw();
  }
  state.on((changed) => (changed.has("server") || changed.has("view")) && draw());
  return html(
    "div.label-progress",
    html("section.panel", html("h2", "Labels"), numbers, classes),
    html(
      "div.stack",
      html("section.panel", html("h2", "The detector"), trainer, meter, curve),
      finish.element,
    ),
  );
}

/** @param {LabelProgress} progress */
function facts({ labelled, all, held_out: held, seconds, boxes_per_class: boxes }) {
  return [
    ["Labelled photos", `${labelled} of ${all}`],
    ["Boxes", `${boxes.reduce((a, b) => a + b, 0)}`],
    ["Held out for testing", `${held.labelled} of ${held.all} labelled`],
    ["Time spent", time(seconds)],
  ];
}

/** As "1 h 5 min". */
function time(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return `${Math.round(seconds)} s`;
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {Labelling} server */
function bars({ classes, progress }) {
  const most = Math.max(1, ...progress.boxes_per_class);
  return classes.map(({ name }, label) => {
    const boxes = progress.boxes_per_class[label] ?? 0;
    return html(
      "li",
      { class: Marks.colour(label) },
      html("span.name", name),
      html("span.bar", { "aria-hidden": "true" }, html("i", { style: { width: `${(100 * boxes) / most}%` } })),
      html("span.number", { "aria-label": `${boxes} boxes` }, boxes),
    );
  });
}

/** @param {LabelProgress} progress */
function ofHeldOut({ ap, forecast, held_out: held }) {
  const about = html(
    "p.hint",
    "One photo in five is held out: chosen by its name, never trained on, and marked “test” in the strip. AP is measured on those that are labelled.",
  );
  if (!ap.length) {
    const missing = `There is no AP yet: it needs two labelled photos with boxes among those held out (now ${held.labelled}).`;
    return [html("p", missing), about];
  }
  const { ap: now, low, high } = ap[ap.length - 1];
  const sentence = `AP ${format(now, 2)} (${format(low, 2)} to ${format(high, 2)}) on ${held.labelled} held-out photos. ${Curve.forecastInWords(forecast)}`;
  return [html("p", { "data-role": "ap-line" }, sentence), Curve.create(ap, forecast), about];
}
