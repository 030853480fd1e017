/** The query slots of the Training chapter: how often each is matched, and where its predictions lie. */

import * as Controls from "../controls.js";
import * as Data from "../data.js";
import { button, counted, format, html, svg, table } from "../dom.js";
import * as State from "../state.js";

const TILES = 24;
const LONG = 1.5; // times as wide as high, or as high as wide
const SMALL = 0.1; // side of a small box: the square root of its share of the image

/**
 * @param {Matching} matching
 * @returns {HTMLElement}
 */
export function create(matching) {
  const view = State.create({ layer: matching.layers.length - 1, order: "use", all: false });
  const bars = html("div.slot-bars", { role: "img", "data-role": "slot-bars" });
  const words = html("p", { "data-role": "slot-words" });
  const tiles = html("div.slot-tiles", { "data-role": "slot-tiles" });
  const more = button("", "all-slots", () => view.set({ all: !view.all }), { hidden: matching.queries <= TILES });
  const numbers = numbersOf(matching, view);
  const draw = () => {
    drawBars(matching, view, bars, words);
    drawTiles(matching, view, tiles);
    more.textContent = view.all ? `Show ${TILES} slots` : "Show all slots";
    numbers.draw();
  };
  view.on(draw);
  draw();
  const topK = matching.slots === "top-k";
  return html(
    "div.panel",
    { "data-view": "slots" },
    html("h3", "Query slots"),
    html(
      "p.hint",
      topK
        ? "This model uses top-k query selection: slot 0 is the query with the highest score in its image. Such slots " +
            "cannot specialise. The chart shows how far down the ranks matched queries lie."
        : "A slot of this model is a learned object query, the same for every image. It can specialise in a place and a " +
            "size, or stay unused.",
    ),
    controls(matching, view),
    words,
    bars,
    html(
      "p.hint",
      "Below: the boxes that each slot predicts in the last layer on some recent training images, each at its centre. " +
        "Dot: a small box. Horizontal or vertical bar: a wide or a high box. Ring: any other box. " +
        "Strong marks: matched.",
    ),
    tiles,
    more,
    numbers.element,
  );
}

/** @param {Matching} matching */
function controls(matching, view) {
  return html(
    "div.controls",
    Controls.choice({
      label: "Layer",
      role: "slot-layer",
      options: matching.layers.map((name, l) => [l, name]),
      value: view.layer,
      onchange: (layer) => view.set({ layer }),
    }),
    Controls.choice({
      label: "Order",
      role: "slot-order",
      options: [
        ["use", "by use"],
        ["slot", "by number"],
      ],
      value: view.order,
      onchange: (order) => view.set({ order }),
    }),
  );
}

/**
 * Slots in the chosen order, with their share of the matching.
 * @param {Matching} matching
 */
function ordered(matching, view) {
  const usage = Array.from(Data.row(matching.usage, view.layer));
  const slots = usage.map((share, slot) => ({ slot, share }));
  return view.order === "use" ? slots.sort((a, b) => b.share - a.share || a.slot - b.slot) : slots;
}

/** @param {Matching} matching */
function drawBars(matching, view, bars, words) {
  const slots = ordered(matching, view);
  const most = Math.max(...slots.map(({ share }) => share), 1e-12);
  bars.replaceChildren(
    ...slots.map(({ slot, share }) =>
      html("i", {
        style: { "--share": share / most },
        class: share ? null : "dead",
        title: `slot ${slot}: ${(100 * share).toFixed(1)} % of the matched targets`,
        "data-slot": slot,
        "data-value": share,
      }),
    ),
  );
  const few = busiest(slots);
  const dead = slots.filter(({ share }) => !share).length;
  const text =
    `${few} of ${counted(slots.length, "slot")} ${few === 1 ? "has" : "have"} 70 % of the targets in ` +
    `${matching.layers[view.layer]}; ${dead} had none in the last ` +
    `${matching.usage_epochs === 1 ? "epoch" : counted(matching.usage_epochs, "epoch")}.`;
  words.textContent = text;
  bars.setAttribute("aria-label", `Share of the matched targets by slot. ${text}`);
}

