/** Every way to give a few targets one query each, cheapest first. */

import * as Assignment from "../assignment.js";
import { button, format, html, table } from "../dom.js";
import * as Pairs from "./pairs.js";

const LISTED = 24; // of up to 1680, before a press asks for all

/**
 * @param {object} options
 * @param {(match: number[], text: string) => void} options.look shows a match of the list
 * @param {() => void} options.leave ends that
 * @returns {{element: HTMLElement, draw: function}}
 */
export function create({ look, leave }) {
  const element = html("div.stack.tight", { "data-role": "permutations" });

  function draw(scene, chosen, everything = false) {
    if (chosen.rows.length > 4) {
      element.replaceChildren(html("p.hint", "With up to 4 targets, every permutation is listed here with its cost."));
      return;
    }
    const all = Assignment.permutations(chosen.cost);
    const greedy = Assignment.greedy(chosen.cost).match.join();
    const listed = everything ? all : all.slice(0, LISTED);
    const rows = listed.map((one, rank) => row(scene, chosen, one, rank, all[0].total, one.match.join() === greedy));
    const [targets, queries] = [chosen.rows.length, chosen.columns.length];
    const title = `Every permutation: ${all.length} ways to give ${targets} targets one of ${queries} queries each`;
    const more = () => draw(scene, chosen, true);
    const body = html("tbody");
    Pairs.fill(body, rows);
    element.replaceChildren(
      html("h3", title),
      table(["", "<target → query", "total", "above the optimum", "<"], body, "Permutations by cost"),
      listed.length < all.length ? button(`Show all ${all.length}`, "all-permutations", more) : "",
    );
  }

  function row(scene, { rows, columns }, { match, total }, rank, best, isGreedy) {
    const pairs = match.map((column, target) => `${rows[target]} → ${scene.number(columns[column])}`);
    const names = [rank ? null : "★ optimum", isGreedy ? "greedy" : null].filter(Boolean);
    const enter = () => look(match, `Permutation ${rank + 1}: total ${format(total)}.`);
    return html(
      "tr",
      {
        class: rank ? null : "optimum",
        tabindex: -1,
        "data-role": "permutation",
        "data-value": total,
        onpointerenter: enter,
        onfocus: (event) => {
          Pairs.reach(event.currentTarget);
          enter();
        },
        onpointerleave: leave,
        onblur: leave,
        onkeydown: (event) => Pairs.step(event, () => {}),
      },
      html("td", rank + 1),
      html("td.text", pairs.join(", ")),
      html("td", format(total)),
      html("td", rank ? `+${format(total - best)}` : "0"),
      html("td.text", names.join(", ")),
    );
  }

  return { element, draw };
}
