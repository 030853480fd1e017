/** A second look at labels that a detector contradicts which has not been trained on their photo. */

import { button, format, html } from "../base/dom.js";
import * as Api from "./api.js";
import * as Look from "./look.js";
import * as Redraw from "./redraw.js";
import * as Sequence from "./sequence.js";

const EVERY = 2000; // milliseconds between two questions while it is looked for
const KINDS = {
  class: ["Another class", "Take its class"],
  unseen: ["Not seen", "Remove the label"],
  missing: ["Without a label", "Add the label"],
  off: ["Box far off", "Take its box"],
};
/** @type {[Term, string][]} */
const TERMS = [
  ["class", "class"],
  ["l1", "L1"],
  ["giou", "GIoU"],
];

/** @import { Session } from "./session.js" */

/** @param {Session} session */
export function create(session) {
  const { state, say, open, refresh, settle, documents } = session;
  const start = button("Look for suspicious labels", "start-look", () => begin(), { class: "primary" });
  const line = html("p", { role: "status", "data-role": "look-line" });
  const meter = html("progress", { "aria-label": "Looking", max: 1, hidden: true });
  const list = html("ol.label-suspicions", { "data-role": "suspicions" });
  const detail = html("section.panel", { "aria-label": "The label in question", "data-role": "suspicion" });
  /** @type {SecondLook | null} */
  let look = null;
  let at = 0;
  let deciding = false;

  const rows = () => look?.rows ?? [];
  const drawList = Redraw.when(list, () => [rows(), at], () => rows().map(entry));
  const drawDetail = Redraw.when(detail, () => [rows()[at], state.server?.classes], () => shown(rows()[at]));

  function entry(row, index) {
    const decided = { keep: "kept", apply: "applied" }[row.decision] ?? "";
    const current = index === at;
    const choose = () => {
      at = index;
      draw();
    };
    return html(
      "li",
      html(
        "button.line",
        {
          type: "button",
          class: `line${decided ? " decided" : ""}`,
          "aria-current": current ? "true" : null,
          "data-role": `suspicion-${row.id}`,
          onclick: choose,
        },
        html("span.kind", KINDS[row.kind][0]),
        html("span", Sequence.entry(state.server, row.image)?.file ?? ""),
        html("span.hint", decided || (row.cost ? `cost ${format(row.cost.class + row.cost.l1 + row.cost.giou, 2)}` : "")),
      ),
    );
  }

  function shown(row) {
    if (!row) return [html("p.hint", "Nothing is chosen.")];
    return [
      html("h3", `${at + 1} of ${rows().length}: ${KINDS[row.kind][0].toLowerCase()}`),
      html("p", row.text),
      html(
        "div.controls",
        button("Keep the label (K)", "keep", () => decide("keep"), { "aria-keyshortcuts": "k", "aria-pressed": String(row.decision === "keep") }),
        button(`${KINDS[row.kind][1]} (Y)`, "apply", () => decide("apply"), {
          "aria-keyshortcuts": "y",
          "aria-pressed": String(row.decision === "apply"),
        }),
        button("Open the photo", "open-photo", () => {
          state.set({ view: "label" });
          open(row.image);
        }),
      ),
      Look.create(state, row),
      row.cost && costs(row.cost),
    ];
  }

  function draw() {
    drawList();
    drawDetail();
    if (!look) return;
    const running = look.state === "running";
    const left = rows().filter(({ decision }) => !decision).length;
    line.textContent = look.state === "ready" ? `${look.said} ${left} of ${rows().length} are not decided.` : look.said;
    meter.hidden = !running || look.done === null;
    meter.value = look.done ?? 0;
    start.hidden = running;
    start.textContent = look.state === "ready" ? "Look again" : "Look for suspicious labels";
    list.hidden = detail.hidden = !rows().length;
    list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  async function read() {
    try {
      look = await Api.ask("GET", "api/second-look");
      at = Math.min(at, Math.max(0, rows().length - 1));
      draw();
      if (look?.state === "running" && state.view === "second-look") setTimeout(read, EVERY);
    } catch (error) {
      line.textContent = error instanceof Error ? error.message : `${error}`;
    }
  }

  async function begin() {
    try {
      await Api.ask("POST", "api/second-look");
    } catch (error) {
      say(error instanceof Error ? error.message : `${error}`);
    }
    read();
  }

  /** Decide on the row in view, and go to the next one that is not decided. */
  async function decide(decision) {
    const row = rows()[at];
    if (!row || deciding) return;
    deciding = true;
    settle();
    try {
      await Api.ask("POST", `api/second-look/${encodeURIComponent(row.id)}`, { decision });
      row.decision = decision;
      documents.known.delete(row.image);
      const later = rows().findIndex((one, index) => index > at && !one.decision);
      at = later < 0 ? at : later;
      say(decision === "keep" ? "The label is kept." : "The label is changed: Z undoes it.");
      refresh();
    } catch (error) {
      say(error instanceof Error ? error.message : `${error}`);
    }
    deciding = false;
    read();
  }

  document.addEventListener("keydown", (event) => {
    if (state.view !== "second-look" || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "k") decide("keep");
    else if (event.key === "y") decide("apply");
    else if (by && rows()[at + by] && !(/** @type {Element} */ (event.target).matches("[role=tab]"))) at += by;
    else return;
    draw();
    event.preventDefault();
  });
  state.on((changed) => {
    if (changed.has("view") && state.view === "second-look") read();
    if (!changed.has("server") || state.view !== "second-look") return;
    if (look?.state === "ready") read(); // an undo takes a decision back
    else draw();
  });
  return html(
    "div.label-second",
    html(
      "section.panel",
      html("h2", "Second look"),
      html(
        "p.hint",
        "A detector is trained twice, on one half of the photos each, and its detections on the other half are matched with your labels. What fits badly is shown, the most striking first.",
      ),
      html("div.controls", start, line),
      meter,
    ),
    html("div.label-second-columns", list, detail),
  );
}

/** What a pair costs, term by term. */
function costs(cost) {
  const total = TERMS.reduce((sum, [term]) => sum + Math.max(0, cost[term]), 0) || 1;
  return html(
    "div.stack.tight",
    { "data-role": "costs" },
    html(
      "div.stacked",
      { "aria-hidden": "true" },
      TERMS.map(([term]) => html("i", { style: { "--mark": `var(--${term})`, width: `${(100 * Math.max(0, cost[term])) / total}%` } })),
    ),
    html("p.legend", TERMS.map(([term, name]) => html("span.key", html("i", { style: { "--mark": `var(--${term})` } }), `${name} ${format(cost[term], 2)}`))),
  );
}
