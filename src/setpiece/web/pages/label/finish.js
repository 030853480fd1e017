/** What comes when all is labelled: a longer training, an exported detector, the data set as a zip. */

import { button, html } from "../base/dom.js";
import * as Api from "./api.js";

const LONG = 1_800_000; // milliseconds that an export may take
const FORMATS = [
  ["onnx", "ONNX"],
  ["html", "A web page that detects"],
  ["openvino", "OpenVINO"],
  ["torch", "PyTorch (.pt2)"],
  ["transformers", "Transformers"],
];
const LAYOUTS = [
  ["coco", "COCO"],
  ["yolo", "YOLO"],
  ["voc", "Pascal VOC"],
];

/** @import { Session } from "./session.js" */

/** @param {Session} session */
export function create(session) {
  const { state, say, refresh } = session;
  const minutes = html("input", { type: "number", id: "minutes", min: 1, max: 1440, value: 10, "data-role": "minutes" });
  const train = button("Train longer", "train", () => start(), { class: "primary" });
  const stop = button("Stop", "stop-training", () => end());
  const run = html("p", { "data-role": "final" });
  const meter = html("progress", { "aria-label": "The long training", max: 1 });
  const format = html("select", { id: "format", "data-role": "format" }, FORMATS.map(([value, text]) => html("option", { value }, text)));
  const save = button("Export", "export", () => write());
  const written = html("p", { role: "status", "data-role": "exported" });

  const start = () => ask("api/train", { minutes: Number(minutes.value) }, "The long training begins.");
  const end = () => ask("api/train/stop", null, "The long training stops.");

  async function ask(path, sent, done) {
    try {
      await Api.ask("POST", path, sent);
      say(done);
    } catch (error) {
      say(error instanceof Error ? error.message : `${error}`);
    }
    refresh();
  }

  async function write() {
    save.disabled = true;
    written.textContent = "Exporting …";
    try {
      const { file } = await Api.ask("POST", "api/export", { format: format.value }, LONG);
      written.textContent = `Exported: ${file}`;
    } catch (error) {
      written.textContent = error instanceof Error ? error.message : `${error}`;
    }
    draw();
  }

  function draw() {
    const final = state.server?.final ?? null;
    const training = final?.state === "training";
    run.textContent = final ? final.said : "A longer training begins with the labels as they are then.";
    meter.hidden = !training || final?.done === null;
    meter.value = final?.done ?? 0;
    train.disabled = training;
    stop.hidden = !training;
    save.disabled = final?.state !== "done" || written.textContent === "Exporting …";
  }

  const element = html(
    "section.panel",
    { "data-role": "finish" },
    html("h2", "When you are done"),
    html("div.controls", html("div.control", html("label", { for: "minutes" }, "Minutes"), minutes), train, stop),
    run,
    meter,
    html("div.controls", html("div.control", html("label", { for: "format" }, "Export the detector as"), format), save),
    written,
    html(
      "p.controls",
      html("span.label", "Download photos and labels as"),
      LAYOUTS.map(([layout, text]) =>
        html("a.label-button", { href: `api/download?layout=${layout}`, download: true, "data-role": `download-${layout}` }, text),
      ),
    ),
  );
  draw();
  return { element, draw };
}
