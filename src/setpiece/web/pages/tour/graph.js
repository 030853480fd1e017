/** A bipartite graph whose edges can be chosen, and what can be said of a set of edges. */

import * as Assignment from "../base/assignment.js";
import { html, svg } from "../base/dom.js";

const WIDTH = 360;
const COLUMNS = [92, 268]; // x of the two groups
const GAP = 62; // between vertices of a group
const TOP = 28;

/** @param {number[]} pair */
const key = ([left, right]) => `${left}-${right}`;

/** Vertices that two chosen edges share, as indices of each group. */
export function crowded(pairs) {
  const twice = (side) => {
    const ends = pairs.map((pair) => pair[side]);
    return [...new Set(ends.filter((end, i) => ends.indexOf(end) !== i))];
  };
  return [twice(0), twice(1)];
}

export function isMatching(pairs) {
  return crowded(pairs).every((ends) => ends.length === 0);
}

/** The pairs of a match as `Assignment` gives it. */
export function pairsOf(match) {
  return match.flatMap((right, left) => (right < 0 ? [] : [[left, right]]));
}

/**
 * A path from a free left vertex to a free right vertex that alternates between edges outside and inside a matching.
 * @param {number[][]} edges pairs that exist
 * @param {number[][]} pairs a matching of them
 * @returns {{added: number[][], removed: number[][]}|null} null where the matching is maximum (Berge 1957)
 */
export function augmentingPath(edges, pairs) {
  const leftOf = new Map(pairs.map(([left, right]) => [right, left]));
  const matched = new Set(leftOf.values());
  const seen = new Set();
  const from = (left) => {
    for (const [, right] of edges.filter((edge) => edge[0] === left)) {
      if (seen.has(right)) continue;
      seen.add(right);
      const next = leftOf.get(right);
      const rest = next === undefined ? { added: [], removed: [] } : from(next);
      if (!rest) continue;
      const removed = next === undefined ? [] : [[next, right]];
      return { added: [[left, right], ...rest.added], removed: [...removed, ...rest.removed] };
    }
    return null;
  };
  for (const left of new Set(edges.map((edge) => edge[0]))) {
    const path = matched.has(left) ? null : from(left);
    if (path) return path;
  }
  return null;
}

/** Size of the largest matching, by solving for the assignment that uses the most edges. */
export function maximum(lefts, rights, edges) {
  const cost = Array.from({ length: lefts }, () => new Array(rights).fill(0));
  for (const [left, right] of edges) cost[left][right] = -1;
  const { match, total } = Assignment.solve(cost);
  return { size: -total, pairs: pairsOf(match).filter(([left, right]) => cost[left][right] < 0) };
}

/** The left vertices that have the fewest neighbours for their number (Hall 1935), with those neighbours. */
export function tightest(lefts, edges) {
  /** @type {{short: number, group: number[], neighbours: number[]}} */
  let best = { short: 0, group: [], neighbours: [] };
  for (let bits = 1; bits < 1 << lefts; bits++) {
    const group = Array.from({ length: lefts }, (_, i) => i).filter((i) => bits & (1 << i));
    const neighbours = [...new Set(edges.filter(([left]) => group.includes(left)).map(([, right]) => right))];
    const short = group.length - neighbours.length;
    if (short > best.short) best = { short, group, neighbours };
  }
  return best;
}

/** The marks of `set` for pairs that a path adds and removes. */
export function marks(added, removed) {
  const marked = (pairs, mark) => pairs.map((pair) => [key(pair), mark]);
  return Object.fromEntries([...marked(added, "added"), ...marked(removed, "removed")]);
}

const height = (rows) => 2 * TOP + (rows - 1) * GAP;

function drawVertices(names, side, rows) {
  const offset = ((rows - names.length) * GAP) / 2; // the shorter group is centred
  const x = COLUMNS[side];
  return names.map((name, i) => {
    const y = TOP + offset + i * GAP;
    const away = side ? 16 : -16;
    const text = svg("text", { x: x + away, y, "text-anchor": side ? "start" : "end", dy: "0.35em" }, name);
    return { x, y, element: svg("g.vertex", svg("circle", { cx: x, cy: y, r: 9 }), text) };
  });
}

