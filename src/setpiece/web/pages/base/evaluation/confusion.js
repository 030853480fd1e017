/** What objects of each class are taken for: a matrix; of many classes a list of the most frequent confusions. */

import { counted, format, html, isolated, name, table } from "../dom.js";

const NOTHING = "nothing";
const MOST = 20; // classes in a matrix
const LISTED = 20; // confusions

/** @param {Evaluated} evaluated */
export function create({ confusion: matrix, classes }) {
  const names = classes.map((of) => of.name);
  const shown = names.length > MOST ? list(matrix, names) : whole(matrix, names);
  return html("section.panel", { "data-view": "confusion" }, html("h2", "What is taken for what"), shown);
}

const sum = (counts) => counts.reduce((total, count) => total + count, 0);

function whole(matrix, classes) {
  const names = [...classes, NOTHING];
  const shown = (at) => (at < classes.length ? name(names[at]) : NOTHING);
  const rows = matrix.map((counts, row) => {
    const all = sum(counts);
    return html(
      "tr",
      html("th.text", { scope: "row" }, shown(row)),
      counts.map((count, column) =>
        html(
          `td.number.heat${row === column ? ".right" : ""}`,
          {
            style: { "--share": String(all ? count / all : 0) },
            title: `${isolated(names[row])} taken for ${isolated(names[column])}`,
          },
          row === classes.length && column === row ? "" : String(count),
        ),
      ),
    );
  });
  return [
    html("p.hint", "Rows are labelled, columns are detected, with the best threshold of each class."),
    table(["<labelled", ...names.map((_, at) => shown(at))], html("tbody", rows), "Confusion matrix", "confusion"),
  ];
}

/** The most frequent confusions of two classes, and how often objects are found, confused and missed at all. */
function list(matrix, names) {
  const nothing = names.length;
  const objects = matrix.slice(0, nothing);
  const right = sum(objects.map((counts, row) => counts[row]));
  const missed = sum(objects.map((counts) => counts[nothing]));
  const all = sum(objects.map(sum));
  const confusions = objects
    .flatMap((counts, row) => counts.slice(0, nothing).map((count, column) => ({ row, column, count, of: sum(counts) })))
    .filter(({ row, column, count }) => count && row !== column)
    .sort((a, b) => b.count - a.count || a.of - b.of);
  const lines = confusions.slice(0, LISTED).map(({ row, column, count, of }) =>
    html(
      "tr",
      html("td.text", name(names[row])),
      html("td.text", name(names[column])),
      html("td.number", String(count)),
      html("td.number", `${format((100 * count) / of, 0)} %`),
    ),
  );
  const more = confusions.length - lines.length;
  const heads = ["<labelled", "<taken for", "objects", "share"];
  return [
    html(
      "p.hint",
      { "data-role": "confused" },
      `Of ${counted(all, "object")} ${right} are taken for their own class, ${all - right - missed} for another one and ` +
        `${missed} for nothing, with the best threshold of each class. ${counted(sum(matrix[nothing]), "detection")} ` +
        `found nothing. ${lines.length ? "The most frequent confusions:" : "No class is taken for another one."}`,
    ),
    lines.length > 0 && table(heads, html("tbody", lines), "Most frequent confusions", "confusions"),
    more > 0 && html("p.hint", `${more} more`),
  ];
}
