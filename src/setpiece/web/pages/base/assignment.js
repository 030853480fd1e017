/**
 * The assignment problem by itself: rows (targets) to columns (queries), each row at most one column and each column
 * at most one row, min(rows, columns) pairs in all, at the smallest total cost.
 *
 * Jonker & Volgenant's shortest augmenting paths: rows enter one after the other; each takes the cheapest way to a
 * free column, on which rows that it pushes aside move on. Prices u of the rows and v of the columns keep every
 * reduced cost `c − u − v` at least 0, and at 0 for matched pairs.
 */

const transpose = (cost) => cost[0].map((_, column) => cost.map((row) => row[column]));

/** Sum of the costs of the matched pairs. */
export function total(cost, match) {
  return match.reduce((sum, column, row) => sum + (column < 0 ? 0 : cost[row][column]), 0);
}

/** Dijkstra over reduced costs from a row to the nearest column without a row. */
function shortestPath(cost, u, v, rowOf, start) {
  const columns = v.length;
  const distance = new Float64Array(columns).fill(Infinity);
  const from = new Int32Array(columns).fill(-1);
  const done = new Uint8Array(columns);
  let row = start;
  let length = 0;
  for (;;) {
    let nearest = -1;
    for (let q = 0; q < columns; q++) {
      if (done[q]) continue;
      const through = length + cost[row][q] - u[row] - v[q];
      if (through < distance[q]) {
        distance[q] = through;
        from[q] = row;
      }
      const nearer = nearest < 0 || distance[q] < distance[nearest];
      if (nearer || (distance[q] === distance[nearest] && rowOf[q] < 0)) nearest = q;
    }
    length = distance[nearest];
    done[nearest] = 1;
    if (rowOf[nearest] < 0) return { sink: nearest, length, distance, from, done };
    row = rowOf[nearest];
  }
}

/** Solve with at most as many rows as columns; calls `onPath(row, path, match, u, v)` after every augmenting path. */
function solveWide(cost, onPath) {
  const columns = cost.length ? cost[0].length : 0;
  const u = new Float64Array(cost.length);
  const v = new Float64Array(columns);
  const rowOf = new Int32Array(columns).fill(-1);
  const match = new Array(cost.length).fill(-1);
  for (let start = 0; start < cost.length; start++) {
    const { sink, length, distance, from, done } = shortestPath(cost, u, v, rowOf, start);
    u[start] += length;
    for (let q = 0; q < columns; q++) {
      if (!done[q] || q === sink) continue;
      u[rowOf[q]] += length - distance[q];
      v[q] -= length - distance[q];
    }
    const path = [];
    for (let column = sink, row = -1; row !== start;) {
      row = from[column];
      path.unshift([row, column]);
      rowOf[column] = row;
      [match[row], column] = [column, match[row]];
    }
    if (onPath) onPath(start, path, match, u, v);
  }
  return { match, rowOf, u, v };
}

/**
 * The optimum.
 * @param {number[][]} cost rows × columns, finite
 * @returns {{match: number[], total: number}} column of every row, −1 where a row is left over
 */
export function solve(cost) {
  if (!cost.length || !cost[0].length) return { match: cost.map(() => -1), total: 0 };
  const wide = cost.length <= cost[0].length;
  const solved = solveWide(wide ? cost : transpose(cost));
  const match = wide ? solved.match : Array.from(solved.rowOf);
  return { match, total: total(cost, match) };
}

/**
 * The optimum as it is found: one entry for each row that enters.
 * @param {number[][]} cost at most as many rows as columns
 * @returns {{row: number, path: number[][], match: number[], u: number[], v: number[], total: number}[]} `path` are
 *   the pairs [row, column] that are new, from the entering row on; each further row was pushed off the column before
 */
export function steps(cost) {
  if (cost.length && cost.length > cost[0].length) throw new RangeError("More rows than columns: turn the cost over.");
  const found = [];
  solveWide(cost, (row, path, match, u, v) => {
    found.push({ row, path, match: [...match], u: [...u], v: [...v], total: total(cost, match) });
  });
  return found;
}

