/** A few targets and queries by themselves: how the optimum is found, and every permutation with its cost. */

import { html } from "../dom.js";
import * as Scene from "../scene.js";
import * as Augmenting from "./augmenting.js";
import * as Matrix from "./matrix.js";
import * as Permutations from "./permutations.js";

const ROWS = 6;
const COLUMNS = 8;

/** @returns {{element: HTMLElement, draw: function()}} */
export function create({ payload, state }) {
  /** @type {{rows: number[], columns: number[], cost: number[][]}} */
  const chosen = { rows: [], columns: [], cost: [] };
  const targetChips = html("div.chips", { role: "group", "aria-label": "Targets to solve for" });
  const queryChips = html("div.chips", { role: "group", "aria-label": "Queries to choose from" });
  const augmenting = Augmenting.create();
  const permutations = Permutations.create({ look: augmenting.show, leave: augmenting.resume });
  const element = html(
    "div.panel",
    { "data-role": "solving" },
    html("h3", "How the optimum is found"),
    html(
      "p.hint",
      "A small part of the matrix, solved by shortest augmenting paths. Targets enter one after the other. ",
      "A target may take a query from another one, which then moves on. Choose up to 6 targets and 8 queries.",
    ),
    html("div.control", html("span.label", "Targets"), targetChips),
    html("div.control", html("span.label", "Queries"), queryChips),
    augmenting.element,
    permutations.element,
  );

  function draw() {
    const scene = Scene.of(payload, state);
    element.hidden = !scene.targets.length;
    if (element.hidden) return augmenting.stop();
    chosen.rows = startingRows(scene).slice(0, scene.queries.length);
    chosen.columns = startingColumns(scene, chosen.rows);
    solve();
  }

  function solve() {
    const scene = Scene.of(payload, state);
    chosen.cost = chosen.rows.map((t) => chosen.columns.map((q) => scene.costs.total[t][q]));
    chips(scene);
    augmenting.draw(scene, chosen);
    permutations.draw(scene, chosen);
  }

  function chips(scene) {
    const candidates = [...new Set([...chosen.columns, ...Matrix.relevant(scene, 6).slice(0, 24)])];
    const rows = { least: 1, most: Math.min(ROWS, chosen.columns.length) };
    fill(targetChips, scene.targets, chosen.rows, String, rows, (changed) => {
      chosen.rows = changed;
      solve();
    });
    const columns = { least: chosen.rows.length, most: COLUMNS };
    fill(
      queryChips,
      candidates,
      chosen.columns,
      (q) => String(scene.number(q)),
      columns,
      (changed) => {
        chosen.columns = changed;
        solve();
      },
    );
  }

  state.on((changed) => ["image", "layer", "criterion"].some((name) => changed.has(name)) && draw());
  return { element, draw };
}

/** A button for each of all, pressed where it is chosen. */
function fill(box, all, chosen, name, { least, most }, onchange) {
  const chip = (one) => {
    const on = chosen.includes(one);
    const others = chosen.filter((other) => other !== one);
    const press = () => {
      onchange(all.filter((other) => (on ? others.includes(other) : other === one || chosen.includes(other))));
      box.querySelector(`[data-value="${one}"]`)?.focus();
    };
    const disabled = on ? chosen.length <= least : chosen.length >= most;
    return html(
      "button.chip",
      { type: "button", "aria-pressed": String(on), "data-value": one, disabled, onclick: press },
      name(one),
    );
  };
  box.replaceChildren(...all.map(chip));
}

/**
 * All targets where there are four at most; else the four that are fought over most.
 * @param {Scene} scene
 */
function startingRows(scene) {
  if (scene.targets.length <= 4) return scene.targets;
  const calm = (t) => (scene.match[t] === scene.greedy.match[t] ? scene.regrets[t].regret || 0 : -1);
  const contested = [...scene.targets].sort((a, b) => calm(a) - calm(b)).slice(0, 4);
  return contested.sort((a, b) => a - b);
}

/**
 * The rows' own queries, their greedy ones and runners-up, then the cheapest.
 * @param {Scene} scene
 */
function startingColumns(scene, rows) {
  const wanted = [scene.match, scene.greedy.match, scene.regrets.map(({ column }) => column)]
    .flatMap((queries) => rows.map((t) => queries[t]))
    .filter((query) => query >= 0);
  const cheapest = (q) => Math.min(...rows.map((t) => scene.costs.total[t][q]));
  const others = scene.queries.filter((q) => !wanted.includes(q)).sort((a, b) => cheapest(a) - cheapest(b));
  return [...new Set([...wanted, ...others])].slice(0, Math.max(rows.length + 1, 4));
}
