/** The boxes of the photo in view as a list, and what decides which suggestions are shown. */

import * as Controls from "../base/controls.js";
import { button, format, html } from "../base/dom.js";
import * as Edits from "./edits.js";
import * as Marks from "./marks.js";
import * as Redraw from "./redraw.js";
import * as Targets from "./targets.js";

/** @import { Session } from "./session.js" */

/** @param {Session} session */
export function create(session) {
  const { state, offered } = session;
  const list = html("ul.label-boxes", { "data-role": "boxes" });
  const line = html("p.hint", { "data-role": "suggestion-line" });
  const restore = button("Show rejected (R)", "restore", () => state.set({ rejected: [] }));
  const toggle = button("Suggestions (S)", "suggesting", () => state.set({ suggesting: !state.suggesting }));
  const reopen = button("Open again (U)", "reopen", () => Edits.reopen(session));
  const slider = Controls.slider({
    label: "Threshold",
    role: "threshold",
    min: 0.05,
    max: 0.95,
    step: 0.01,
    value: state.threshold,
    write: (x) => format(x, 2),
    oninput: (threshold) => state.set({ threshold }),
  });

  const name = (label) => state.server?.classes[label]?.name ?? "?";
  const row = (at, one, more) =>
    html(
      "li",
      { class: Marks.colour(one.class) },
      html(
        "button.label-box",
        {
          type: "button",
          class: `label-box${at.of === "suggestions" ? " dashed" : ""}`,
          "aria-pressed": String(Targets.is(at, state.at)),
          "data-role": `${at.of}-${at.index}`,
          onclick: () => state.set({ at }),
        },
        html("i", { "aria-hidden": "true" }),
        html("span.name", name(one.class)),
        html("span.number", at.of === "suggestions" ? Marks.percent(one.score) : sizeOf(one.box)),
      ),
      more,
    );
  const accepting = (index) => [
    button("✓", `accept-${index}`, () => Edits.accept(session, index), { class: "label-more", "aria-label": `Accept suggestion ${index + 1}` }),
    button("✕", `reject-${index}`, () => Edits.reject(session, index), { class: "label-more", "aria-label": `Reject suggestion ${index + 1}` }),
  ];
  const deleting = (index) => [
    button("✕", `delete-${index}`, () => (state.set({ at: { of: "boxes", index } }), Edits.remove(session)), {
      class: "label-more",
      "aria-label": `Delete box ${index + 1}`,
    }),
  ];

  const drawList = Redraw.when(
    list,
    () => [state.doc?.boxes, offered(), state.doc?.suggestions, state.at, state.server?.classes],
    () => [
      ...(state.doc?.boxes ?? []).map((one, index) => row({ of: "boxes", index }, one, deleting(index))),
      ...offered().map((index) => row({ of: "suggestions", index }, state.doc?.suggestions[index], accepting(index))),
    ],
  );

  function draw() {
    drawList();
    const shown = offered().length;
    restore.hidden = !state.rejected.length;
    toggle.setAttribute("aria-pressed", String(state.suggesting));
    reopen.hidden = !["labelled", "empty"].includes(state.doc?.state ?? "");
    line.textContent = words(state, shown);
  }
  state.on((changed) => {
    if (changed.has("threshold")) slider.show(state.threshold);
    if (["doc", "at", "server", "threshold", "suggesting", "rejected", "image"].some((one) => changed.has(one))) draw();
  });
  draw();
  return html(
    "section.panel.label-here",
    { "aria-labelledby": "boxes-title" },
    html("h2", { id: "boxes-title" }, "This photo"),
    slider.element,
    line,
    html("div.controls", toggle, restore, reopen),
    list,
  );
}

/**
 * What there is of suggestions.
 * @param {LabelState} state
 */
function words({ doc, server, suggesting }, shown) {
  if (!doc || !server) return "";
  if (doc.state !== "open") return doc.state === "empty" ? "Confirmed: nothing is here." : "Confirmed.";
  if (!suggesting) return "Suggestions are hidden: S shows them.";
  if (shown) return `${shown} suggested: Enter accepts ${shown === 1 ? "it" : "them all"}, and goes on.`;
  if (doc.suggestions.length) return "No suggestion is as sure as the threshold.";
  const missing = server.training.labelled_needed;
  if (missing > 0) return `Suggestions come when ${missing === 1 ? "one more photo is" : `${missing} more photos are`} labelled.`;
  return doc.round === null ? "Suggestions for this photo are on their way." : "Nothing is suggested here.";
}

function sizeOf([left, top, right, bottom]) {
  return `${Math.round(right - left)} × ${Math.round(bottom - top)}`;
}
