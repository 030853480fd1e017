/** Chapter 5: the Hungarian loss: what every query is taught once the match is made. */

import * as Controls from "../../base/controls.js";
import { format, html, number, prose } from "../../base/dom.js";
import * as Loss from "../../base/loss.js";
import * as LossView from "../../base/loss_view/loss_view.js";
import * as Layout from "../layout.js";
import * as Quiz from "../quiz.js";
import * as Scenes from "../scenes.js";

export const id = "loss";
export const title = "The Hungarian loss";
export const questions = ["no-object", "heavier", "largest-loss"];

const LOSS = `
  <h3>From the match to the loss</h3>
  <p>The match σ̂ is found without any gradient. Then every query is trained to predict its partner. This is the <dfn>Hungarian loss</dfn>:</p>
  <p class="tour-formula"><span>loss = Σ over all queries</span>
  <span class="term-class">− λ<sub>class</sub> <i>w</i> log p̂(<i>c</i>)</span>
  <span>+ Σ over matched pairs</span>
  <span class="term-l1">λ<sub>L1</sub> ‖<i>b</i> − b̂‖₁</span>
  <span class="term-giou">+ λ<sub>GIoU</sub> (1 − GIoU(<i>b</i>, b̂))</span></p>
  <ul>
  <li>A query with an object learns its class (<i>w</i> = 1) and its box.</li>
  <li>A query without one learns to say ∅ (<i>c</i> = ∅, <i>w</i> = 0.1). It has no box to learn.</li>
  <li>The class term is divided by the sum of the weights <i>w</i>, the box terms by the number of objects. Each
  decoder layer is matched by itself and has its own loss: the <dfn>auxiliary losses</dfn>.</li>
  </ul>
  <p>The class term is now a logarithm: the cross-entropy, which is what trains probabilities. In the cost it was the
  probability itself. Cost and loss look alike but differ.</p>`;

const NONE = `
  <h3>No-object counts a tenth</h3>
  <p>Most queries have no object. With equal weights they would make up nearly all of the class loss, and a model that
  always says ∅ would have a small loss. So each has a weight of 0.1.</p>`;

const VIEW = `
  <h3>The loss of this picture</h3>
  <p>Move the weights: the page matches again and computes the loss again. The arrows show where the negative gradient
  pushes the edges of each matched box.</p>`;

export function mount(element, { payload, marks }) {
  const shown = { ...payload, images: [payload.images[0]] };
  const view = html("div.tour-view", { "data-view": "loss" });
  element.append(
    Layout.section(prose(LOSS), balance(payload.criterion.no_object_weight), html("div.panel.tour-text", prose(NONE))),
    html("div.tour-text", prose(VIEW)),
    view,
    Layout.questions(taughtNothing(payload, marks), heavier(payload, marks), largest(payload, marks)),
  );
  LossView.mount(view, shown, Scenes.state(shown, 0));
}

/** Which part of the class loss's weight belongs to no-object, for some numbers of queries and objects. */
function balance(weight) {
  const now = { queries: 100, objects: 5, weight };
  const bar = html("div.tour-balance", html("i.of-objects"), html("i.of-none"));
  const told = Layout.status("balance-status");
  const draw = () => {
    const none = now.weight * (now.queries - now.objects);
    const share = none / (none + now.objects);
    bar.style.setProperty("--part", share);
    told.replaceChildren(
      `${now.objects} × 1 for the objects and ${now.queries - now.objects} × ${format(now.weight, 2)} = `,
      number(none, "none-weight", 1),
      " for ∅: ",
      number(100 * share, "none-share", 0),
      " % of the weight is no-object.",
    );
  };
  const slider = (label, key, min, max, step, digits) =>
    Controls.slider({
      label,
      role: `balance-${key}`,
      min,
      max,
      step,
      value: now[key],
      write: (value) => format(value, digits),
      oninput: (value) => {
        now[key] = value;
        draw();
      },
    }).element;
  const sliders = [
    slider("Queries", "queries", 20, 900, 10, 0),
    slider("Objects", "objects", 1, 20, 1, 0),
    slider("Weight of ∅", "weight", 0, 1, 0.05, 2),
  ];
  draw();
  return Layout.figure("balance", "Filled: queries with an object. Hatched: no-object.", sliders, bar, told);
}

/**
 * @param {Payload} payload
 * @param {Criterion} criterion
 */
