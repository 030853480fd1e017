/** A part of a photo with the label in question and what the detector suggests instead. */

import { html, svg } from "../base/dom.js";
import * as Marks from "./marks.js";
import * as Sequence from "./sequence.js";

const AROUND = 0.8; // of the longer side, that is shown around the boxes
const LEAST = 120; // pixels of the photo that are shown at least

/**
 * @param {LabelState} state
 * @param {SuspiciousLabel} row
 */
export function create({ server }, row) {
  const { width, height, why } = Sequence.entry(server, row.image) ?? { width: 1, height: 1, why: null };
  const boxes = [row.box, ...(row.suggestion ? [row.suggestion.box] : [])];
  const [left, top] = [0, 1].map((i) => Math.min(...boxes.map((box) => box[i])));
  const [right, bottom] = [2, 3].map((i) => Math.max(...boxes.map((box) => box[i])));
  const side = Math.max(LEAST, Math.max(right - left, bottom - top) * (1 + AROUND));
  const [wide, high] = [Math.min(width, side * 1.3), Math.min(height, side)];
  const x = Math.min(Math.max(0, (left + right - wide) / 2), width - wide);
  const y = Math.min(Math.max(0, (top + bottom - high) / 2), height - high);
  const rect = (box, label, kind) => {
    const frame = { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1] };
    return svg(`g.label-mark.${kind}.${Marks.colour(label)}`, svg("rect.halo", frame), svg("rect.box", frame));
  };
  const { suggestion } = row;
  return html(
    "figure.label-look",
    svg(
      "svg",
      { viewBox: `${x} ${y} ${wide} ${high}`, role: "img", "aria-label": row.text },
      why === null && svg("image", { href: `photos/${row.image}`, width, height }),
      row.class === null ? "" : rect(row.box, row.class, "labelled"),
      suggestion ? rect(suggestion.box, suggestion.class, "suggested") : "",
    ),
    html(
      "figcaption.legend",
      row.class !== null && key(server, row.class, "solid", "label"),
      suggestion && key(server, suggestion.class, "dashed", `detector, ${Marks.percent(suggestion.score)}`),
    ),
  );
}

/** @param {Labelling | null} server */
function key(server, label, line, text) {
  return html(`span.key.${Marks.colour(label)}`, html(`i.${line}`), `${server?.classes[label]?.name ?? "?"} (${text})`);
}