/**
 * For every row: by how much the smallest total rises if its pair is forbidden, and who it gets instead.
 *
 * Fill the problem up to a square with rows of cost 0. Then the best match without the pair (r, c) differs from the
 * optimum by the shortest cycle through it: the shortest path from r to c over reduced costs. All rows of cost 0
 * are alike (u = 0), so one of them, reached with the first free column, stands for all.
 * @returns {{regret: number, column: number}[]} Infinity and −1 without an alternative; NaN and −1 for unmatched rows
 */
export function regrets(cost) {
  if (!cost.length || !cost[0].length) return cost.map(() => ({ regret: NaN, column: -1 }));
  if (cost.length <= cost[0].length) {
    const solved = solveWide(cost);
    return cost.map((_, row) => {
      const { regret, first } = cheapestDetour(cost, solved, row);
      return { regret, column: first };
    });
  }
  const turned = transpose(cost);
  const solved = solveWide(turned);
  return cost.map((_, row) => {
    if (solved.rowOf[row] < 0) return { regret: NaN, column: -1 };
    const { regret, last } = cheapestDetour(turned, solved, solved.rowOf[row]);
    return { regret, column: last };
  });
}

/** Shortest path from a row to its own column but by their pair: its length, first column, last row (−1: none). */
function cheapestDetour(cost, { match, rowOf, u, v }, start) {
  const columns = v.length;
  const goal = match[start];
  const distance = new Float64Array(columns).fill(Infinity);
  const from = new Int32Array(columns).fill(-1); // column before, -1 at the start
  const done = new Uint8Array(columns);
  let fillerUsed = false;
  const relax = (reached, price, before) => {
    for (let q = 0; q < columns; q++) {
      const through = reached + Math.max(price(q), 0); // below 0 by rounding only
      if (!done[q] && through < distance[q] && !(before < 0 && q === goal)) {
        distance[q] = through;
        from[q] = before;
      }
    }
  };
  relax(0, (q) => cost[start][q] - u[start] - v[q], -1);
  for (;;) {
    let nearest = -1;
    for (let q = 0; q < columns; q++) {
      if (!done[q] && distance[q] < Infinity && (nearest < 0 || distance[q] < distance[nearest])) nearest = q;
    }
    if (nearest < 0) return { regret: Infinity, first: -1, last: -1 };
    if (nearest === goal) break;
    done[nearest] = 1;
    const row = rowOf[nearest];
    if (row >= 0) relax(distance[nearest], (q) => cost[row][q] - u[row] - v[q], nearest);
    else if (!fillerUsed) relax(distance[nearest], (q) => -v[q], nearest);
    fillerUsed = fillerUsed || row < 0;
  }
  let first = from[goal];
  while (from[first] >= 0) first = from[first];
  return { regret: distance[goal], first, last: rowOf[from[goal]] };
}

/**
 * Cheapest pair first, then the cheapest of what is left: what people try before they solve it.
 * @returns {{match: number[], total: number}}
 */
export function greedy(cost) {
  const pairs = cost.flatMap((row, t) => row.map((c, q) => [c, t, q])).sort((a, b) => a[0] - b[0]);
  const match = new Array(cost.length).fill(-1);
  const taken = new Set();
  for (const [, t, q] of pairs) {
    if (match[t] >= 0 || taken.has(q)) continue;
    match[t] = q;
    taken.add(q);
  }
  return { match, total: total(cost, match) };
}

/**
 * Every way to give each row a column of its own, cheapest first.
 * @param {number[][]} cost at most 4 rows and 8 columns, rows not more than columns
 * @returns {{match: number[], total: number}[]}
 */
export function permutations(cost) {
  const columns = cost.length ? cost[0].length : 0;
  if (cost.length > 4 || columns > 8 || cost.length > columns) throw new RangeError("At most 4 rows and 8 columns.");
  const all = [];
  const extend = (match) => {
    if (match.length === cost.length) all.push({ match, total: total(cost, match) });
    else for (let q = 0; q < columns; q++) if (!match.includes(q)) extend([...match, q]);
  };
  extend([]);
  return all.sort((a, b) => a.total - b.total);
}
