/** The algorithm's augmenting paths one by one, on a small cost matrix: as a graph, and in the matrix itself. */

import * as Assignment from "../assignment.js";
import { button, format, html, svg } from "../dom.js";

const SECONDS = 1.6; // a step, while it plays
const GRAPH = { width: 420, left: 130, right: 330, gap: 44 };

/**
 * A match that is shown, with the words for it; `u` and `v` are null where it is no step of the algorithm.
 * @typedef {{text: string, match: number[], path: number[][], u: number[] | null, v: number[] | null}} Frame
 */

/** The figure, and what shows a match in it until `resume`. */
export function create() {
  /** @type {Scene} */
  let scene;
  /** @type {{rows: number[], columns: number[], cost: number[][]}} */
  let chosen;
  /** @type {Frame[]} */
  let frames = [];
  /** @type {number | undefined} */
  let timer;
  let at = 0;
  const words = html("p.words", { "aria-live": "polite", "data-role": "step-text" });
  const graph = html("div");
  const table = html("div.scroll");
  const play = button("Play", "step-play", () => (timer ? stop() : start()));
  const back = button("◀ Back", "step-back", () => go(at - 1));
  const next = button("Next ▶", "step-next", () => go(at + 1));
  const where = html("span.hint", { "data-role": "step-count" });
  const element = html(
    "div.stack.tight",
    html("div.controls", play, back, next, where),
    words,
    html("div.columns", graph, table),
  );

  /** Solve anew; the end is shown, which is the optimum. */
  function draw(newScene, newChosen) {
    [scene, chosen] = [newScene, newChosen];
    frames = framesOf(scene, chosen);
    go(frames.length - 1);
  }

  function go(frame) {
    stop();
    step(frame);
  }

  function step(frame) {
    at = Math.max(0, Math.min(frames.length - 1, frame));
    back.disabled = at === 0;
    next.disabled = at === frames.length - 1;
    where.textContent = `step ${at} of ${frames.length - 1}`;
    paint(frames[at]);
  }

  function paint(frame) {
    words.textContent = frame.text;
    graph.replaceChildren(graphOf(scene, chosen, frame));
    table.replaceChildren(tableOf(scene, chosen, frame));
  }

  /** Show a match that is not one of the steps, until `resume`. */
  function show(match, text) {
    stop();
    paint({ text, match, path: [], u: null, v: null });
  }

  function start() {
    play.textContent = "Pause";
    if (at === frames.length - 1) step(0);
    timer = setInterval(() => (at < frames.length - 1 ? step(at + 1) : stop()), SECONDS * 1000);
  }

  function stop() {
    clearInterval(timer);
    timer = undefined;
    play.textContent = "Play";
  }

  return { element, draw, show, resume: () => step(at), stop };
}

/**
 * What is shown one after the other: each path before it is taken, then the match after it.
 * @param {Scene} scene
 */
function framesOf(scene, { rows, columns, cost }) {
  const nobody = rows.map(() => -1);
  const nothing = { match: nobody, path: [], u: rows.map(() => 0), v: columns.map(() => 0) };
  /** @type {Frame[]} */
  const frames = [{ ...nothing, text: "No target has a query yet." }];
  Assignment.steps(cost).forEach((step, i, steps) => {
    const before = i ? steps[i - 1] : { match: nobody, total: 0 };
    const rise = step.total - before.total;
    const end = i === steps.length - 1 ? " Every target has one: this is the optimum." : "";
    const change = `The total ${rise < 0 ? "falls" : "rises"} by ${format(Math.abs(rise))} to ${format(step.total)}.`;
    frames.push({ ...step, match: before.match, text: pathText(scene, rows, columns, step) });
    frames.push({ ...step, path: [], text: change + end });
  });
  return frames;
}

/** @param {Scene} scene */
function pathText(scene, rows, columns, { row, path }) {
  const query = (column) => `query ${scene.number(columns[column])}`;
  const moves = path.slice(1).map(([t, q]) => `target ${rows[t]} moves on to ${query(q)}`);
  const first = `Target ${rows[row]} enters and takes ${query(path[0][1])}`;
  return moves.length ? `${first}; ${moves.join("; ")}.` : `${first}, which is free.`;
}

/** "entering" for the path's new pairs, "leaving" for those that they replace, "matched" for the others. */
function kindOf({ match, path }, row, column) {
  if (path.some(([r, c]) => r === row && c === column)) return "entering";
  if (match[row] !== column) return null;
  return path.some(([r]) => r === row) ? "leaving" : "matched";
}

/**
 * Targets left, queries right, a line for each pair.
 * @param {Scene} scene
 */
function graphOf(scene, { rows, columns }, frame) {
  const height = Math.max(rows.length, columns.length) * GRAPH.gap + 12;
  const y = (index, length) => 6 + ((index + 0.5) * (height - 12)) / length;
  const edge = (row, column) => {
    const kind = kindOf(frame, row, column);
    const ends = { x1: GRAPH.left, y1: y(row, rows.length), x2: GRAPH.right, y2: y(column, columns.length) };
    return kind && svg(`line.edge.${kind}`, ends);
  };
  return svg(
    "svg.bipartite",
    {
      viewBox: `0 0 ${GRAPH.width} ${height}`,
      role: "img",
      "aria-label": "Targets and queries; a line joins each pair",
    },
    rows.map((_, row) => columns.map((_, column) => edge(row, column))).flat(),
    rows.map((t, row) => targetNode(y(row, rows.length), `target ${t}`)),
    columns.map((q, column) => queryNode(y(column, columns.length), `query ${scene.number(q)}`)),
  );
}

function targetNode(y, text) {
  const label = svg("text", { x: GRAPH.left - 16, y: y + 5, "text-anchor": "end" }, text);
  return svg("g.of-target", svg("circle", { cx: GRAPH.left, cy: y, r: 8 }), label);
}

function queryNode(y, text) {
  const label = svg("text", { x: GRAPH.right + 16, y: y + 5 }, text);
  return svg("g.of-query", svg("path", { d: `M${GRAPH.right} ${y - 9}l9 9l-9 9l-9 -9z` }), label);
}

/**
 * The costs, the match and the path in them; at the edges the prices u and v that the algorithm keeps.
 * @param {Scene} scene
 */
function tableOf(scene, { rows, columns, cost }, frame) {
  const { u, v } = frame;
  const price = (value) => html("td.price", format(value, 2));
  const cell = (row, column) =>
    html("td", { class: kindOf(frame, row, column), "data-role": "sub-cell" }, format(cost[row][column], 2));
  const line = (t, row) =>
    html(
      "tr",
      html("th.of-target", { scope: "row" }, t),
      columns.map((_, column) => cell(row, column)),
      u && price(u[row]),
    );
  const heads = columns.map((q) => html("th.of-query", { scope: "col" }, scene.number(q)));
  return html(
    "table.sub",
    html("thead", html("tr", html("th"), heads, u && html("th.price", "u"))),
    html("tbody", rows.map(line), v && html("tr", html("th.price", "v"), v.map(price), html("td.price"))),
    html(
      "caption",
      "Ringed: matched. Dashed: pairs that the path adds. Struck out: pairs that it removes. ",
      u &&
        "u and v are the prices (dual variables) of the algorithm. A matched pair costs u + v. No pair of a target that has entered costs less.",
    ),
  );
}
