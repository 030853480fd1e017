/** Chapter 4: what a pair costs: class probability, L1 and GIoU. */

import * as Assignment from "../../base/assignment.js";
import * as Controls from "../../base/controls.js";
import { format, html, number, prose, table } from "../../base/dom.js";
import * as Loss from "../../base/loss.js";
import * as Matching from "../../base/matching/matching.js";
import * as Picture from "../../base/picture.js";
import * as Layout from "../layout.js";
import * as Quiz from "../quiz.js";
import * as Scenes from "../scenes.js";
import * as WeightSliders from "../weight_sliders.js";

export const id = "cost";
export const title = "The matching cost";
export const questions = ["cheapest-query", "lambda", "weights"];

const FORMULA = `
  <h3>Three terms</h3>
  <p>How badly does prediction <i>q</i> fit object <i>t</i> with class <i>c</i> and box <i>b</i>?</p>
  <p class="tour-formula"><span>cost(<i>t</i>, <i>q</i>) =</span>
  <span class="term-class">− λ<sub>class</sub> p̂<sub><i>q</i></sub>(<i>c</i>)</span>
  <span class="term-l1">+ λ<sub>L1</sub> ‖<i>b</i> − b̂<sub><i>q</i></sub>‖₁</span>
  <span class="term-giou">− λ<sub>GIoU</sub> GIoU(<i>b</i>, b̂<sub><i>q</i></sub>)</span></p>
  <ul>
  <li><b class="term-class">Class.</b> p̂<sub><i>q</i></sub>(<i>c</i>) is the probability that the prediction
  gives to the object's own class. The more, the cheaper.</li>
  <li><b class="term-l1">L1.</b> A box is four numbers in [0, 1]: centre <i>x</i> and <i>y</i>, width and height, as
  parts of the picture. L1 adds up their four absolute differences.</li>
  <li><b class="term-giou">GIoU.</b> It is 1 for equal boxes and falls towards −1 for small boxes far apart. Chapter 6
  shows why both box terms are there.</li>
  </ul>
  <p>The weights are 1, 5 and 2. The class term is a <em>probability</em>, not its logarithm: like the box terms it
  stays within a small range, so that no term outweighs the others. A good pair has a cost below 0; only differences
  matter.</p>`;

const MATRIX = `
  <h3>All pairs at once</h3>
  <p>The costs of all pairs are a matrix with a row for each object and a column for each query. This view shows it
  for a picture with four objects. Two of them want the same query. Compare greedy with the optimum, step through the
  augmenting paths, and see every permutation with its cost. It is the view that <code>setpiece explain</code> makes
  of your own model.</p>`;

export function mount(element, { payload, marks }) {
  const shown = { ...payload, images: [payload.images[1]] };
  const view = html("div.tour-view", { "data-view": "matching" });
  element.append(
    Layout.section(prose(FORMULA), calculator(payload)),
    html("div.tour-text", prose(MATRIX)),
    view,
    Layout.questions(nearest(payload, marks), predict(payload, marks), turn(payload, marks)),
  );
  Matching.mount(view, shown, Scenes.state(shown, 0));
}

/**
 * An object and a query chosen by the reader, and the three terms of their cost.
 * @param {Payload} payload
 */
function calculator(payload) {
  const state = Scenes.state(payload, 0);
  const scene = Scenes.scene(payload, 0);
  const chosen = { target: 1, query: 1 };
  const picture = Picture.create({
    payload,
    state,
    label: "The chosen object and prediction",
    match: () => scene.targets.map(() => -1),
    only: () => [chosen.target],
    idle: () => [chosen.query],
  });
  const rows = html("tbody");
  const terms = table(["<term", "value", "weight", "adds"], rows, "The terms of the cost", "terms");
  const choose = (label, field, options) =>
    Controls.choice({
      label,
      role: field,
      options,
      value: String(chosen[field]),
      onchange: (value) => {
        chosen[field] = Number(value);
        draw();
      },
    });
  function draw() {
    const { cost_weights: weights } = payload.criterion;
    const cost = Loss.pairCost(scene.image, scene.layer, chosen.target, chosen.query, payload.criterion);
    rows.replaceChildren(...Loss.TERMS.map((term) => termRow(term, cost[term], weights[term])), sumRow(cost));
    picture.draw();
  }
  draw();
  return Layout.figure(
    "calculator",
    "Solid: the object. Dotted: the prediction.",
    choose(
      "Object",
      "target",
      scene.targets.map((target) => [String(target), scene.className(target)]),
    ),
    choose(
      "Query",
      "query",
      scene.queries.map((query) => [String(query), Scenes.says(scene, query)]),
    ),
    picture.element,
    terms,
  );
}

const MEANING = { class: "− probability", l1: "L1 distance", giou: "− GIoU" };

function termRow(term, value, weight) {
  return html(
    "tr",
    html(`td.text.term-${term}`, MEANING[term]),
    html("td", number(value, `value-${term}`)),
    html("td", "× ", format(weight, 0)),
    html("td", "= ", number(weight * value, `adds-${term}`)),
  );
}

function sumRow({ total }) {
  return html("tr.tour-sum", html("td.text", "cost"), html("td"), html("td"), html("td", number(total, "cost-total")));
}

/** "−0.46 + 0.10 − 1.86 = −2.22": the weighted terms of a cost. */
function sumOf(cost, weights) {
  const parts = Loss.TERMS.map((term) => weights[term] * cost[term]);
  const signed = parts.map((part, i) =>
    i === 0 ? format(part, 2) : `${part < 0 ? "−" : "+"} ${format(Math.abs(part), 2)}`,
  );
  const total = parts.reduce((a, b) => a + b, 0);
  return `${signed.join(" ")} = ${format(total, 2)}`;
}

