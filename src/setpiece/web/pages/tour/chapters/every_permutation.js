/** Chapter 3: every permutation with its cost, the optimum, and how it is found without trying all. */

import * as Assignment from "../../base/assignment.js";
import * as Controls from "../../base/controls.js";
import { html, number, prose } from "../../base/dom.js";
import * as CostTable from "../cost_table.js";
import * as Layout from "../layout.js";
import * as Quiz from "../quiz.js";
import * as SolverSteps from "../solver_steps.js";

export const id = "permutations";
export const title = "Every permutation";
export const questions = ["optimum", "greedy", "regret"];

const label = (match) => match.map((query, object) => `${object}→${query}`).join("  ");

const WORKED = `
  <h3>Two objects, two queries</h3>
  <p>Give every object a query of its own. With as many queries as objects this is a <dfn>permutation</dfn> σ: object
  <i>t</i> gets query σ(<i>t</i>). What it costs is one number of each row, added up. We look for the cheapest:</p>
  <p class="tour-formula">σ̂ = argmin<sub>σ</sub> Σ<sub><i>t</i></sub> <i>c</i>[<i>t</i>, σ(<i>t</i>)]</p>
  <p>With two of each there are two permutations. The obvious way is <dfn>greedy</dfn>: take the cheapest pair, then
  the cheapest of what is left. It takes the 1, and that leaves only the 4. The optimum takes 2 and 2. Object 0 takes
  its second choice. That costs 1 more, and object 1 saves 2.</p>
  <p>So a match is a decision about all objects at once. No pair can be judged by itself.</p>`;

const EVERY = `
  <h3>Three and three: six permutations</h3>
  <p>Choose a permutation to see its cells. The list is sorted by cost, so that the optimum stands first.</p>
  <p>A model has more queries than objects. Then the objects choose among all queries, and a match is an
  <dfn>injection</dfn>: no two objects with the same query, and most queries with none. It is the same problem.</p>
  <h3>Nobody tries them all</h3>
  <p>There are <i>n</i>! permutations of <i>n</i>. The algorithm below needs a number of steps that grows like
  <i>n</i>³.</p>`;

const ALGORITHM = `
  <h3>How the optimum is found</h3>
  <p>The objects enter one after the other. Each takes the cheapest way to a free query. On that way it may take a
  query from another object, which then moves on: an augmenting path, as in chapter 1, now the shortest one. After
  each step the match is the optimum for the objects that have entered. (Jonker and Volgenant, 1987, after Kuhn's
  Hungarian method, 1955.)</p>
  <p><b>Why can nothing be cheaper?</b> The algorithm also keeps a price <i>u</i> for every object and <i>v</i> for
  every query, such that the <dfn>reduced cost</dfn> <i>c</i> − <i>u</i> − <i>v</i> is never below 0, and is exactly 0
  for the chosen pairs. Every complete match costs the sum of all prices plus its reduced costs. So it costs at least
  the sum of all prices, and the one found costs exactly that. The prices are a proof that you can check.</p>`;

export function mount(element, { examples, marks }) {
  const { worked, three, pick, greedy, regret } = examples.permutations;
  element.append(
    Layout.section(prose(WORKED), explorer("worked", worked)),
    Layout.section([prose(EVERY), growth()], explorer("three", three)),
    Layout.section(prose(ALGORITHM), SolverSteps.create(three)),
    Layout.questions(optimum(pick, marks), cheapestFirst(greedy, marks), forbidden(regret, marks)),
  );
}

function matrixOf(cost) {
  const [rows, columns] = [SolverSteps.names("object", cost.length), SolverSteps.names("query", cost[0].length)];
  return { cost, rows, columns, label: "Cost of every object with every query" };
}

/** A matrix beside the list of its permutations. */
function explorer(role, cost) {
  const matrix = CostTable.create(matrixOf(cost));
  const all = Assignment.permutations(cost);
  const greedy = Assignment.greedy(cost);
  const told = Layout.status(`${role}-status`);
  const most = all[all.length - 1].total;
  const buttons = all.map(({ match, total }, i) => {
    const tags = [i === 0 && "optimum", String(match) === String(greedy.match) && "greedy"].filter(Boolean);
    const bar = html("i.tour-bar", { style: { "--part": total / most } });
    const choose = () => show(i);
    return html(
      "button",
      {
        type: "button",
        "data-role": "permutation",
        "data-match": String(match),
        onclick: choose,
        onpointerenter: choose,
      },
      html("span", label(match)),
      bar,
      number(total, "permutation-total", 0),
      html("em", tags.join(", ")),
    );
  });
  function show(i) {
    const { match, total } = all[i];
    matrix.set(match);
    buttons.forEach((button, j) => button.setAttribute("aria-pressed", i === j));
    told.textContent = `${match.map((query, object) => cost[object][query]).join(" + ")} = ${total}`;
  }
  show(0);
  return Layout.figure(
    role,
    "Every row gives one number, and so does every column.",
    matrix.element,
    told,
    html("div.tour-permutations", buttons),
  );
}