/** How few slots have 70 % of the targets. */
function busiest(slots) {
  let done = 0;
  const shares = slots.map(({ share }) => share).sort((a, b) => b - a);
  const count = shares.findIndex((share) => (done += share) >= 0.7);
  return count < 0 ? slots.length : count + 1;
}

/** @param {Matching} matching */
function drawTiles(matching, view, tiles) {
  const shown = ordered(matching, view).slice(0, view.all ? undefined : TILES);
  tiles.replaceChildren(...shown.map(({ slot, share }) => tile(matching, slot, share)));
}

/**
 * Where the boxes of every slot lie, as a table that is filled while it is open.
 * @param {Matching} matching
 */
function numbersOf(matching, view) {
  const body = html("tbody");
  const heads = ["slot", "share", "centre x", "centre y", "width", "height"];
  const element = html(
    "details",
    { ontoggle: () => draw() },
    html("summary", "The numbers"),
    html(
      "p.hint",
      "Mean ± standard deviation of all boxes that a slot of the last layer predicted in the last epoch, in " +
        "fractions of the image.",
    ),
    table(heads, body, "Query slots: the numbers", "slot-numbers"),
  );
  const row = ({ slot, share }) => {
    const deviations = Data.row(matching.box_deviation, slot);
    const sides = Array.from(Data.row(matching.box_mean, slot), (mean, side) => [mean, deviations[side]]);
    return html(
      "tr",
      { "data-slot": slot },
      html("td", slot),
      html("td", `${(100 * share).toFixed(1)} %`),
      ...sides.map(([mean, deviation]) =>
        html(
          "td",
          { "data-role": "slot-side", "data-value": mean, "data-deviation": deviation },
          `${format(mean, 2)} ± ${format(deviation, 2)}`,
        ),
      ),
    );
  };
  const draw = () => element.open && body.replaceChildren(...ordered(matching, view).map(row));
  return { element, draw };
}

/** @param {Matching} matching */
function tile(matching, slot, share) {
  const { shape } = matching.sample;
  const marks = Array.from({ length: shape[0] }, (_, s) => mark(matching, s, slot)).filter(Boolean);
  const [x, y] = Data.row(matching.box_deviation, slot);
  const spread = `spread ${format(x, 2)} × ${format(y, 2)}`;
  return html(
    "figure.slot-tile",
    { "data-slot": slot, title: `slot ${slot}: standard deviation of its centre, ${spread}` },
    svg(
      "svg",
      { viewBox: "0 0 100 100", role: "img", "aria-label": `Boxes that slot ${slot} predicts, ${spread}` },
      svg("rect", { width: 100, height: 100 }),
      ...marks,
    ),
    html("figcaption", `slot ${slot} · ${(100 * share).toFixed(1)} %`),
  );
}

/** @param {Matching} matching */
function mark(matching, s, slot) {
  const [x, y, w, h] = Array.from(Data.row(matching.sample, s, slot), (value) => value / 255);
  if (!w && !h) return null; // the model predicted fewer on this image
  const matched = Data.row(matching.sample_matched, s)[slot] ? " matched" : "";
  const at = { cx: 100 * x, cy: 100 * y };
  if (Math.sqrt(w * h) < SMALL) return svg("circle", { class: `small${matched}`, r: 2.2, ...at });
  if (w > LONG * h) return svg("path", { class: `wide${matched}`, d: `M${at.cx - 5} ${at.cy}h10` });
  if (h > LONG * w) return svg("path", { class: `high${matched}`, d: `M${at.cx} ${at.cy - 5}v10` });
  return svg("circle", { class: `other${matched}`, r: 3.6, ...at });
}