function matchOf(payload, criterion = payload.criterion) {
  return Loss.match(payload.images[0], payload.layers.length - 1, criterion);
}

/** @param {Payload} payload */
function taughtNothing(payload, marks) {
  const scene = Scenes.scene(payload, 0);
  const free = scene.queries.filter((query) => scene.targetOf[query] < 0);
  const surest = [...free].sort((a, b) => scene.best(b).score - scene.best(a).score)[0];
  return Quiz.question(marks, {
    id: "no-object",
    ask: "<p><b>Choose every query that is trained towards no-object.</b> Click boxes or buttons.</p>",
    control: Scenes.picker({ payload, image: 0, label: "Three objects and six predictions" }),
    solution: () => free,
    judge: (chosen) => {
      const wrong = chosen.filter((query) => !free.includes(query));
      const missing = free.filter((query) => !chosen.includes(query));
      if (wrong.length) {
        const whom = wrong.map(
          (query) => `query ${query} is matched with the ${scene.className(scene.targetOf[query])}`,
        );
        return { right: false, why: `${Layout.capital(Layout.list(whom))}.` };
      }
      if (missing.length)
        return {
          right: false,
          why: `Some are missing: ${missing.length}. It does not matter how sure a query is.`,
        };
      const { name, score } = scene.best(surest);
      return {
        right: true,
        why: `All that the match leaves over, also query ${surest}: it says ${name} with probability
          ${format(score, 2)}, but another query has that object at a smaller cost. So it learns to be silent, and
          nothing needs to remove duplicates later.`,
      };
    },
  });
}

/** @param {Payload} payload */
function heavier(payload, marks) {
  const layer = payload.layers.length - 1;
  const heavy = Loss.criterion(payload.criterion, { no_object_weight: 1 });
  const [before, after] = [matchOf(payload), matchOf(payload, heavy)];
  const loss = (criterion, match) => Loss.of(payload.images[0], layer, criterion, match);
  const moved = String(before) !== String(after);
  const [light, full] = [loss(payload.criterion, before), loss(heavy, after)];
  const changes = Math.abs(light.total - full.total) > 1e-9;
  const truth = `${moved ? "match" : ""}${changes ? "loss" : ""}`;
  return Quiz.question(marks, {
    id: "heavier",
    ask: "<p>The weight of no-object is raised from 0.1 to 1.</p><p><b>What changes for this picture?</b></p>",
    control: Quiz.choice("heavier", [
      { value: "matchloss", text: "the match and the loss" },
      { value: "loss", text: "the loss only" },
      { value: "match", text: "the match only" },
      { value: "", text: "neither" },
    ]),
    solution: () => truth,
    judge: (answer) => ({
      right: answer === truth,
      hint: answer.startsWith("match")
        ? `Solved with both weights: the match is [${before.join(", ")}], then [${after.join(", ")}].`
        : `Computed with both weights: the loss is ${format(light.total)}, then ${format(full.total)}.`,
      why: `Computed with both: the match is [${before.join(", ")}] and [${after.join(", ")}], since the cost knows no
        ∅. The part of the loss that trains towards ∅ goes from ${format(light.no_object, 3)} to
        ${format(full.no_object, 3)}.`,
    }),
  });
}

/** @param {Payload} payload */
function largest(payload, marks) {
  const scene = Scenes.scene(payload, 0);
  const pairs = scene.loss.pairs;
  const worst = pairs.reduce((a, b) => (b.loss.total > a.loss.total ? b : a));
  const name = ({ target, query }) => `${scene.className(target)} and query ${query}`;
  const told = pairs.map((pair) => {
    const parts = Loss.TERMS.map((term) => format(pair.loss[term]));
    return `${name(pair)}: ${parts.join(" + ")} = ${format(pair.loss.total)}`;
  });
  return Quiz.question(marks, {
    id: "largest-loss",
    ask: `<p>Look at the picture and at how sure the matched queries are.</p>
      <p><b>Which pair adds most to the loss?</b></p>`,
    control: Quiz.choice(
      "largest-loss",
      pairs.map((pair) => ({ value: pair.target, text: name(pair) })),
    ),
    solution: () => worst.target,
    judge: (answer) => ({
      right: answer === worst.target,
      hint: `This pair adds ${format(pairs[answer].loss.total)}. Another one adds more.`,
      why: `Class, L1 and GIoU, weighted: ${told.join("; ")}. A match is only the best that there is: its loss can
        still be large.`,
    }),
  });
}
