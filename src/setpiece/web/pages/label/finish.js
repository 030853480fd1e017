/** What comes when all is labelled: a longer training, an exported detector, the data set as a zip. */

import * as Data from "../base/data.js";
import { button, counted, html } from "../base/dom.js";
import * as Api from "./api.js";

const LONG = 1_800_000; // milliseconds that an export or a download may take
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
const LEFT_OUT = {
  open: (verb) => `with boxes that ${verb} not confirmed`,
  missing: (verb) => `that ${verb} missing`,
  broken: (verb) => `that ${verb} broken`,
};

/** @import { Session } from "./session.js" */

/** @param {Session} session */
export function create(session) {
  const { state, say, refresh } = session;
  const [least, most] = Data.labelling().minutes;
  const minutes = html("input", { type: "number", id: "minutes", min: least, max: most, step: "any", required: true, value: 10, "data-role": "minutes" });
  const train = button("Train longer", "train", () => start(), { class: "primary" });
  const stop = button("Stop", "stop-training", () => end());
  const run = html("p", { "data-role": "final" });
  const meter = html("progress", { "aria-label": "The long training", max: 1 });
  const format = html("select", { id: "format", "data-role": "format" }, FORMATS.map(([value, text]) => html("option", { value }, text)));
  const save = button("Export", "export", () => write());
  const written = html("p", { role: "status", "data-role": "exported" });

  const holds = html("p.hint", { id: "download-holds", "data-role": "download-holds" });
  const downloaded = html("p", { role: "status", "data-role": "downloaded" });
  const downloads = LAYOUTS.map(([layout, text]) =>
    button(text, `download-${layout}`, () => download(layout), { "aria-describedby": "download-holds" }),
  );
  let packing = false;

  function start() {
    if (minutes.checkValidity()) ask("api/train", { minutes: Number(minutes.value) }, "The long training begins.");
    else {
      minutes.focus();
      say(`Write how many minutes it may train: a number from ${least} to ${most}.`);
    }
  }
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

  async function download(layout) {
    packing = true;
    downloaded.textContent = "The zip is made …";
    draw();
    try {
      const { name, content } = await Api.file(`api/download?layout=${layout}`, LONG);
      const href = URL.createObjectURL(content);
      html("a", { href, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(href), LONG); // a browser may ask where to put it
      downloaded.textContent = `Downloaded: ${name}`;
    } catch (error) {
      downloaded.textContent = error instanceof Error ? error.message : `${error}`;
    }
    packing = false;
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
    const { confirmed, sentence } = contents(state.server?.images ?? []);
    holds.textContent = sentence;
    for (const one of downloads) one.disabled = packing || !confirmed;
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
    html("div.controls", html("span.label", "Download photos and labels as"), downloads),
    holds,
    downloaded,
  );
  draw();
  return { element, draw };
}

/**
 * What a download holds, and which photos with boxes it leaves out.
 * @param {LabelEntry[]} images
 */
function contents(images) {
  const confirmed = images.filter(({ state, why }) => why === null && ["labelled", "empty"].includes(state)).length;
  const out = ["open", "missing", "broken"]
    .map((state) => ({ state, number: images.filter((one) => one.state === state && one.boxes > 0).length }))
    .filter(({ number }) => number > 0);
  const parts = out.map(({ state, number }) => `${number} ${LEFT_OUT[state](number === 1 ? "is" : "are")}`);
  const verb = out.length === 1 && out[0].number === 1 ? "is" : "are";
  const held = confirmed ? counted(confirmed, "confirmed photo") : "There is nothing to download before a photo is confirmed";
  const rest = out.length ? `; ${new Intl.ListFormat("en").format(parts)} ${verb} left out` : "";
  return { confirmed, sentence: `${held}${rest}.` };
}
