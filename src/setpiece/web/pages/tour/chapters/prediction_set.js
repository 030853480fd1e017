/** Chapter 2: the set of predictions, and the objects padded with no-object to the same number. */

import * as Assignment from "../../base/assignment.js";
import * as Data from "../../base/data.js";
import { button, format, html, number, prose, table } from "../../base/dom.js";
import * as Loss from "../../base/loss.js";
import * as Picture from "../../base/picture.js";
import * as Scene from "../../base/scene.js";
import * as State from "../../base/state.js";
import * as Layout from "../layout.js";
import * as Quiz from "../quiz.js";
import * as Scenes from "../scenes.js";

export const id = "set";
export const title = "Predictions and padding";
export const questions = ["padding", "shuffle", "left-over"];

const PREDICTIONS = `
  <h3>The answer is a set</h3>
  <p>A detection transformer always makes the same number <i>Q</i> of predictions, one for each of its
  <dfn>object queries</dfn>. A prediction is a box and a probability for every class and for one more: <dfn>no-object</dfn>,
  written ∅. The probabilities of the six classes and that of ∅ add up to 1.</p>
  <p>The predictions are a <em>set</em>. They have no order, and none is made for a certain object. Shuffle
  them: the match names other queries, and its cost stays the same.</p>`;

const PADDING = `
  <h3>The ground truth, padded</h3>
  <p>The objects are a set, too, and a smaller one: <i>T</i> of them. To pair the two sets one to one, fill the
  objects up with ∅ until there are <i>Q</i>. Here:</p>
  <p class="tour-formula" data-role="padded"></p>
  <p>A match now pairs the two sets one to one. A query paired with an object learns to find that object. A query
  paired with ∅ learns to say ∅. So the model learns to predict each object once, and needs no non-maximum suppression
  afterwards.</p>
  <p>Pairing a query with ∅ costs nothing, whichever query it is. So the padding decides nothing, and the code leaves
  it out: a match is one number for each object, the query that it gets. For a batch it is the tensor
  <code>match</code> of shape <code>(L, B, T)</code>: decoder layers, images, and the largest number of objects in an
  image; it is −1 where an image has fewer.</p>`;

export function mount(element, { payload, marks }) {
  const text = prose(PADDING);
  const image = payload.images[0];
  const queries = image.boxes.shape[1];
  const names = image.targets.labels.map((label) => payload.classes[label]);
  const padded = [...names, ...new Array(queries - names.length).fill("∅")];
  /** @type {Element} */ (text.querySelector("[data-role=padded]")).textContent = `( ${padded.join(", ")} )`;
  element.append(
    Layout.section([prose(PREDICTIONS), text], predictions(payload)),
    Layout.questions(unmatched(payload, marks), shuffled(payload, marks), leftOver(queries, marks)),
  );
}

/**
 * A payload whose images hold the first one with its queries numbered anew, and a state that looks at it.
 * @param {Payload} payload
 */
function renumbered(payload) {
  const [image] = payload.images;
  const shown = { ...payload, images: [image] };
  const state = Scenes.state(shown, 0);
  const renumber = (order) => {
    shown.images.push({ ...image, queries: Scenes.integers(order) });
    state.set({ image: shown.images.length - 1, target: null, query: null, pinned: false });
  };
  return { shown, state, renumber };
}

/** @param {Payload} payload */
function predictions(payload) {
  const { shown, state, renumber } = renumbered(payload);
  const body = html("tbody");
  const heads = ["<query", "<paired with", "<predicts", "", "∅"];
  const sixPredictions = table(heads, body, "The six predictions", "predictions");
  const told = Layout.status("set-status");
  const picture = Picture.create({
    payload: shown,
    state,
    label: "Six predictions and three objects",
    idle: (scene) => scene.queries.filter((query) => scene.targetOf[query] < 0),
  });

  function draw() {
    const scene = Scene.of(shown, state);
    const sorted = [...scene.queries].sort((a, b) => scene.number(a) - scene.number(b));
    body.replaceChildren(...sorted.map((query) => line(scene, query, state)));
    const match = scene.match.map((query) => scene.number(query));
    told.replaceChildren(
      `match = [${match.join(", ")}], cost `,
      number(scene.total, "set-cost"),
      ", loss ",
      number(scene.loss.total, "set-loss"),
    );
    told.dataset.match = String(match);
  }
  state.on((changed) => (changed.has("image") ? draw() : mark()));
  const mark = () => {
    for (const line of body.children) line.classList.toggle("current", Number(line.dataset.query) === state.query);
  };
  draw();
  const shuffle = button("Shuffle the queries", "shuffle", () => {
    const scene = Scene.of(shown, state);
    renumber(Scenes.shuffled(scene.queries.map(scene.number)));
  });
  return Layout.figure(
    "set",
    "Solid: objects. Dashed: predictions with an object. Dotted: paired with ∅. Point at a row to find its box.",
    picture.element,
    sixPredictions,
    told,
    Layout.row(shuffle),
  );
}