/** n! beside n³. */
function growth() {
  const told = Layout.status("growth");
  const tell = (n) => {
    let all = 1n;
    for (let i = 2n; i <= BigInt(n); i++) all *= i;
    const digits = String(all);
    const power = html("sup", String(digits.length - 1));
    const many = digits.length <= 10 ? [Number(all).toLocaleString("en")] : [`${digits[0]}.${digits[1]} × 10`, power];
    told.replaceChildren(`${n}! = `, ...many, ` permutations, ${n}³ = ${(n ** 3).toLocaleString("en")}`);
    told.dataset.value = digits;
  };
  const control = Controls.slider({
    label: "n",
    role: "growth-n",
    min: 2,
    max: 60,
    step: 1,
    value: 10,
    write: String,
    oninput: tell,
  });
  tell(10);
  return Layout.figure(
    "growth",
    "At a thousand million permutations a second, 20! would take 77 years.",
    control.element,
    told,
  );
}

const sum = (cost, match) => match.map((query, object) => cost[object][query]);
const added = (values) => `${values.join(" + ")} = ${values.reduce((a, b) => a + b, 0)}`;

/** What is wrong with a choice of one cell per row as a permutation, or null. */
function notPermutation(match) {
  const twice = match.find((query, i) => match.indexOf(query) !== i);
  return twice === undefined ? null : `Query ${twice} is given to two objects: this is not a permutation.`;
}

function optimum(cost, marks) {
  const best = Assignment.solve(cost);
  const greedy = Assignment.greedy(cost);
  const place = (match) => Assignment.permutations(cost).findIndex((one) => String(one.match) === String(match)) + 1;
  return Quiz.question(marks, {
    id: "optimum",
    ask: "<p><b>Choose the optimal permutation:</b> one cell in every row and in every column, of smallest sum.</p>",
    control: CostTable.control(matrixOf(cost)),
    solution: () => best.match,
    judge: (match) => {
      const problem = notPermutation(match);
      if (problem) return { right: false, why: problem };
      const own = added(sum(cost, match));
      const total = Assignment.total(cost, match);
      if (total > best.total) return { right: false, why: `${own}. It is number ${place(match)} of 6 by cost.` };
      return {
        right: true,
        why: `${own}, the smallest of all six sums. Greedy would end with ${added(sum(cost, greedy.match))}.`,
      };
    },
  });
}

function cheapestFirst(cost, marks) {
  const greedy = Assignment.greedy(cost);
  const best = Assignment.solve(cost);
  const order = greedy.match.map((query, object) => [cost[object][query], object, query]).sort((a, b) => a[0] - b[0]);
  const how = Layout.list(order.map(([value, object, query]) => `${value} (object ${object}, query ${query})`));
  return Quiz.question(marks, {
    id: "greedy",
    ask: `<p><b>Choose what the greedy way takes:</b> the cheapest pair first, then the cheapest of what is
      left.</p>`,
    control: CostTable.control(matrixOf(cost)),
    solution: () => greedy.match,
    judge: (match) => {
      const right = String(match) === String(greedy.match);
      if (!right)
        return { right, why: notPermutation(match) ?? `Look for the smallest number of all: it is ${order[0][0]}.` };
      return { right, why: `In this order: ${how}. The sum is ${greedy.total}; the optimum is ${best.total}.` };
    },
  });
}

function forbidden(cost, marks) {
  const best = Assignment.solve(cost);
  const object = cost.length - 1;
  const { regret, column } = Assignment.regrets(cost)[object];
  const query = best.match[object];
  const again = cost.map((line, t) => line.map((value, q) => (t === object && q === query ? 1e3 : value)));
  const other = Assignment.solve(again);
  const matrix = CostTable.create(matrixOf(cost));
  matrix.set(best.match);
  const control = Quiz.numberInput("The smallest sum rises by");
  control.element = html("div.tour-stack", matrix.element, control.element);
  return Quiz.question(marks, {
    id: "regret",
    ask: `<p>The optimum is marked; it costs ${best.total}. Now object ${object} may not have query ${query}.</p>
      <p><b>By how much does the smallest sum rise?</b> This is the <dfn>regret</dfn> of the pair.</p>`,
    control,
    solution: () => regret,
    judge: (answer) => ({
      right: answer === regret,
      why:
        answer === regret
          ? `Solved again without that pair: ${added(sum(cost, other.match))}, with query ${column} for object
            ${object}. That is ${regret} more. A small regret says that the pair could as well have been another.`
          : `Leave the cell out and look for the smallest sum again: others may have to move as well. Then take
            ${best.total} away.`,
    }),
  });
}