/** @param {Payload} payload */
function nearest(payload, marks) {
  const [image, layer, target] = [payload.images[1], payload.layers.length - 1, 1];
  const { criterion } = payload;
  const costs = Loss.costs(image, layer, criterion);
  const own = costs.total[target];
  const cheapest = own.indexOf(Math.min(...own));
  const scene = Scenes.scene(payload, 1);
  const wording = (query) =>
    `query ${query}: ${sumOf(Loss.pairCost(image, layer, target, query, criterion), criterion.cost_weights)}`;
  return Quiz.question(marks, {
    id: "cheapest-query",
    ask: `<p>Only the ${scene.className(target)} is shown. The boxes are the predictions; their likeliest class stands
      on the buttons.</p><p><b>Which query is the cheapest for this ${scene.className(target)}</b>, all others
      aside?</p>`,
    control: Scenes.picker({ payload, image: 1, label: "One object and all predictions", one: true, target }),
    solution: () => [cheapest],
    judge: ([query]) => {
      if (query !== cheapest)
        return { right: false, why: `Its cost is not the smallest. ${Layout.capital(wording(query))}.` };
      const match = Assignment.solve(costs.total).match;
      const rival = match.indexOf(query);
      const gets =
        rival === target || rival < 0
          ? "In the optimum it gets this query."
          : `In the optimum it gets query ${match[target]} all the same: the ${scene.className(rival)} needs query
            ${query} more.`;
      return { right: true, why: `${Layout.capital(wording(query))}, in the order class, L1, GIoU. ${gets}` };
    },
  });
}

const CHANGES = [
  { key: "l1", weights: { l1: 10 }, text: "λ<sub>L1</sub> from 5 to 10" },
  { key: "giou", weights: { giou: 4 }, text: "λ<sub>GIoU</sub> from 2 to 4" },
  { key: "class", weights: { class: 4 }, text: "λ<sub>class</sub> from 1 to 4" },
];

/**
 * The star of the first picture: its index, its match under some weights, and what its two rivals cost.
 * @param {Payload} payload
 */
function star(payload, weights) {
  const [image, layer, target] = [payload.images[0], payload.layers.length - 1, 1];
  const criterion = Loss.criterion(payload.criterion, { cost_weights: weights });
  const { total } = Loss.costs(image, layer, criterion);
  return { query: Assignment.solve(total).match[target], costs: total[target] };
}

/** @param {Payload} payload */
function predict(payload, marks) {
  const before = star(payload, {});
  const outcomes = CHANGES.map((change) => ({ ...change, ...star(payload, change.weights) }));
  const swaps = outcomes.filter(({ query }) => query !== before.query);
  const rival = swaps[0].query;
  const told = outcomes.map(({ text, costs }) => {
    const [own, other] = [costs[before.query], costs[rival]].map((cost) => format(cost, 2));
    return `${text}: ${own} with query ${before.query}, ${other} with ${rival}`;
  });
  return Quiz.question(marks, {
    id: "lambda",
    ask: `<p>In the first picture the star is matched with query ${before.query}, which has the better box. Query
      ${rival} has the worse box and is surer that it is a star.</p><p><b>Which change gives the star to query
      ${rival}?</b></p>`,
    control: Quiz.choice(
      "lambda",
      outcomes.map(({ key, text }) => ({ value: key, text })),
    ),
    solution: () => swaps[0].key,
    judge: (answer) => ({
      right: swaps.some(({ key }) => key === answer),
      hint: `${told[outcomes.findIndex(({ key }) => key === answer)]}. The star stays with query ${before.query}.`,
      why: `What the star costs with each change: ${told.join("; ")}.
        The box weights favour the better box, the class weight the surer prediction.`,
    }),
  });
}

/**
 * By bisection: the class weight at which the star changes its query, a little beyond it.
 * @param {Payload} payload
 */
function turningPoint(payload, before) {
  let [low, high] = [0, 10];
  while (high - low > 0.05) {
    const middle = (low + high) / 2;
    if (star(payload, { class: middle }).query === before) low = middle;
    else high = middle;
  }
  return Math.ceil(high * 10) / 10;
}

/** @param {Payload} payload */
function turn(payload, marks) {
  const before = star(payload, {}).query;
  const tell = (weights) => {
    const { costs } = star(payload, weights);
    const named = costs
      .map((cost, query) => [cost, query])
      .sort((a, b) => a[0] - b[0])
      .slice(0, 2)
      .sort((a, b) => a[1] - b[1]);
    const parts = named.map(([cost, query]) => `${format(cost, 2)} with query ${query}`);
    return `The star costs ${Layout.list(parts)}.`;
  };
  return Quiz.question(marks, {
    id: "weights",
    ask: "<p>The first picture again. <b>Set the weights so that the star changes its query.</b></p>",
    control: WeightSliders.control(payload, tell),
    solution: () => ({ ...payload.criterion.cost_weights, class: turningPoint(payload, before) }),
    judge: (weights) => {
      const { query } = star(payload, weights);
      if (query === before)
        return { right: false, why: `Solved with your weights, the star still gets query ${before}.` };
      return {
        right: true,
        why: `Solved with your weights, the star gets query ${query}. The weights are a decision about what a good
          match is. With the box weights as they are, the class weight must be at least about
          ${format(turningPoint(payload, before), 1)}.`,
      };
    },
  });
}