/**
 * @param {Scene} scene
 * @param {PageState} state
 */
function line(scene, query, state) {
  const { name, score } = scene.best(query);
  const none = Math.exp(-Data.row(scene.image.rest, scene.layer)[query]);
  const target = scene.targetOf[query] < 0 ? null : scene.targetOf[query];
  const look = () => State.hover(state, target, query);
  const leave = () => State.hover(state, null, null);
  return html(
    "tr",
    { tabindex: 0, "data-query": query, onpointerenter: look, onpointerleave: leave, onfocus: look, onblur: leave },
    html("td.text", scene.number(query)),
    html("td.text", target === null ? "∅" : `${target} ${scene.className(target)}`),
    html("td.text", name),
    html("td", html("i.tour-bar", { style: { "--part": score } }), number(score, "score", 2)),
    html("td", number(none, "none", 2)),
  );
}

/** @param {Payload} payload */
function unmatched(payload, marks) {
  const image = payload.images[1];
  const match = Loss.match(image, payload.layers.length - 1, payload.criterion);
  const queries = image.boxes.shape[1];
  const objects = match.length;
  const none = queries - match.filter((query) => query >= 0).length;
  return Quiz.question(marks, {
    id: "padding",
    ask: `<p>Another picture has <b>${objects} objects</b>, and the model makes <b>${queries} predictions</b>.</p>
      <p><b>How many of the predictions are paired with ∅?</b></p>`,
    control: Quiz.numberInput("Predictions"),
    solution: () => none,
    judge: (answer) => ({
      right: answer === none,
      hint: "Fill the objects up with ∅ to as many as there are predictions, and count the ∅.",
      why: `The ${Layout.count(objects, "object")} are filled up with ${queries} − ${objects} = ${none} times ∅,
        and each ∅ goes to one prediction. With 100 queries and ${objects} objects it would be ${100 - objects}.`,
    }),
  });
}

/** @param {Payload} payload */
function shuffled(payload, marks) {
  const image = payload.images[0];
  const { total } = Loss.costs(image, payload.layers.length - 1, payload.criterion);
  const turned = total.map((line) => [...line].reverse());
  const [before, after] = [Assignment.solve(total), Assignment.solve(turned)];
  const sameMatch = String(before.match) === String(after.match);
  const sameCost = Math.abs(before.total - after.total) < 1e-9;
  const truth = `${sameMatch ? "same" : "other"}-${sameCost ? "same" : "other"}`;
  return Quiz.question(marks, {
    id: "shuffle",
    ask: `<p>Turn the order of the predictions around: the last comes first.</p>
      <p><b>What happens to the numbers in <code>match</code>, and to the cost of the match?</b></p>`,
    control: Quiz.choice("shuffle", [
      { value: "same-same", text: "both stay" },
      { value: "other-same", text: "<code>match</code> changes, its cost stays" },
      { value: "other-other", text: "both change" },
    ]),
    solution: () => truth,
    judge: (answer) => ({
      right: answer === truth,
      hint: answer.startsWith("same")
        ? `Computed for the first picture: [${before.match.join(", ")}] becomes [${after.match.join(", ")}].`
        : `Computed for the first picture: the cost is ${format(before.total)}, then ${format(after.total)}.`,
      why: `Computed for the first picture: [${before.match.join(", ")}] becomes [${after.match.join(", ")}], and the
        cost is ${format(before.total)} before and ${format(after.total)} after. The same predictions find the same
        objects under other numbers. A loss built on the match therefore does not depend on the order.`,
    }),
  });
}

function leftOver(queries, marks) {
  const objects = queries + 2;
  const cost = Array.from({ length: objects }, (_, t) => Array.from({ length: queries }, (_, q) => (t * q) % 5));
  const without = Assignment.solve(cost).match.filter((query) => query < 0).length;
  return Quiz.question(marks, {
    id: "left-over",
    ask: `<p>The same model with <b>${queries} queries</b> meets a crowd of <b>${objects} objects</b>.</p>
      <p><b>How many objects get no query?</b></p>`,
    control: Quiz.numberInput("Objects"),
    solution: () => without,
    judge: (answer) => ({
      right: answer === without,
      hint: `There are ${queries} queries, and each goes to one object at most.`,
      why: `A query goes to one object at most, so ${queries} objects get one and ${without} get none: their entry in
        <code>match</code> is −1, and nothing teaches the model to find them. <i>Q</i> should be at least the
        largest number of objects in a picture.`,
    }),
  });
}
