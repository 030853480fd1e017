/** Greedy beside optimal: the targets that would get another query if the cheapest pair were always taken first. */

import * as Assignment from "../assignment.js";
import { format, html, number, table } from "../dom.js";
import * as Picture from "../picture.js";
import * as Scene from "../scene.js";
import * as Pairs from "./pairs.js";

const NAMES = ["<target", "optimal query", "cost", "greedy query", "cost", "difference"];
const RULE = "Taking the cheapest pair first, then the cheapest of the rest,";

/** @returns {{element: HTMLElement, draw: function()}} */
export function create({ payload, state }) {
  const summary = html("p", { "data-role": "greedy-summary" });
  const sides = [
    side(payload, state, "Optimal", (scene) => scene.match),
    side(payload, state, "Greedy", (scene) => scene.greedy.match),
  ];
  const body = html("tbody");
  const details = html(
    "div.stack.tight",
    html("div.columns", ...sides.map(({ element }) => element)),
    table(NAMES, body, "Greedy and optimal queries", "greedy-table"),
  );
  const element = html("div.panel", { "data-role": "greedy" }, html("h3", "Greedy beside optimal"), summary, details);

  function draw() {
    const scene = Scene.of(payload, state);
    const different = differing(scene);
    element.hidden = !scene.targets.length;
    details.hidden = !different.length;
    summary.textContent = different.length
      ? `${RULE} gives ${different.length} of ${scene.targets.length} targets another query:`
      : `${RULE} finds the same match here.`;
    for (const { show } of sides) show(scene);
    Pairs.fill(
      body,
      different.map((target) => row(scene, target, state)),
    );
  }
  return { element, draw };
}

const differing = (scene) => scene.targets.filter((t) => scene.match[t] !== scene.greedy.match[t]);

/**
 * One of the two matches: where they differ on the image, and its total.
 * @param {Payload} payload
 * @param {PageState} state
 */
function side(payload, state, title, match) {
  const label = `${title} match where the two differ`;
  const picture = Picture.create({ payload, state, label, match, only: differing });
  const total = html("span.hint");
  const show = (scene) => {
    const value = Assignment.total(scene.costs.total, match(scene));
    total.replaceChildren(" total cost ", number(value, `total-${title.toLowerCase()}`));
  };
  return { element: html("figure.stack.tight", html("figcaption", html("b", title), total), picture.element), show };
}

/**
 * @param {Scene} scene
 * @param {PageState} state
 */
function row(scene, target, state) {
  const cost = scene.costs.total[target];
  const [best, greedy] = [scene.match[target], scene.greedy.match[target]];
  const cells = (query) => [html("td", query < 0 ? "none" : scene.number(query)), html("td", format(cost[query]))];
  const rise = cost[greedy] - cost[best];
  return html(
    "tr",
    Pairs.rowProperties(state, target, best, "greedy-row"),
    html("td.text", html("b", target), ` ${scene.className(target)}`),
    cells(best),
    cells(greedy),
    html("td", rise > 0 ? `+${format(rise)}` : format(rise)),
  );
}
