/** The Model chapter: a diagram of this very model with live shapes, and what its queries attend to. */

import { format, html } from "../../base/dom.js";
import * as QueryView from "./query_view.js";

/** @type {[string, string, string][]} */
const GROUPS = [
  ["backbone", "Backbone", "a CNN computes features"],
  ["encoder", "Encoder", "features attend to each other"],
  ["queries", "Queries", "one query for each prediction"],
  ["decoder", "Decoder", "queries attend to the features"],
  ["heads", "Heads", "a class and a box for each query"],
  ["other", "Other parts", ""],
];

/**
 * Fill an element with the chapter.
 * @param {PayloadWithModel} payload
 * @param {PageState} state
 */
export function mount(element, payload, state) {
  const { model } = payload;
  element.append(
    html(
      "div",
      html("h2", "Model"),
      html(
        "p.lead",
        `${model.preset}: ${count(model.parameters)} parameters, ${model.queries} queries, ` +
          `${model.layers.length} prediction sets (${model.layers.join(", ")}). Shapes are those of one image.`,
      ),
    ),
    diagram(model),
    QueryView.create(payload, state),
  );
}

/**
 * All parts in their groups, and the chosen one below.
 * @param {Model} model
 */
function diagram(model) {
  const details = html("div.model-details", { "aria-live": "polite", "data-role": "part-details" });
  const buttons = new Map();
  const choose = (path) => {
    for (const [at, button] of buttons) button.setAttribute("aria-pressed", String(at === path));
    details.replaceChildren(describe(model, trailTo(model.parts, path), choose));
  };
  const put = (button, path) => {
    buttons.set(path, button);
    return button;
  };
  const group = ([role, title, what]) => {
    const parts = model.parts.filter((part) => part.role === role);
    if (!parts.length) return null;
    return html(
      "div",
      { class: `model-group of-${role}`, role: "group", "aria-label": title },
      html("h4", title, html("span.hint", what)),
      ...parts.flatMap((part) => [
        put(
          partButton(part, () => choose(part.path)),
          part.path,
        ),
        ...inside(part).map((inner) =>
          put(
            innerButton(inner, () => choose(inner.path)),
            inner.path,
          ),
        ),
      ]),
    );
  };
  const image = html(
    "div.model-group.of-image",
    html("h4", "Image", html("span.hint", "red, green, blue")),
    html("div.model-end.number", shape(model.input)),
  );
  const columns = GROUPS.map(group);
  choose(model.parts[0].path);
  return html(
    "div.panel",
    { "data-view": "diagram" },
    html("h3", "The parts of the model"),
    html(
      "p.hint",
      "Each column lists its parts in the order in which they run. Press a part to see its inputs and outputs.",
    ),
    html("div.model-diagram", image, ...columns),
    details,
  );
}

/** What a part is made of, in the diagram: not of heads, and of what learns all but the norms. */
function inside(part) {
  if (part.role === "heads") return [];
  return part.parts.filter((inner) => inner.parameters && !inner.kind.includes("Norm"));
}

/** One line. */
function innerButton(part, onclick) {
  const last = part.outputs[part.outputs.length - 1] ?? [];
  return html(
    "button.model-part.one-line",
    { type: "button", "data-path": part.path, "aria-pressed": "false", onclick },
    html("span", part.title),
    html("span.hint", last.slice(1).join(" × ")),
  );
}

function partButton(part, onclick) {
  return html(
    "button.model-part",
    {
      type: "button",
      "data-role": "part",
      "data-path": part.path,
      "aria-pressed": "false",
      onclick,
    },
    html("b", part.title),
    ...part.outputs.map((one) => html("span.number", shape(one))),
    part.parameters ? html("span.hint", `${count(part.parameters)} parameters`) : null,
  );
}

/** The parts from the outermost to the one at a path. */
function trailTo(parts, path) {
  for (const part of parts) {
    if (part.path === path) return [part];
    if (path.startsWith(`${part.path}.`)) return [part, ...trailTo(part.parts, path)];
  }
  return [];
}

/** @param {Model} model */
function describe(model, trail, choose) {
  const part = trail[trail.length - 1];
  const steps = trail.map((one, i) =>
    i === trail.length - 1
      ? html("b", one.title)
      : html("button.line", { type: "button", onclick: () => choose(one.path) }, one.title),
  );
  const share = (100 * part.parameters) / model.parameters;
  const facts = [
    part.kind,
    `${count(part.parameters)} parameters (${format(share, 1)} %)`,
    part.calls === 0 ? "read, not called" : part.calls > 1 ? `runs ${part.calls} times; shapes of the first` : null,
  ];
  return html(
    "div",
    { "data-path": part.path },
    html("p.model-trail", ...steps.flatMap((step, i) => (i ? [" › ", step] : [step]))),
    html("p", part.about),
    html("p.hint", facts.filter(Boolean).join(" · ")),
    html(
      "div.model-flow",
      shapeList("in", part.inputs),
      html("div.model-here", part.title),
      shapeList("out", part.outputs),
    ),
    part.parts.length
      ? html("div.model-inner", ...part.parts.map((inner) => partButton(inner, () => choose(inner.path))))
      : null,
  );
}

function shapeList(way, shapes) {
  const none = way === "in" ? "nothing" : "–";
  const texts = shapes.length ? shapes.map(shape) : [none];
  return html(
    "div",
    { "data-role": `shapes-${way}` },
    html("span.hint", way),
    html("ul", ...texts.map((text) => html("li.number", text))),
  );
}

/** Sides with a thin cross between them. */
function shape(sides) {
  return sides.length ? sides.join(" × ") : "a number";
}

/** 2 239 877 as 2.24 M. */
function count(n) {
  if (n >= 1e6) return `${(n / 1e6).toFixed(2)} M`;
  return n >= 1e4 ? `${(n / 1e3).toFixed(0)} k` : `${n}`;
}
