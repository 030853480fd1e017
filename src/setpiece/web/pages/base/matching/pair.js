/** One pair in words and numbers: why it is, or is not, matched. */

import * as Assignment from "../assignment.js";
import { format, html, number } from "../dom.js";
import * as Loss from "../loss.js";
import * as Scene from "../scene.js";

/** A panel on the pair that the state looks at. */
export function create({ payload, state }) {
  const element = html("div.pair", { "data-role": "pair", "aria-live": "polite" });
  const draw = () => element.replaceChildren(...describe(Scene.of(payload, state), state));
  state.on((changed) => ["target", "query", "pinned"].some((name) => changed.has(name)) && draw());
  return { element, draw };
}

/** @param {Scene} scene */
function describe(scene, { target, query, pinned }) {
  if (!scene.targets.length) return [html("p.hint", "This image has no objects. Every query learns “no object”.")];
  if (target === null && query === null) return [html("p.hint", HINT)];
  if (target === null) return [html("h3", `Query ${scene.number(query)}`), html("p", without(scene, query))];
  if (query === null || query < 0)
    return [html("p", `Target ${target}: there are more targets than queries, and none is left.`)];
  const cost = Loss.pairCost(scene.image, scene.layer, target, query, scene.criterion);
  const title = `Target ${target} (${scene.className(target)}) with query ${scene.number(query)}`;
  return [
    html("h3", title, pinned && html("span.hint", " · held, Esc lets go")),
    equation(scene, cost),
    html("p", ...verdict(scene, target, query)),
  ];
}

const HINT =
  "Point at a box, a cell or a row to see the same pair everywhere. Click to keep it; Esc releases it. " +
  "In the matrix, the arrow keys move.";

/** @param {Scene} scene */
function without(scene, query) {
  const { name, score } = scene.best(query);
  const owner = scene.targetOf[query];
  const says = `It predicts ${name} with probability ${format(score, 2)}. `;
  return says + (owner < 0 ? "It has no target, so it learns “no object”." : `It is matched with target ${owner}.`);
}

/**
 * total = Σ λ · cost, with the numbers.
 * @param {Scene} scene
 */
function equation(scene, cost) {
  const part = (term, i) => [
    i ? " + " : "",
    html(
      `span.term-${term}`,
      `${format(scene.criterion.cost_weights[term], 2)} · (`,
      number(cost[term], `pair-${term}`),
      `) ${Loss.TERM_NAMES[term]}`,
    ),
  ];
  return html(
    "p.equation",
    html("b", "cost ", number(cost.total, "pair-total")),
    " = ",
    Loss.TERMS.flatMap(part),
    html("span.hint", " · IoU ", number(cost.iou, "pair-iou")),
  );
}

/** @param {Scene} scene */
function verdict(scene, target, query) {
  const own = scene.match[target] === query;
  return own ? whyMatched(scene, target) : whyNot(scene, target, query);
}

/** @param {Scene} scene */
function whyMatched(scene, target) {
  const { regret, column } = scene.regrets[target];
  if (!Number.isFinite(regret)) return ["Matched: no other set of pairs is possible."];
  const instead = column < 0 ? "the target would have no query" : `the target would get query ${scene.number(column)}`;
  return [
    `Matched. If this pair were forbidden, ${instead}, and the total would rise by `,
    number(regret, "pair-regret"),
    ".",
  ];
}

/** @param {Scene} scene */
function whyNot(scene, target, query) {
  const owner = scene.targetOf[query];
  const held = owner < 0 ? "has no target" : `is matched with target ${owner} (${scene.className(owner)})`;
  const rise = number(forcedRise(scene, target, query), "pair-rise");
  return [`Not matched: the query ${held}. With this pair, the smallest total would rise by `, rise, "."];
}

/**
 * By how much the optimum rises if the pair must be in it: what is left is solved again.
 * @param {Scene} scene
 */
function forcedRise(scene, target, query) {
  const cost = scene.costs.total;
  const rest = cost.filter((_, t) => t !== target).map((row) => row.filter((_, q) => q !== query));
  return cost[target][query] + Assignment.solve(rest).total - scene.total;
}
