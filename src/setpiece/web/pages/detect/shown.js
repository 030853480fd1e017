/** An image or a video with the boxes and names of what was detected in it. */

import { html, svg } from "../base/dom.js";

export const COLOURS = 8; // of the boxes: see detect.css
const LETTER = 7; // CSS pixels of a tag's letter, about
const TAG = 15; // CSS pixels that a tag is high

/**
 * @param {HTMLElement} ground an img, a canvas or a video, whose own proportions are those of the picture
 * @param {string[]} classes
 * @returns {{element: HTMLElement, draw: function({width: number, height: number}, Detection[]): void}}
 */
export function create(ground, classes) {
  const drawing = svg("svg", { role: "img", "data-role": "boxes" });
  const element = html("div.picture.detect-picture", ground, drawing);
  /** @type {{size: {width: number, height: number}, detections: Detection[]} | null} */
  let last = null;

  function again() {
    const [width, height] = [ground.clientWidth, ground.clientHeight];
    if (!last || !width || !height) return;
    /** @type {[number, number]} */
    const scale = [width / last.size.width, height / last.size.height];
    const tags = width / last.detections.length > LETTER * 4; // or they would hide the picture
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.replaceChildren(
      ...last.detections.map((found) => boxOf(found, scale)),
      ...last.detections.map((found) => tagOf(found, tags ? classes[found.label] : null)),
    );
    place([...drawing.querySelectorAll(".tag")], last.detections, scale, width);
  }

  function draw(size, detections) {
    last = { size, detections: [...detections].reverse() }; // the surest on top
    drawing.setAttribute("aria-label", inWords(detections, classes));
    again();
  }
  new ResizeObserver(again).observe(ground);
  return { element, draw };
}

/** As "3 objects: 2 cat, 1 dog". */
export function inWords(detections, classes) {
  const counts = new Map();
  for (const { label } of detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  const each = [...counts].sort((a, b) => b[1] - a[1]).map(([label, count]) => `${count} ${classes[label]}`);
  const objects = `${detections.length || "no"} object${detections.length === 1 ? "" : "s"}`;
  return each.length ? `${objects}: ${each.join(", ")}` : objects;
}

function boxOf({ box, label, score }, [sx, sy]) {
  const frame = { x: box[0] * sx, y: box[1] * sy, width: (box[2] - box[0]) * sx, height: (box[3] - box[1]) * sy };
  return svg(
    "g",
    { class: `detected colour-${label % COLOURS}`, "data-label": label, "data-score": score, "data-box": box.join(" ") },
    svg("rect.halo", frame),
    svg("rect.box", frame),
  );
}

function tagOf({ label, score }, name) {
  const text = svg("text", { x: 4, y: 11.5 }, `${name ?? ""} ${score.toFixed(2)}`.trim());
  return svg("g", { class: `tag colour-${label % COLOURS}` }, svg("rect", { height: TAG, rx: 3 }), text);
}

/** Put each tag above its box, as wide as its text. */
function place(tags, detections, [sx, sy], width) {
  const lengths = tags.map((tag) => tag.querySelector("text").getComputedTextLength()); // before anything is moved
  tags.forEach((tag, i) => {
    const { box } = detections[i];
    const wide = lengths[i] + 8;
    const x = Math.max(0, Math.min(box[0] * sx - 1, width - wide));
    tag.setAttribute("transform", `translate(${x} ${Math.max(0, box[1] * sy - TAG)})`);
    tag.querySelector("rect").setAttribute("width", wide);
  });
}
