/** One line on how far the labels are, and what the trainer does. */

import { html } from "../base/dom.js";

/** @import { Session } from "./session.js" */

/** @param {Session} session */
export function create({ state, entry }) {
  const labels = html("span.number", { "data-role": "labelled-count" });
  const meter = html("progress", { "aria-label": "Labelled photos" });
  const trainer = html("span.hint", { "data-role": "training" });
  const photo = html("span.hint", { "data-role": "photo" });

  function draw() {
    if (!state.server) return;
    const { progress, training } = state.server;
    labels.textContent = `${progress.labelled} of ${progress.all}`;
    meter.max = Math.max(1, progress.all);
    meter.value = progress.labelled;
    trainer.textContent = training.done === null ? training.said : `${training.said} ${Math.round(100 * training.done)} %`;
    const here = entry();
    photo.textContent = here ? `${here.file}${here.held_out ? " · held out for testing" : ""}` : "There is no photo here.";
  }
  state.on((changed) => (changed.has("server") || changed.has("image")) && draw());
  return html("div.label-status", html("span.label-count", labels, meter), trainer, photo);
}
