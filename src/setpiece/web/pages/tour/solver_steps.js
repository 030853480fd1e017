/** The algorithm that finds the optimum, path by path, with the prices that prove it. */

import * as Assignment from "../base/assignment.js";
import { button, format, html } from "../base/dom.js";
import * as CostTable from "./cost_table.js";
import * as Graph from "./graph.js";
import * as Layout from "./layout.js";

export const names = (noun, count) => Array.from({ length: count }, (_, i) => `${noun} ${i}`);
const add = (values) => values.reduce((a, b) => a + b, 0);

/** The steps of a cost matrix as a figure to go through. */
export function create(cost) {
  const frames = framesOf(cost);
  const [left, right] = [names("object", cost.length), names("query", cost[0].length)];
  const graph = Graph.create({
    left,
    right,
    edges: Graph.complete(cost),
    label: "The match after this step",
  });
  const matrix = CostTable.create({
    cost,
    rows: left,
    columns: right,
    label: "Costs with the match and the prices",
  });
  const told = Layout.status("step-status");
  const proof = html("p.tour-proof", { "data-role": "proof" });
  let at = 0;
  let reduced = false;
  const back = button("Back", "step-back", () => show(at - 1));
  const next = button("Next step", "step-next", () => show(at + 1));
  const toggle = button("Show reduced costs", "step-reduced", () => {
    reduced = !reduced;
    show(at);
  });

  function show(i) {
    at = i;
    const { text, match, marks, u, v } = frames[i];
    graph.set(Graph.pairsOf(match), marks);
    matrix.put(reduced ? cost.map((line, t) => line.map((value, q) => value - u[t] - v[q])) : cost);
    matrix.set(match, marks);
    matrix.note(
      u.map((price, t) => (match[t] < 0 ? "" : `u = ${format(price, 0)}`)),
      v.map((price) => `v = ${format(price, 0)}`),
    );
    told.textContent = text;
    toggle.setAttribute("aria-pressed", reduced);
    [back.disabled, next.disabled] = [i === 0, i === frames.length - 1];
    proof.hidden = i < frames.length - 1;
    proof.dataset.value = add([...u, ...v]);
    proof.textContent = `All prices: ${sumOf([...u, ...v])}, the cost of the match. So no match can be cheaper.`;
  }
  show(0);
  const caption = "+ joins the match in this step, − leaves it. Prices stand beside the objects and the queries.";
  const parts = html("div.tour-pair", graph.element, matrix.element);
  return Layout.figure("algorithm", caption, Layout.row(back, next, toggle), told, parts, proof);
}

/**
 * "6 − 2 = 4".
 * @param {number[]} values
 */
function sumOf([first, ...others]) {
  const signed = others.map((value) => `${value < 0 ? "−" : "+"} ${Math.abs(value)}`);
  return `${[format(first, 0), ...signed].join(" ")} = ${format(add([first, ...others]), 0)}`;
}

/** What is shown one after the other; `marks` says by "row-column" which pairs are added and removed. */
function framesOf(cost) {
  const nobody = cost.map(() => -1);
  const start = { text: "Nobody has entered yet.", match: nobody, marks: {}, u: nobody.map(() => 0) };
  const frames = [{ ...start, v: cost[0].map(() => 0) }];
  Assignment.steps(cost).forEach((step, i, steps) => {
    const before = i ? steps[i - 1] : { match: nobody, total: 0 };
    const gone = Graph.pairsOf(before.match).filter(([row, column]) => step.match[row] !== column);
    frames.push({
      ...step,
      marks: Graph.marks(step.path, gone),
      text: tell(step, step.total - before.total, i + 1),
    });
  });
  return frames;
}

/** What a step did, in words. */
function tell({ row, path, total }, rise, entered) {
  const [first, ...others] = path;
  const moves = others.map(([object, query]) => `object ${object} moves on to query ${query}`);
  const taken = [`Object ${row} enters and takes query ${first[1]}`, ...moves].join("; ");
  const those = Layout.count(entered, "object");
  return `${taken}, which is free. It adds ${rise}: the optimum for ${those} costs ${total}.`;
}
