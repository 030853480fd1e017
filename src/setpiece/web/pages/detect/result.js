/** An image with what was detected in it, and all of them as JSON. */

import { html } from "../base/dom.js";
import * as Settings from "./settings.js";
import * as Shown from "./shown.js";

/**
 * @param {object} options
 * @param {Blob} options.blob
 * @param {Pixels} options.image
 * @param {Found} options.found
 * @param {string[]} options.classes
 * @param {(detections: Detection[]) => Detection[]} options.visible
 * @returns {Result}
 */
export function create({ blob, image, found, classes, visible }) {
  const name = blob instanceof File ? blob.name : "camera.jpg";
  const address = URL.createObjectURL(blob);
  const { width, height } = image;
  const picture = image.animated ? still(image, name) : html("img", { src: address, alt: name, width, height });
  const shown = Shown.create(picture, classes);
  const said = html("span", { "data-role": "count" });
  const time = html("span.number", { "data-role": "milliseconds" }, `${Math.round(found.milliseconds)} ms`);
  const element = html(
    "figure.panel",
    { "data-role": "result", "data-name": name },
    shown.element,
    html("figcaption", html("strong", name), html("span.hint", `${width} × ${height}`), said, time),
    found.notes?.length ? html("p.hint", { "data-role": "notes" }, found.notes.join(" ")) : null,
  );
  const draw = () => {
    const detections = visible(found.detections);
    shown.draw({ width, height }, detections);
    said.textContent = Shown.inWords(detections, classes);
  };
  const remove = () => {
    URL.revokeObjectURL(address);
    element.remove();
  };
  return { name, width, height, ...found, element, draw, remove };
}

/** The frame that was looked at, of a file that would play. */
function still(image, name) {
  const { width, height } = image;
  const canvas = html("canvas", { role: "img", "aria-label": name, width, height });
  canvas.getContext("2d").putImageData(new ImageData(image.rows(0, height), width, height), 0, 0);
  return canvas;
}

/**
 * Give the detections that are shown to the user as a file, each image as `POST /v1/detect` answers it.
 * @param {string} model
 * @param {DetectState} state
 * @param {DetectPayload} payload
 * @param {Result[]} results
 */
export function download(model, state, { classes, thresholds }, results) {
  const threshold = Object.fromEntries(
    classes.map((name, label) => [name, Settings.threshold(state, thresholds, label)]),
  );
  const images = [...results].reverse().map(({ name, width, height, milliseconds, detections }) => ({
    file: name,
    image: { width, height },
    detections: Settings.visible(state, thresholds, detections).map(({ box, score, label }) => ({
      box,
      score,
      class: classes[label],
    })),
    milliseconds,
  }));
  const text = JSON.stringify({ model, threshold, images }, null, 1);
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  html("a", { href: address, download: "detections.json" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // when it is surely saved
}
