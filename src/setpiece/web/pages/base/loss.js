/**
 * Matching costs and the Hungarian loss of one image at one layer, by the formulas of setloss/classification.py,
 * matching.py and criterion.py, in double precision. The image is a batch of its own: the normalisers are its own.
 */

import * as Assignment from "./assignment.js";
import * as Boxes from "./boxes.js";
import * as Data from "./data.js";

export const TERMS = ["class", "l1", "giou"];

/** What a person reads for each. */
export const TERM_NAMES = { class: "class", l1: "L1", giou: "GIoU" };

/** The weight in each form's class loss that says how much queries without a target count. */
export const NEGATIVES = {
  softmax: {
    setting: "no_object_weight",
    name: "no-object weight",
    max: 1,
    meaning: "the weight of a query without a target in the cross-entropy",
  },
  sigmoid: {
    setting: "negative_weight",
    name: "negative weight",
    max: 2,
    meaning: "the weight of probability given to a wrong class",
  },
};
const computed = new WeakMap();

/** log(1 + eᶻ) without overflow. */
const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
const sigmoid = (z) => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z)));

/** A criterion with some settings replaced; `weights` and `cost_weights` may be given in part. */
export function criterion(base, overrides = {}) {
  return {
    ...base,
    ...overrides,
    weights: { ...base.weights, ...overrides.weights },
    cost_weights: { ...base.cost_weights, ...overrides.cost_weights },
  };
}

/** What a unit of each term counts: Σ λ · term. */
function weigh(terms, weights) {
  return TERMS.reduce((sum, term) => sum + weights[term] * terms[term], 0);
}

/**
 * Log-probability (softmax) or logit (sigmoid) of target t's class by every query.
 * @param {ReportImage} image
 */
function scoresOf(image, layer, target) {
  return Data.row(image.scores, layer, image.columns.indexOf(image.targets.labels[target]));
}

/**
 * Probability of a target's class by a query.
 * @param {ReportImage} image
 */
export function probability(image, layer, target, query, form) {
  const score = scoresOf(image, layer, target)[query];
  return form === "softmax" ? Math.exp(score) : sigmoid(score);
}

/** The class term of the matching cost, from a score. */
function classCost(form, score) {
  if (form === "softmax") return -Math.exp(score);
  const p = sigmoid(score);
  return 0.25 * (1 - p) ** 2 * softplus(-score) - 0.75 * p ** 2 * softplus(score);
}

/**
 * The three costs of giving a target to a query, without weights, and their weighted total; also the IoU.
 * @param {ReportImage} image
 * @param {Criterion} criterion
 */
export function pairCost(image, layer, target, query, criterion) {
  const wanted = Data.row(image.targets.boxes, target);
  const predicted = Data.row(image.boxes, layer, query);
  const { iou, giou } = Boxes.overlaps(wanted, predicted);
  const ofClass = classCost(criterion.form, scoresOf(image, layer, target)[query]);
  const cost = { class: ofClass, l1: Boxes.l1(wanted, predicted), giou: -giou, iou };
  return { ...cost, total: weigh(cost, criterion.cost_weights) };
}

/**
 * The cost of every pair, by term without weights, and weighted in total.
 * @param {ReportImage} image
 * @param {Criterion} criterion
 * @returns {{class: number[][], l1: number[][], giou: number[][], total: number[][]}} each targets × queries
 */
export function costs(image, layer, criterion) {
  const terms = termsOf(image, layer, criterion);
  const [byClass, byL1, byGiou] = TERMS.map((term) => terms[term]);
  const weights = criterion.cost_weights;
  const total = byL1.map((row, t) =>
    row.map((cost, q) => weights.class * byClass[t][q] + weights.l1 * cost + weights.giou * byGiou[t][q]),
  );
  return { ...terms, total };
}

/**
 * The terms are the same under all weights: they are computed once.
 * @param {ReportImage} image
 * @param {Criterion} criterion
 */
function termsOf(image, layer, criterion) {
  if (!computed.has(image)) computed.set(image, []);
  const layers = computed.get(image);
  if (!layers[layer]) {
    layers[layer] = { class: [], l1: [], giou: [] };
    image.targets.labels.forEach((_, t) => {
      const row = Array.from({ length: image.boxes.shape[1] }, (_, q) => pairCost(image, layer, t, q, criterion));
      for (const term of TERMS) layers[layer][term].push(row.map((cost) => cost[term]));
    });
  }
  return layers[layer];
}

/**
 * The optimal query of every target, −1 where one is left over.
 * @param {ReportImage} image
 * @param {Criterion} criterion
 */
export function match(image, layer, criterion) {
  return Assignment.solve(costs(image, layer, criterion).total).match;
}

