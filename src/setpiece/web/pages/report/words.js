/** The first chapter: what the numbers say, in sentences; a press goes to what a sentence speaks of. */

import * as Boxes from "../base/boxes.js";
import * as Data from "../base/data.js";
import { html, svg } from "../base/dom.js";

/**
 * Fill an element with the chapter.
 * @param {Payload} payload
 * @param {PageState} state
 * @param {(id: string) => void} go shows another chapter
 */
export function mount(element, payload, state, go) {
  const lead = "What stands out in the other chapters. Press a sentence to go there.";
  const parts = [
    html("div", html("h2", "In words"), html("p.lead", lead)),
    payload.missing.length ? missing(payload.missing) : null,
    findings(payload, state, go),
  ];
  element.append(...parts.filter(Boolean));
}

function missing(sentences) {
  const list = html("ul", ...sentences.map((text) => html("li", text)));
  return html("div.panel.missing", { "data-role": "missing" }, html("h3", "Not shown"), list);
}

/**
 * @param {Payload} payload
 * @param {PageState} state
 */
function findings(payload, state, go) {
  const item = (finding) => {
    if (finding.image === null) return html("li", html("p.finding", { "data-role": "finding" }, finding.text));
    const properties = { type: "button", "data-role": "finding", onclick: () => show(finding, payload, state, go) };
    return html("li", html("button.line.finding", properties, sketch(payload, finding), html("span", finding.text)));
  };
  const nothing = html("p.hint", "Nothing stands out.");
  const list = payload.findings.length ? html("ol.plain.findings", ...payload.findings.map(item)) : nothing;
  return html("div.panel", list);
}

/**
 * The image of a finding with the target and the query that it speaks of.
 * @param {Payload} payload
 */
function sketch(payload, { image: index, layer, target, query }) {
  const image = payload.images[index];
  const { width, height, src } = image;
  const frame = (box, kind) => {
    const [left, top] = Boxes.corners(box);
    const place = { x: left * width, y: top * height, width: box[2] * width, height: box[3] * height };
    return svg(`g.${kind}`, svg("rect.halo", place), svg("rect.box", place));
  };
  return svg(
    "svg.sketch",
    { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    src
      ? svg("image", { href: src, width, height, preserveAspectRatio: "none" })
      : svg("rect.ground", { width, height }),
    query === null || layer === null ? null : frame(Data.row(image.boxes, layer, query), "prediction"),
    target === null ? null : frame(Data.row(image.targets.boxes, target), "target"),
  );
}

/**
 * Go where a finding points: its image, layer and pair.
 * @param {Payload} payload
 * @param {PageState} state
 */
function show(finding, payload, state, go) {
  const { image, target } = finding;
  const layer = finding.layer ?? state.layer;
  const matched = target === null ? -1 : Data.row(payload.images[image].match, layer)[target];
  const query = finding.query ?? (matched < 0 ? null : matched);
  state.set({ image, layer, target, query, pinned: target !== null || query !== null });
  go("matching");
}