/** @param {string[]} names of its two ends */
function drawEdge(edge, a, b, rights, names, toggle) {
  const along = { x1: a.x, y1: a.y, x2: b.x, y2: b.y };
  const at = (part) => ({
    x: a.x + (b.x - a.x) * part,
    y: a.y + (b.y - a.y) * part,
    dy: "0.35em",
    "text-anchor": "middle",
  });
  // There, the numbers of a complete graph stand evenly below each other.
  const cost = edge.cost === undefined ? null : svg("text", at(1 / (rights + 1)), edge.cost);
  const sign = svg("text.sign", at(0.72));
  const words = `${names[0]} – ${names[1]}${cost ? `, ${edge.cost}` : ""}`;
  const choosing = toggle && {
    role: "checkbox",
    tabindex: 0,
    "aria-checked": "false",
    onclick: toggle,
    onkeydown: (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      toggle();
    },
  };
  const group = {
    class: "edge",
    "data-role": "edge",
    "data-pair": key([edge.left, edge.right]),
    "aria-label": words,
  };
  return svg("g", { ...group, ...choosing }, svg("line.hit", { ...along }), svg("line.ink", { ...along }), cost, sign);
}

/**
 * Draw a graph.
 * @param {{left: string[], right: string[], edges: {left: number, right: number, cost?: number}[], label: string,
 *   onchange?: (pairs: number[][]) => void}} graph edges can be chosen where there is `onchange`
 * @returns {{element: Element, pairs: () => number[][], set: (pairs: number[][], marks?: object) => void}} `marks`
 *   gives edges a class by "left-right", such as "added" and "removed"
 */
export function create({ left, right, edges, label, onchange }) {
  const chosen = new Set();
  const rows = Math.max(left.length, right.length);
  const ends = [drawVertices(left, 0, rows), drawVertices(right, 1, rows)];
  const pairs = () => edges.map((edge) => [edge.left, edge.right]).filter((pair) => chosen.has(key(pair)));
  const drawn = edges.map((edge) => {
    const toggle =
      onchange &&
      (() => {
        const name = key([edge.left, edge.right]);
        if (!chosen.delete(name)) chosen.add(name);
        paint({});
        onchange(pairs());
      });
    const [a, b] = [ends[0][edge.left], ends[1][edge.right]];
    return drawEdge(edge, a, b, right.length, [left[edge.left], right[edge.right]], toggle);
  });

  function paint(marked) {
    const [lefts, rights] = crowded(pairs());
    drawn.forEach((element, i) => {
      const edge = edges[i];
      const name = key([edge.left, edge.right]);
      const clash = chosen.has(name) && (lefts.includes(edge.left) || rights.includes(edge.right));
      element.classList.toggle("chosen", chosen.has(name));
      element.classList.toggle("clash", clash);
      for (const mark of ["added", "removed"]) element.classList.toggle(mark, marked[name] === mark);
      element.querySelector(".sign").textContent = { added: "+", removed: "−" }[marked[name]] ?? "";
      if (onchange) element.setAttribute("aria-checked", chosen.has(name));
    });
    ends[0].forEach(({ element }, i) => element.classList.toggle("clash", lefts.includes(i)));
    ends[1].forEach(({ element }, i) => element.classList.toggle("clash", rights.includes(i)));
  }

  const element = svg(
    "svg.tour-graph",
    { viewBox: `0 0 ${WIDTH} ${height(rows)}`, role: onchange ? "group" : "img", "aria-label": label },
    drawn,
    ends.flat().map((vertex) => vertex.element),
  );
  function set(next, marked = {}) {
    chosen.clear();
    for (const pair of next) chosen.add(key(pair));
    paint(marked);
  }
  return { element: html("div.tour-graph-frame", element), pairs, set };
}

/** A graph as the control of a question; the answer is the chosen pairs. */
export function control(graph) {
  const control = /** @type {Control} */ ({});
  const drawn = create({ ...graph, onchange: () => control.onchange() });
  control.element = drawn.element;
  control.value = () => (drawn.pairs().length ? drawn.pairs() : null);
  control.show = (pairs) => drawn.set(pairs);
  return control;
}

/** All edges of a cost matrix. */
export function complete(cost) {
  return cost.flatMap((row, left) => row.map((value, right) => ({ left, right, cost: value })));
}
