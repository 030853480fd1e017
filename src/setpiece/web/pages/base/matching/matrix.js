/**
 * The cost matrix as a heat map: a row for each target, a column for each of some queries. A cell's ground is its total
 * (the stronger the cheaper); its three bars are what class, L1 and GIoU add: up costs, down gains, as square roots.
 * Only the cells in view are in the page, so 115 targets scroll as well as five.
 */

import { format, html } from "../dom.js";
import * as Loss from "../loss.js";
import * as State from "../state.js";

const CELL = { width: 62, height: 56 };
const HEAD = { width: 96, height: 26 };
const BEYOND = 2; // cells drawn outside the view, so that scrolling shows no gaps
const STRONG = 0.68; // grounds from here on carry light text
const KEYS = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };
let count = 0;

/**
 * @param {object} options
 * @param {PageState} options.state
 * @param {() => Scene} options.scene
 * @param {(scene: Scene) => number[]} options.columns the queries to show, in their order
 * @param {string} options.label
 * @returns {{element: HTMLElement, draw: function()}}
 */
export function create({ state, scene, columns, label }) {
  const id = `matrix-${(count += 1)}`;
  const space = html("div.space", { role: "presentation" });
  const names = { role: "grid", tabindex: 0, "aria-label": label, "data-role": "matrix", id };
  const sizes = { "--cell-w": `${CELL.width}px`, "--cell-h": `${CELL.height}px`, "--head-w": `${HEAD.width}px` };
  const style = { ...sizes, "--head-h": `${HEAD.height}px` };
  const element = html("div.matrix", { ...names, style }, space);
  let shown = null; // what draw() found out, for the cells

  function draw() {
    const now = scene();
    element.hidden = !now.targets.length;
    if (element.hidden) return;
    const queries = columns(now);
    shown = { scene: now, queries, ...scales(now, queries) };
    element.setAttribute("aria-rowcount", now.targets.length + 1);
    element.setAttribute("aria-colcount", queries.length + 1);
    space.style.width = `${HEAD.width + queries.length * CELL.width}px`;
    space.style.height = `${HEAD.height + now.targets.length * CELL.height}px`;
    fill();
  }

  /** Put the cells in view into the page. */
  function fill() {
    const { scrollTop, clientHeight, scrollLeft, clientWidth } = element;
    const rows = inView(scrollTop, clientHeight - HEAD.height, CELL.height, shown.scene.targets.length);
    const cols = inView(scrollLeft, clientWidth - HEAD.width, CELL.width, shown.queries.length);
    const corner = html("div.head.corner", { role: "columnheader" }, "target \\ query");
    const heads = html("div.heads", { role: "row", "aria-rowindex": 1 }, corner, cols.map(columnHead));
    const line = (row) => {
      const style = { top: `${HEAD.height + row * CELL.height}px` };
      const cells = cols.map((column) => cell(row, column));
      return html("div.cells", { role: "row", "aria-rowindex": row + 2, style }, rowHead(row), cells);
    };
    space.replaceChildren(heads, ...rows.map(line));
    mark();
  }

  const left = (column) => `${HEAD.width + column * CELL.width}px`;

  function columnHead(column) {
    const query = shown.queries[column];
    const properties = { role: "columnheader", "data-query-head": query, style: { left: left(column) } };
    return html("div.head.of-query", properties, shown.scene.number(query));
  }

  function rowHead(row) {
    const text = html("span", `${row} ${shown.scene.className(row)}`);
    return html("div.head.of-target", { role: "rowheader", "data-target-head": row }, text);
  }

  function cell(row, column) {
    const { scene: now, queries, heat, reach } = shown;
    const query = queries[column];
    const total = now.costs.total[row][query];
    const x = heat(total);
    const kinds = [
      x > STRONG && "strong",
      now.match[row] === query && "matched",
      now.regrets[row].column === query && "runner-up",
    ];
    const properties = {
      role: "gridcell",
      id: `${id}-${row}-${query}`,
      "aria-colindex": column + 2,
      "aria-label": spoken(now, row, query),
      "data-role": "cell",
      "data-target": row,
      "data-query": query,
      "data-value": total,
      style: { left: left(column), "--x": x },
    };
    const tag = ["div.cell", ...kinds.filter(Boolean)].join(".");
    return html(tag, properties, format(total, 2), bars(now, row, query, reach));
  }

  function mark() {
    for (const one of space.querySelectorAll(".current")) one.classList.remove("current");
    const { target, query } = state;
    space.querySelector(`[data-target-head="${target}"]`)?.classList.add("current");
    space.querySelector(`[data-query-head="${query}"]`)?.classList.add("current");
    const current = target === null ? null : document.getElementById(`${id}-${target}-${query}`);
    current?.classList.add("current");
    if (current) element.setAttribute("aria-activedescendant", current.id);
    else element.removeAttribute("aria-activedescendant");
  }

  /** Scroll the chosen cell into view. */
  function reveal() {
    const { clientHeight, clientWidth } = element;
    const column = shown.queries.indexOf(state.query);
    const within = (scroll, view, at, size) => Math.min(Math.max(scroll, (at + 1) * size - view), at * size);
    if (state.target !== null) {
      element.scrollTop = within(element.scrollTop, clientHeight - HEAD.height, state.target, CELL.height);
    }
    if (column >= 0) {
      element.scrollLeft = within(element.scrollLeft, clientWidth - HEAD.width, column, CELL.width);
    }
    fill();
  }

  /** Go to a neighbouring cell, or to the first one. */
  function step(down, right) {
    const fresh = state.target === null;
    const column = Math.max(shown.queries.indexOf(state.query), 0) + right;
    const target = fresh ? 0 : clamp(state.target + down, shown.scene.targets.length);
    const query = shown.queries[fresh ? 0 : clamp(column, shown.queries.length)];
    state.set({ target, query, pinned: false });
    reveal();
  }

  /**
   * The pair of a cell, or a row's own pair, under the pointer.
   * @returns {[number, number] | null}
   */
  function pairAt({ target: at }) {
    const { target, query, targetHead } = at.closest(".cell, [data-target-head]")?.dataset ?? {};
    if (targetHead !== undefined) return [Number(targetHead), shown.scene.match[targetHead]];
    return target === undefined ? null : [Number(target), Number(query)];
  }

  element.addEventListener("pointerover", (event) => {
    const pair = pairAt(event);
    if (pair) State.hover(state, ...pair);
  });
  element.addEventListener("pointerleave", () => State.hover(state, null, null));
  element.addEventListener("click", (event) => {
    const pair = pairAt(event);
    if (pair) State.pin(state, ...pair);
  });
  element.addEventListener("scroll", fill);
  element.addEventListener("keydown", (event) => {
    if (KEYS[event.key]) step(...KEYS[event.key]);
    else if ((event.key === "Enter" || event.key === " ") && state.target !== null) {
      State.pin(state, state.target, state.query);
    } else return;
    event.preventDefault();
  });
  state.on((changed) => {
    if (!["target", "query"].some((name) => changed.has(name)) || element.hidden) return;
    if (element.matches(":hover") || document.activeElement === element) mark();
    else reveal();
  });
  new ResizeObserver(() => shown && fill()).observe(element);
  return { element, draw };
}

