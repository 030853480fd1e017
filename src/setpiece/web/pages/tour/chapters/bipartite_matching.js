/** Chapter 1: bipartite graphs; the largest matching and the cheapest one. */

import * as Assignment from "../../base/assignment.js";
import { button, prose } from "../../base/dom.js";
import * as Graph from "../graph.js";
import * as Layout from "../layout.js";
import * as Quiz from "../quiz.js";

export const id = "graph";
export const title = "Matching";
export const questions = ["largest", "cheapest", "complete"];

const WHAT = `
  <h3>Two groups, and edges between them</h3>
  <p>A <dfn>bipartite graph</dfn> has two groups of vertices, and every edge joins one group with the other. Here the
  groups are workers and jobs: an edge says that this worker can do this job.</p>
  <p>A <dfn>matching</dfn> is a set of edges of which no two share a vertex. Nobody has two jobs, and no job has two
  people. Click edges to put them in or take them out.</p>
  <h3>As many pairs as possible</h3>
  <p>Three pairs are chosen. No fourth edge can be added: the only job that Ben can do is taken, and so is the only
  worker who can do the shelves. The matching is <dfn>maximal</dfn> but not <dfn>maximum</dfn>: four pairs are possible.</p>
  <p>An <dfn>augmenting path</dfn> helps. It starts at a worker without a job, takes an unused edge, goes back
  on a used one, and so on, and ends at a job without a worker. Swap used and unused along it, and there is one pair
  more. If no such path exists, the matching is a maximum (Berge, 1957).</p>`;

const COST = `
  <h3>At the smallest cost</h3>
  <p>Now everyone can do everything, and the numbers are hours. Every matching of three pairs is a maximum; they
  differ in what they cost. A <dfn>minimum-cost matching</dfn> is one of smallest sum. This is the
  <dfn>assignment problem</dfn>.</p>
  <h3>Why a detector needs this</h3>
  <p>A detector that answers with a <em>set</em> of boxes has the same problem in every training step. The objects in
  the picture are the workers, its predictions are the jobs, and the hours are a cost: how badly a prediction fits an
  object. Any object may take any prediction. So the graph is complete, a maximum matching is easy to find, and the
  cost alone decides which prediction is taught to find which object.</p>`;

export function mount(element, { examples, marks }) {
  const { stuck, hours } = examples.matching;
  element.append(
    Layout.section(prose(WHAT), cardinality(stuck)),
    Layout.section(prose(COST), cost(hours)),
    Layout.questions(largest(examples.matching.short, marks), cheapest(examples.matching.trips, marks), many(marks)),
  );
}

function graphOf({ workers, jobs, able }, label) {
  return { left: workers, right: jobs, edges: able.map(([left, right]) => ({ left, right })), label };
}

/** "Ben has two edges", for the vertices that a set of edges uses twice. */
function clashes(graph, pairs) {
  const [lefts, rights] = Graph.crowded(pairs);
  const names = [...lefts.map((i) => graph.left[i]), ...rights.map((i) => graph.right[i])];
  return `${Layout.list(names)} ${names.length === 1 ? "has" : "have"} more than one edge`;
}

function cardinality(example) {
  const graph = graphOf(example, "Workers and the jobs that they can do");
  const told = Layout.status("matching-status");
  /** @type {{added: number[][], removed: number[][]}} */
  let path = { added: [], removed: [] };
  const drawn = Graph.create({ ...graph, onchange: () => tell() });
  const show = button("Show an augmenting path", "show-path", () => {
    path = Graph.augmentingPath(example.able, drawn.pairs()) ?? path;
    drawn.set(drawn.pairs(), Graph.marks(path.added, path.removed));
    const from = graph.left[path.added[0][0]];
    const joins = Layout.count(path.added.length, "edge");
    told.textContent = `From ${from}: ${joins} to add, ${path.removed.length} to give up.`;
    [show.disabled, swap.disabled] = [true, false];
  });
  const swap = button("Swap along it", "swap-path", () => {
    const gone = new Set(path.removed.map((pair) => pair.join("-")));
    drawn.set([...drawn.pairs().filter((pair) => !gone.has(pair.join("-"))), ...path.added]);
    tell();
  });
  const again = button("Start again", "restart", () => {
    drawn.set(example.chosen);
    tell();
  });

  function tell() {
    const pairs = drawn.pairs();
    const matching = Graph.isMatching(pairs);
    const larger = matching && Graph.augmentingPath(example.able, pairs);
    told.dataset.value = matching ? pairs.length : "";
    if (!matching) told.textContent = `Not a matching: ${clashes(graph, pairs)}.`;
    else if (larger)
      told.textContent = `A matching of ${Layout.count(pairs.length, "pair")}. An augmenting path exists.`;
    else told.textContent = `A matching of ${Layout.count(pairs.length, "pair")}, and no augmenting path: a maximum.`;
    [show.disabled, swap.disabled] = [!larger, true];
  }

  drawn.set(example.chosen);
  tell();
  const caption = "Thick: chosen. Thick and dashed: two chosen edges meet. On a path, + joins and − leaves.";
  return Layout.figure("cardinality", caption, drawn.element, told, Layout.row(show, swap, again));
}

