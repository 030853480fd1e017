/** The Matching chapter: who is matched with whom, at what cost, and how the optimum comes about. */

import * as Controls from "../controls.js";
import { html, svg } from "../dom.js";
import * as Loss from "../loss.js";
import * as Picture from "../picture.js";
import * as Scene from "../scene.js";
import * as Duplicates from "./duplicates.js";
import * as Greedy from "./greedy.js";
import * as Matrix from "./matrix.js";
import * as Pair from "./pair.js";
import * as Pairs from "./pairs.js";
import * as Solving from "./solving.js";

const CONFIDENT = 0.3; // probability from which a query without a target is worth a look

/**
 * Fill an element with the chapter.
 * @param {Payload} payload
 * @param {PageState} state
 */
export function mount(element, payload, state) {
  const costs = costsOf(payload, state);
  const others = [Pair, Pairs, Greedy, Duplicates, Solving].map((part) => part.create({ payload, state }));
  const [pair, pairs, greedy, duplicates, solving] = others;
  const { picture, choice } = pictureOf(payload, state);
  element.append(
    intro(),
    Controls.changedWeights(payload, state),
    html("div.panel.controls", Controls.layer(payload, state), choice),
    html(
      "div.columns",
      html("div.stack", picture, html("div.panel", pair.element)),
      html("div.panel", html("h3", "What every pair would cost"), costs.elements, matrixKey()),
    ),
    html("div.panel", html("h3", "The pairs"), pairs.element, html("p.hint", ...TABLE_HINT)),
    greedy.element,
    duplicates.element,
    solving.element,
  );
  const draw = () => [costs, ...others].forEach((part) => part.draw());
  state.on((changed) => ["image", "layer", "criterion"].some((name) => changed.has(name)) && draw());
  draw();
}

/**
 * The image, and which queries without a target it shows.
 * @param {Payload} payload
 * @param {PageState} state
 */
function pictureOf(payload, state) {
  let shown = "none";
  const idle = (scene) => {
    if (shown === "none") return [];
    const free = scene.queries.filter((query) => scene.targetOf[query] < 0);
    return shown === "all" ? free : free.filter((query) => scene.best(query).score >= CONFIDENT);
  };
  const picture = Picture.create({ payload, state, label: "Targets and their matched predictions", idle });
  const choice = Controls.choice({
    label: "Queries without a target",
    role: "idle",
    options: ["none", "confident", "all"].map((key) => [key, key]),
    value: shown,
    onchange: (key) => {
      shown = key;
      picture.draw();
    },
  });
  return { picture: html("div.panel", html("h3", "The image"), picture.element, pictureKey()), choice };
}

/**
 * The cost matrix, and the order of its columns.
 * @param {Payload} payload
 * @param {PageState} state
 */
function costsOf(payload, state) {
  let [order, target] = ["match", 0];
  const cheapest = (scene) => Matrix.cheapest(scene, Math.min(target, scene.targets.length - 1));
  const matrix = Matrix.create({
    state,
    scene: () => Scene.of(payload, state),
    columns: (scene) => (order === "match" ? Matrix.relevant(scene) : cheapest(scene)),
    label: "Cost of every target with the most relevant queries",
  });
  const choice = Controls.choice({
    label: "First",
    role: "columns",
    options: [
      ["match", "matched queries"],
      ["target", "cheapest of the held target"],
    ],
    value: order,
    onchange: (key) => {
      order = key;
      matrix.draw();
    },
  });
  state.on((changed) => {
    if (!state.pinned || state.target === null || !(changed.has("target") || changed.has("pinned"))) return;
    target = state.target;
    if (order === "target") matrix.draw();
  });
  return { elements: [choice, matrix.element], draw: matrix.draw };
}

const TABLE_HINT = [
  "Probability: of the target's class. Costs are unweighted; the total is weighted; lower is better. ",
  "Regret: how much the total of all pairs rises if this pair is forbidden and all is solved again. ",
  "Runner-up: the query that the target gets then.",
];

function intro() {
  return html(
    "div",
    html("h2", "Matching"),
    html(
      "p.lead",
      "Each target gets one object query, so that the total cost is as small as possible. A matched query learns the ",
      "class and the box of its target. All other queries learn “no object”.",
    ),
  );
}

function pictureKey() {
  return html(
    "div.legend",
    lineKey("var(--target)", null, "target"),
    lineKey("var(--prediction)", "6 3", "its matched prediction"),
    lineKey("var(--no-object)", "2 3", "query without a target"),
    html("span.key", "● — ◆ centres of a pair"),
  );
}

function lineKey(stroke, dashes, text) {
  const line = { fill: "none", stroke, "stroke-width": 2, "stroke-dasharray": dashes };
  const box = svg("rect", { x: 1.5, y: 1.5, width: 21, height: 9, ...line });
  return html("span.key", svg("svg", { width: 24, height: 12, "aria-hidden": "true" }, box), text);
}

function matrixKey() {
  return html(
    "div.legend",
    html(
      "span.key",
      "Number: total cost; a stronger colour is cheaper. Bars: weighted terms, on a square-root scale; down is cheaper.",
    ),
    ...Loss.TERMS.map((term) => Controls.key(term, Loss.TERM_NAMES[term])),
    html("span.key", html("b.ring"), "matched"),
    html("span.key", html("b.ring.dashed"), "runner-up"),
  );
}
