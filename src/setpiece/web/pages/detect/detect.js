/** Images -> what a model detects in them: in this page, or on the server that it is from. */

import * as Data from "../base/data.js";
import { button, html } from "../base/dom.js";
import * as State from "../base/state.js";
import * as About from "./about.js";
import * as Camera from "./camera.js";
import * as Input from "./input.js";
import * as Pixels from "./pixels.js";
import * as Result from "./result.js";
import * as Runtime from "./runtime.js";
import * as Server from "./server.js";
import * as Settings from "./settings.js";

/** Build the page from the payload in it. */
function start() {
  const payload = Data.detecting();
  const { title, classes, thresholds, server } = payload;
  const state = /** @type {DetectState} */ (
    State.create({ threshold: payload.threshold, own: false, hidden: new Set() })
  );
  const remote = server && Server.create(payload, Settings.LEAST);
  /** @type {Promise<Detects> | null} */
  let loading = remote && Promise.resolve(remote);
  const detector = () => (loading ??= Runtime.load(payload));

  const status = html("p.detect-status", { role: "status", "data-role": "status" });
  const say = (text) => (status.textContent = text);
  const visible = (detections) => Settings.visible(state, thresholds, detections);
  const results = [];
  const list = html("div.detect-results", { "data-role": "results" });
  const settings = Settings.create(payload, state);
  const download = button("Download JSON", "download", () => Result.download(title, state, payload, results));
  const clear = button("Clear", "clear", () => {
    results.splice(0).forEach((result) => result.remove());
    update();
    say("");
  });
  const input = Input.create((files) => queue(files));
  const camera = Camera.create({ classes, detector, visible, keep, photo: input.photo, say });

  function update() {
    for (const result of results) result.draw();
    camera.draw();
    settings.count(visible(results.flatMap((result) => result.detections)));
    download.disabled = clear.disabled = !results.length;
  }

  function keep(blob, image, found) {
    const result = Result.create({ blob, image, found, classes, visible });
    results.unshift(result);
    list.prepend(result.element);
    update();
  }

  /** @type {File[]} */
  const held = []; // until the token is typed
  remote?.controls?.addEventListener("change", () => held.length && queue(held.splice(0)));

  let waiting = Promise.resolve();
  function queue(files) {
    waiting = waiting.then(() => each(files));
  }

  async function each(files) {
    const refused = [];
    for (const [index, file] of files.entries()) {
      say(`Detecting ${files.length > 1 ? `${index + 1} of ${files.length}: ` : ""}${file.name}`);
      await new Promise((resolve) => setTimeout(resolve)); // draw that
      try {
        const image = await Pixels.decoded(file).catch(() => {
          throw new Error("it cannot be read as an image");
        });
        keep(file, image, await (await detector()).detect(image));
        image.close();
      } catch (error) {
        if (error instanceof Error && error.cause === Server.TOKEN) {
          held.push(...files.slice(index));
          refused.push(`${error.message}. ${held.length === 1 ? "1 image waits" : `${held.length} images wait`} for it.`);
          break;
        }
        refused.push(`${file.name}: ${error instanceof Error ? error.message : error}.`.replace(/\.\.$/, "."));
      }
    }
    say(refused.join(" "));
  }

  const main = /** @type {HTMLElement} */ (document.getElementById("page"));
  main.classList.add("chapter");
  main.before(html("header.page-header", html("h1", title), html("p.hint", About.where(payload))));
  main.append(
    html(
      "section.panel",
      html("div.controls", input.choose, camera.toggle, html("span.hint", "or drop or paste them"), remote?.controls ?? null),
      status,
    ),
    html("section.panel", settings.element, html("div.controls", download, clear)),
    camera.element,
    list,
    About.create(payload, state),
  );
  state.on(update);
  update();
  if (remote) return;
  say("Getting ready …");
  setTimeout(() => {
    detector().then(
      () => status.textContent === "Getting ready …" && say("Ready."),
      (error) => say(`The model cannot be started: ${error instanceof Error ? error.message : error}.`),
    );
  });
}

start();
