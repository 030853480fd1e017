/** What a page says of the model in it, or of the server behind it. */

import { format, html } from "../base/dom.js";
import * as Server from "./server.js";

/**
 * Where an image goes.
 * @param {DetectPayload} payload
 */
export function where({ server }) {
  return server
    ? "Images are sent to the server that this page is from."
    : "Images stay on this device. This file holds the model and what runs it, and loads nothing.";
}

/**
 * @param {DetectPayload} payload
 * @param {DetectState} state
 */
export function create({ info, runtime, server }, state) {
  return html(
    "section.stack.tight.hint",
    server && shell(server, state),
    info && html("details", html("summary", "About the model"), html("dl.detect-facts", facts(info))),
    runtime &&
      html(
        "details",
        { "data-role": "licence" },
        html("summary", `${runtime.name} runs it (MIT licence)`),
        html("pre.detect-licence", { tabindex: 0 }, runtime.licence),
      ),
  );
}

/** The line that does the same, with the threshold that is set. */
function shell(server, state) {
  const line = html("pre.detect-shell", { tabindex: 0, "data-role": "curl" });
  const update = () => (line.textContent = Server.inShell(server, state.own ? "auto" : state.threshold));
  state.on(update);
  update();
  return html("div.stack.tight", html("p", "In a shell:"), line);
}

/** @param {ModelInfo} info */
function facts({ preset, classes, shortest, longest, precision, metrics, licence, made_with: versions }) {
  const AP = typeof metrics?.AP === "number" ? metrics.AP : null;
  const rows = [
    ["Preset", preset],
    ["Classes", classes.join(", ")],
    ["Input size", shortest === longest ? `${longest} pixels` : `${shortest} to ${longest} pixels`],
    ["Precision", { fp32: "float32", fp16: "float16", int8: "8 bits" }[precision]],
    ["AP of the checkpoint", AP === null ? null : `${format(AP)} on its validation images`],
    ["Licence of the weights", licence],
    ["Made with", Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")],
  ];
  return rows.filter(([, value]) => value).flatMap(([name, value]) => [html("dt", name), html("dd", value)]);
}