/**
 * Queries of the model that are not on the page: how many, and the sum of their `rest` at this layer.
 * @param {ReportImage} image
 */
function dropped(image, layer) {
  return { count: image.dropped.count, rest: Data.array(image.dropped.rest).values[layer] };
}

/**
 * The class loss, in the softmax form: of every pair, of every query without a target, of those not on the page.
 * @param {ReportImage} image
 * @param {Criterion} criterion
 */
function softmaxClass(image, layer, criterion, match) {
  const matched = new Set(match);
  const rest = Data.row(image.rest, layer);
  const beyond = dropped(image, layer);
  const pairs = match.map((query, t) => (query < 0 ? 0 : -scoresOf(image, layer, t)[query]));
  const count = match.filter((query) => query >= 0).length;
  const weight = count + criterion.no_object_weight * (rest.length + beyond.count - count);
  const share = (loss) => (criterion.no_object_weight * loss) / weight;
  return {
    pairs: pairs.map((loss) => loss / weight),
    noObject: Array.from(rest, (loss, query) => (matched.has(query) ? 0 : share(loss))),
    beyond: share(beyond.rest),
  };
}

/**
 * The class loss, in the sigmoid form. A matched query's share includes pushing its other classes down.
 * @param {ReportImage} image
 * @param {Criterion} criterion
 */
function sigmoidClass(image, layer, criterion, match, ious) {
  const matched = new Set(match);
  const rest = Data.row(image.rest, layer);
  const count = Math.max(match.length, 1);
  const pairs = match.map((query, t) => {
    if (query < 0) return 0;
    const z = scoresOf(image, layer, t)[query];
    const aim = ious[t] ** criterion.quality_power;
    const others = rest[query] - sigmoid(z) ** criterion.quality_power * softplus(z);
    return aim * softplus(-z) + (1 - aim) * softplus(z) + criterion.negative_weight * others;
  });
  const share = (loss) => (criterion.negative_weight * loss) / count;
  return {
    pairs: pairs.map((loss) => loss / count),
    noObject: Array.from(rest, (loss, query) => (matched.has(query) ? 0 : share(loss))),
    beyond: share(dropped(image, layer).rest),
  };
}

/**
 * The weighted loss of an image at a layer under a match.
 * @param {ReportImage} image
 * @param {Criterion} criterion
 * @returns {{class, l1, giou, no_object, total: number, noObjectOf: number[], pairs: object[]}}
 *   `noObjectOf`: the share of each query without a target. Per target in `pairs`: its query, unweighted costs, IoU,
 *   weighted loss by term, and the gradient of the loss by its predicted cxcywh (null: no query)
 */
export function of(image, layer, criterion, match) {
  const count = Math.max(match.length, 1);
  const pairs = match.map((query, target) => {
    if (query < 0) return { target, query, loss: null, gradient: null };
    return { target, query, ...pairCost(image, layer, target, query, criterion) };
  });
  const byClass =
    criterion.form === "softmax"
      ? softmaxClass(image, layer, criterion, match)
      : sigmoidClass(
          image,
          layer,
          criterion,
          match,
          pairs.map((pair) => pair.iou),
        );
  const noObjectOf = byClass.noObject.map((loss) => criterion.weights.class * loss);
  const beyond = criterion.weights.class * byClass.beyond;
  const sum = { class: 0, l1: 0, giou: 0, no_object: noObjectOf.reduce((a, b) => a + b, beyond) };
  for (const pair of pairs) {
    if (pair.query < 0) continue;
    pair.loss = {
      class: criterion.weights.class * byClass.pairs[pair.target],
      l1: (criterion.weights.l1 * pair.l1) / count,
      giou: (criterion.weights.giou * (1 + pair.giou)) / count,
    };
    pair.loss.total = pair.loss.class + pair.loss.l1 + pair.loss.giou;
    pair.gradient = gradient(image, layer, pair, criterion.weights, count);
    for (const term of TERMS) sum[term] += pair.loss[term];
  }
  return { ...sum, total: sum.class + sum.l1 + sum.giou + sum.no_object, noObjectOf, pairs };
}

/**
 * ∂ loss / ∂ predicted cxcywh of a pair. The class term has no part in it: its quality is not differentiated.
 * @param {ReportImage} image
 */
function gradient(image, layer, { target, query }, weights, count) {
  const predicted = Data.row(image.boxes, layer, query);
  const wanted = Data.row(image.targets.boxes, target);
  const byL1 = Boxes.l1Gradient(predicted, wanted);
  const byGiou = Boxes.giouGradient(predicted, wanted);
  return byL1.map((slope, i) => (weights.l1 * slope - weights.giou * byGiou[i]) / count);
}