function cost({ workers, jobs, cost }) {
  const told = Layout.status("cost-status");
  const graph = {
    left: workers,
    right: jobs,
    edges: Graph.complete(cost),
    label: "Hours of every worker for every job",
  };
  const drawn = Graph.create({ ...graph, onchange: () => tell() });
  const best = Assignment.solve(cost);
  function tell() {
    const pairs = drawn.pairs();
    const hours = sum(cost, pairs);
    told.dataset.value = hours;
    if (!Graph.isMatching(pairs)) told.textContent = `Not a matching: ${clashes(graph, pairs)}.`;
    else if (pairs.length < workers.length)
      told.textContent = `${Layout.count(pairs.length, "pair")}, ${Layout.count(hours, "hour")}.`;
    else if (hours > best.total) told.textContent = `3 pairs, ${hours} hours. It can be done in fewer.`;
    else told.textContent = `3 pairs, ${hours} hours: the smallest sum of all.`;
  }
  tell();
  return Layout.figure("cost", "Choose one edge for each worker; who finds the smallest sum?", drawn.element, told);
}

const sum = (cost, pairs) => pairs.reduce((total, [left, right]) => total + cost[left][right], 0);

function largest(example, marks) {
  const graph = graphOf(example, "Choose a maximum matching");
  const { workers, jobs, able } = example;
  const best = Graph.maximum(workers.length, jobs.length, able);
  const { group, neighbours } = Graph.tightest(workers.length, able);
  const bound = `${Layout.list(group.map((i) => workers[i]))} can do only
    ${Layout.list(neighbours.map((i) => jobs[i]))}, so at least ${group.length - neighbours.length} of them goes
    without a job, and more than ${Layout.count(best.size, "pair")} is impossible.`;
  return Quiz.question(marks, {
    id: "largest",
    ask: "<p><b>Choose a matching with as many pairs as possible.</b></p>",
    control: Graph.control(graph),
    solution: () => best.pairs,
    judge: (pairs) => {
      if (!Graph.isMatching(pairs)) return { right: false, why: `This is not a matching: ${clashes(graph, pairs)}.` };
      const right = pairs.length === best.size;
      if (right) return { right, why: `${Layout.count(best.size, "pair")} is the maximum: ${bound}` };
      return {
        right,
        why: `These are ${Layout.count(pairs.length, "pair")}; an augmenting path leads to one more.`,
      };
    },
  });
}

function cheapest({ workers, jobs, cost }, marks) {
  const graph = {
    left: workers,
    right: jobs,
    edges: Graph.complete(cost),
    label: "Choose a minimum-cost matching",
  };
  const best = Assignment.solve(cost);
  const greedy = Assignment.greedy(cost);
  return Quiz.question(marks, {
    id: "cheapest",
    ask: "<p><b>Choose the edges of a minimum-cost matching of three pairs.</b></p>",
    control: Graph.control(graph),
    solution: () => Graph.pairsOf(best.match),
    judge: (pairs) => {
      if (!Graph.isMatching(pairs)) return { right: false, why: `This is not a matching: ${clashes(graph, pairs)}.` };
      if (pairs.length < workers.length) return { right: false, why: "Every worker needs a job: choose three edges." };
      const hours = sum(cost, pairs);
      if (hours > best.total) {
        return { right: false, why: `This matching takes ${hours} hours; there is one of ${best.total}.` };
      }
      const why = `${hours} hours is the smallest sum of all six matchings. Taking the smallest number first, then the
        smallest of what is left, would end with ${greedy.total}.`;
      return { right: true, why };
    },
  });
}

function many(marks) {
  const [objects, queries] = [3, 100];
  const ones = Array.from({ length: objects }, () => new Array(queries).fill(1));
  const size = Assignment.solve(ones).total;
  return Quiz.question(marks, {
    id: "complete",
    ask: `<p>A picture holds <b>${objects} objects</b>, and a detector makes <b>${queries} predictions</b>. Any object
      may be paired with any prediction.</p><p><b>How many pairs has a maximum matching?</b></p>`,
    control: Quiz.numberInput("Pairs"),
    solution: () => size,
    judge: (answer) => {
      if (answer > size) return { right: false, why: "A matching uses each vertex at most once, so each object, too." };
      if (answer < size) return { right: false, why: "More is possible: no object has to share its prediction." };
      const why = `In a complete bipartite graph the smaller group sets the limit: min(${objects}, ${queries}) =
        ${size}. The other ${queries - size} predictions stay without an object.`;
      return { right: true, why };
    },
  });
}