const clamp = (index, length) => Math.max(0, Math.min(length - 1, index));

/** Indices of the cells in view along one axis. */
function inView(scroll, view, size, length) {
  const first = Math.max(0, Math.floor(scroll / size) - BEYOND);
  const last = Math.min(length, Math.ceil((scroll + Math.max(view, 0)) / size) + BEYOND);
  return Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i);
}

/**
 * How strong a cell's ground is (1 cheapest … 0), and how far bars reach up and down.
 * @param {Scene} scene
 */
function scales(scene, queries) {
  const totals = scene.costs.total.flatMap((row) => queries.map((q) => row[q])).sort((a, b) => a - b);
  const low = totals[0];
  const high = totals[Math.floor(0.9 * (totals.length - 1))];
  const heat = (total) => Math.min(1, Math.max(0, (high - total) / (high - low || 1))) ** 1.4;
  const parts = Loss.TERMS.flatMap((term) =>
    scene.targets.flatMap((t) => queries.map((q) => root(weighted(scene, term, t, q)))),
  ).sort((a, b) => a - b);
  const up = Math.max(0, parts[Math.floor(0.97 * (parts.length - 1))]);
  const reach = { up, down: Math.max(0, -parts[0]) };
  return { heat, reach };
}

/**
 * Three bars around a line: up what the term costs, down what it gains.
 * @param {Scene} scene
 */
function bars(scene, target, query, { up, down }) {
  const percent = (height) => `${(100 * height) / (up + down || 1)}%`;
  const bar = (term, i) => {
    const value = root(weighted(scene, term, target, query));
    const [from, to] = [Math.min(0, value), Math.min(Math.max(0, value), up)];
    const place = { left: `${8 + i * 31}%`, top: percent(up - to), height: percent(to - from) };
    return html("i", { style: { ...place, "--mark": `var(--${term})` } });
  };
  return html("div.bars", { "aria-hidden": "true", style: { "--zero": percent(up) } }, Loss.TERMS.map(bar));
}

/** Bars on the scale of square roots: small gains stay visible beside large costs. */
const root = (value) => Math.sign(value) * Math.sqrt(Math.abs(value));

/** @param {Scene} scene */
function weighted(scene, term, target, query) {
  return scene.criterion.cost_weights[term] * scene.costs[term][target][query];
}

/** @param {Scene} scene */
function spoken(scene, target, query) {
  const parts = Loss.TERMS.map((term) => `${Loss.TERM_NAMES[term]} ${format(weighted(scene, term, target, query), 2)}`);
  const matched = scene.match[target] === query ? ", matched" : "";
  const total = format(scene.costs.total[target][query], 2);
  return `target ${target}, query ${scene.number(query)}: ${total}, ${parts.join(", ")}${matched}`;
}

/**
 * The queries that matter for an image: each target's own, then those that come next for some target.
 * @param {Scene} scene
 * @param {number} most columns beside the matched ones
 */
export function relevant(scene, most = 16) {
  const own = scene.match.filter((query) => query >= 0);
  const next = new Map();
  const offer = (query, rise) => {
    if (query >= 0 && !own.includes(query)) next.set(query, Math.min(next.get(query) ?? Infinity, rise));
  };
  scene.costs.total.forEach((row, t) => {
    const base = scene.match[t] >= 0 ? row[scene.match[t]] : Math.min(...row);
    offer(scene.regrets[t].column, -1);
    offer(scene.greedy.match[t], -1);
    row.forEach((cost, query) => offer(query, cost - base));
  });
  const ranked = [...next].sort((a, b) => a[1] - b[1]).map(([query]) => query);
  return [...own, ...ranked.slice(0, Math.max(most, 20 - own.length))];
}

/**
 * The queries that are cheapest for one target.
 * @param {Scene} scene
 */
export function cheapest(scene, target, most = 40) {
  const cost = scene.costs.total[target];
  return [...scene.queries].sort((a, b) => cost[a] - cost[b]).slice(0, most);
}
