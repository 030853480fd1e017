/** Sliders for the weights of the criterion; whoever shows match or loss computes them again. */

import * as Controls from "../controls.js";
import { button, format, html, number } from "../dom.js";
import * as Loss from "../loss.js";
import * as Scene from "../scene.js";

const LAMBDAS = Loss.TERMS.map((term) => [term, `λ ${Loss.TERM_NAMES[term]}`]);

/** @returns {{element: HTMLElement, draw: function()}} */
export function create({ payload, state }) {
  const base = payload.criterion;
  const set = (overrides) => state.set({ criterion: Loss.criterion(state.criterion, overrides) });
  const sliders = [...LAMBDAS.map(([term, label]) => lambda(base, term, label, set)), negatives(base, set)];
  const changes = html("p", { "aria-live": "polite", "data-role": "changes" });
  const reset = button("Use the weights of the model", "reset-weights", () => state.set({ criterion: base }));
  const element = html(
    "div.panel",
    { "data-role": "weights" },
    html("h3", "Layer and weights"),
    html("div.sliders", Controls.layer(payload, state), ...sliders.map(({ element }) => element)),
    html("div.controls", reset, changes),
    html("p.hint", explain(base)),
  );

  function draw() {
    const scene = Scene.of(payload, state);
    for (const { show, read } of sliders) show(read(state.criterion));
    reset.disabled = scene.isRecorded;
    if (scene.isRecorded) {
      changes.textContent = "These are the weights of the model. Move a slider: match and loss are computed again.";
      return;
    }
    const before = format(scene.image.loss[state.layer].total);
    const now = number(scene.loss.total, "loss-now");
    changes.replaceChildren(`Loss ${before} → `, now, `. ${changed(scene)}${among(scene)}`);
  }
  return { element, draw };
}

/** A λ acts on the loss and on the matching cost, whose own λ keeps its ratio to the loss's. */
function lambda(base, term, label, set) {
  const own = base.weights[term];
  const ratio = own ? base.cost_weights[term] / own : 1;
  const slider = Controls.slider({
    label,
    role: `lambda-${term}`,
    min: 0,
    max: Math.max(10, 2 * own),
    step: 0.05,
    value: own,
    oninput: (value) => set({ weights: { [term]: value }, cost_weights: { [term]: ratio * value } }),
  });
  return { ...slider, read: (criterion) => criterion.weights[term] };
}

/** How much the queries without a target count. */
function negatives(base, set) {
  const { setting, name, max } = Loss.NEGATIVES[base.form];
  const slider = Controls.slider({
    label: name,
    role: setting,
    min: 0,
    max,
    step: 0.01,
    value: base[setting],
    oninput: (value) => set({ [setting]: value }),
  });
  return { ...slider, read: (criterion) => criterion[setting] };
}

function explain({ form, weights, cost_weights }) {
  const differing = LAMBDAS.filter(([term]) => cost_weights[term] !== weights[term]).map(
    ([term, label]) =>
      `${label} is ${weights[term]} in the loss and ${cost_weights[term]} in the matching cost; their ratio is kept.`,
  );
  const { name, meaning } = Loss.NEGATIVES[form];
  const none = `The ${name} is ${meaning};`;
  return ["Each λ changes the matching and the loss.", ...differing, none, "the matching does not read it."].join(" ");
}

/** Another match may need a query that was left out of the page: what it is sought among has to be said. */
function among({ queries, queryCount }) {
  if (queries.length === queryCount) return "";
  return ` Solved among the ${queries.length} of ${queryCount} queries that this page keeps.`;
}

/** @param {Scene} scene */
function changed(scene) {
  const moved = scene.targets.filter((t) => scene.match[t] !== scene.recorded[t]);
  if (!moved.length) return "Every target keeps its query.";
  const name = (query) => (query < 0 ? "none" : scene.number(query));
  const move = (t) => `${t} (${name(scene.recorded[t])} → ${name(scene.match[t])})`;
  const list = moved.slice(0, 6).map(move).join(", ") + (moved.length > 6 ? ", …" : "");
  return `${moved.length} of ${scene.targets.length} targets change their query: ${list}.`;
}
