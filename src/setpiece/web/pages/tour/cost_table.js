/** A small cost matrix as a table of numbers; its cells can be chosen, at most one in a row. */

import { format, html } from "../base/dom.js";

/** Arrow keys go from cell to cell. */
function move(event, cells) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!step) return;
  const row = cells.findIndex((line) => line.includes(document.activeElement));
  if (row < 0) return;
  const next = cells[row + step[0]]?.[cells[row].indexOf(document.activeElement) + step[1]];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

/**
 * Draw a matrix.
 * @param {{cost: number[][], rows: string[], columns: string[], label: string, digits?: number,
 *   onchange?: (match: number[]) => void}} matrix cells can be chosen where there is `onchange`
 * @returns {{element: Element, match: () => number[], set: (match: number[], marks?: object) => void,
 *   put: (cost: number[][]) => void, note: (rows: string[], columns: string[]) => void}} the column of every row, −1
 *   where none is chosen; `marks` gives cells a class by "row-column"; `put` shows other numbers; `note` writes a
 *   small text beside every row and column
 */
export function create({ cost, rows, columns, label, digits = 0, onchange }) {
  let chosen = rows.map(() => -1);
  const cells = rows.map((_row, t) =>
    columns.map((_column, q) => {
      const properties = { "data-role": "cell", "data-pair": `${t}-${q}` };
      if (!onchange) return html("span.cell", properties);
      const choose = () => {
        chosen = chosen.with(t, chosen[t] === q ? -1 : q);
        paint({});
        onchange([...chosen]);
      };
      return html("button.cell", { type: "button", ...properties, onclick: choose });
    }),
  );

  function paint(marks) {
    cells.forEach((line, t) =>
      line.forEach((cell, q) => {
        const taken = chosen[t] === q;
        cell.classList.toggle("chosen", taken);
        cell.classList.toggle("clash", taken && chosen.filter((other) => other === q).length > 1);
        for (const mark of ["added", "removed"]) cell.classList.toggle(mark, marks[`${t}-${q}`] === mark);
        if (onchange) cell.setAttribute("aria-pressed", taken);
      }),
    );
  }

  function put(next) {
    const values = next.flat();
    const [low, high] = [Math.min(...values), Math.max(...values)];
    cells.forEach((line, t) =>
      line.forEach((cell, q) => {
        cell.textContent = format(next[t][q], digits);
        cell.dataset.value = next[t][q];
        cell.style.setProperty("--x", high > low ? (0.55 * (next[t][q] - low)) / (high - low) : 0);
        if (onchange) cell.setAttribute("aria-label", `${rows[t]}, ${columns[q]}: ${format(next[t][q], digits)}`);
      }),
    );
  }

  const notes = [...rows, ...columns].map(() => html("small"));
  const heads = [...rows, ...columns].map((name, i) =>
    html("th", { scope: i < rows.length ? "row" : "col" }, name, notes[i]),
  );
  const head = html("tr", html("th"), heads.slice(rows.length));
  const body = rows.map((_, t) => html("tr", heads[t], ...cells[t].map((cell) => html("td", cell))));
  const table = html(
    "table.tour-matrix",
    { "aria-label": label, onkeydown: (event) => move(event, cells) },
    html("thead", head),
    html("tbody", body),
  );
  put(cost);
  function set(match, marks = {}) {
    chosen = [...match];
    paint(marks);
  }
  function note(ofRows, ofColumns) {
    [...ofRows, ...ofColumns].forEach((text, i) => (notes[i].textContent = text));
  }
  return { element: html("div.tour-scroll", table), match: () => [...chosen], set, put, note };
}

/** A matrix as the control of a question; the answer is a column for every row. */
export function control(matrix) {
  const control = /** @type {Control} */ ({});
  const drawn = create({ ...matrix, onchange: () => control.onchange() });
  control.element = drawn.element;
  control.value = () => (drawn.match().every((column) => column >= 0) ? drawn.match() : null);
  control.show = (match) => drawn.set(match);
  return control;
}
