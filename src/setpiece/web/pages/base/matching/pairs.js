/** The table of an image's pairs, a row for each target; and what any table of pairs does under pointer and keys. */

import { html, number, table } from "../dom.js";
import * as Loss from "../loss.js";
import * as Scene from "../scene.js";
import * as State from "../state.js";

const COLUMNS = [
  ...["<target", "<class", "query", "probability", "class cost", "L1", "−GIoU", "total", "IoU", "runner-up", "regret"],
];

/** @returns {{element: HTMLElement, draw: function()}} */
export function create({ payload, state }) {
  const body = html("tbody");
  const element = table(COLUMNS, body, "Table of pairs", "pairs");

  function draw() {
    const scene = Scene.of(payload, state);
    fill(
      body,
      scene.targets.map((target) => row(scene, target, state)),
    );
    mark(element, body, state);
  }
  state.on((changed) => changed.has("target") && mark(element, body, state));
  return { element, draw };
}

/**
 * @param {Scene} scene
 * @param {PageState} state
 */
function row(scene, target, state) {
  const query = scene.match[target];
  const changed = scene.recorded[target] !== query;
  return html(
    changed ? "tr.changed" : "tr",
    rowProperties(state, target, query, "pair-row"),
    html("td.text", html("b", target)),
    html("td.text", scene.className(target)),
    query < 0 ? html("td", { colspan: COLUMNS.length - 2 }, "no query is left for it") : numbers(scene, target, query),
  );
}

/** @param {Scene} scene */
function numbers(scene, target, query) {
  const cost = Loss.pairCost(scene.image, scene.layer, target, query, scene.criterion);
  const { regret, column } = scene.regrets[target];
  const cell = (value, role, digits) => html("td", number(value, role, digits));
  return [
    html("td", scene.number(query)),
    cell(scene.probability(target, query), "probability", 2),
    ...[...Loss.TERMS, "total"].map((term) => cell(cost[term], term)),
    cell(cost.iou, "iou", 2),
    html("td", { "data-role": "runner-up", "data-value": column }, column < 0 ? "none" : scene.number(column)),
    cell(regret, "regret"),
  ];
}

/** Put rows into a table, of which Tab reaches one: the first, or the one that had the focus last. */
export function fill(body, rows) {
  body.replaceChildren(...rows);
  if (rows.length) rows[0].tabIndex = 0;
}

/**
 * A row that looks at its pair under the pointer or the focus, and holds on to it when pressed.
 * @param {PageState} state
 */
export function rowProperties(state, target, query, role) {
  const look = () => State.hover(state, target, query);
  const pin = () => State.pin(state, target, query);
  return {
    tabindex: -1,
    "data-role": role,
    "data-target": target,
    "data-query": query,
    onpointerenter: look,
    onfocus: (event) => {
      reach(event.currentTarget);
      look();
    },
    onpointerleave: () => State.hover(state, null, null),
    onclick: pin,
    onkeydown: (event) => step(event, pin),
  };
}

/** Tab comes back to this row. */
export function reach(row) {
  for (const one of row.parentElement.children) one.tabIndex = one === row ? 0 : -1;
}

/** Up and down go to the next row, Enter presses it. */
export function step(event, press) {
  const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (next) event.currentTarget[next]?.focus();
  else if (event.key === "Enter" || event.key === " ") press();
  else return;
  event.preventDefault();
}

/**
 * Mark the row of the pair in view, and scroll to it unless the pointer is in the table.
 * @param {PageState} state
 */
export function mark(box, body, state) {
  for (const row of body.children) {
    const current = Number(row.dataset.target) === state.target && state.target !== null;
    row.classList.toggle("current", current);
    if (current && !box.matches(":hover")) keepInView(box, row);
  }
}

/** Scroll the box, and nothing around it. */
function keepInView(box, row) {
  const head = box.querySelector("thead").offsetHeight;
  const below = row.offsetTop + row.offsetHeight - box.clientHeight;
  box.scrollTop = Math.min(Math.max(box.scrollTop, below), row.offsetTop - head);
}
