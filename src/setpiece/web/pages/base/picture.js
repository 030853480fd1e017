/** An image with its targets (solid) and the predictions matched with them (dashed), a line joining each pair. */

import * as Boxes from "./boxes.js";
import { html, svg } from "./dom.js";
import * as Scene from "./scene.js";
import * as State from "./state.js";

const HEIGHT = 520; // CSS pixels at most
const SMALL = 400; // narrower pictures have finer lines
const LONGEST = 0.08; // arrow, of the picture's width and height

/**
 * A box on the picture; `target` is null where it belongs to none.
 * @typedef {{kind: "target" | "prediction" | "idle", target: number | null, query: number, box: Box}} Item
 */

/**
 * @param {object} options
 * @param {Payload} options.payload
 * @param {PageState} options.state the pair in view is shown, and set by the pointer
 * @param {string} options.label what the picture shows, for those who do not see it
 * @param {(scene: Scene) => number[]} [options.match] the query of each target, the scene's own match if left out
 * @param {(scene: Scene) => number[]} [options.only] the targets to show, all if left out
 * @param {(scene: Scene) => number[]} [options.idle] queries without a target to show, none if left out
 * @param {boolean} [options.arrows] where the negative gradient pushes the edges of the matched predictions
 * @returns {{element: HTMLElement, draw: function()}}
 */
export function create({
  payload,
  state,
  label,
  match = (scene) => scene.match,
  only,
  idle = () => [],
  arrows = false,
}) {
  const drawing = svg("svg", { role: "img", "aria-label": label, "data-role": "picture" });
  const element = html("div.picture", drawing);
  /** @type {Item[]} */
  let shown = [];
  /** @type {[number, number]} */
  let size = [0, 0];

  function draw() {
    const scene = Scene.of(payload, state);
    const { image } = scene;
    const space = element.clientWidth;
    if (!space) return;
    const scale = Math.min(space / image.width, HEIGHT / image.height);
    size = [image.width * scale, image.height * scale];
    const matched = match(scene);
    const targets = only ? only(scene) : scene.targets;
    const paired = targets.filter((t) => matched[t] >= 0);
    drawing.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    drawing.setAttribute("aria-label", `${label}: ${image.name}, ${targets.length} targets, ${paired.length} matched`);
    drawing.style.width = `${size[0]}px`;
    drawing.classList.toggle("small", size[0] < SMALL);
    shown = [
      ...idle(scene).map((query) => ({ kind: "idle", target: null, query, box: scene.queryBox(query) })),
      ...paired.map((t) => ({ kind: "prediction", target: t, query: matched[t], box: scene.queryBox(matched[t]) })),
      ...targets.map((t) => ({ kind: "target", target: t, query: matched[t], box: scene.targetBox(t) })),
    ];
    const groups = shown.map((item) => boxOf(item, size, scene));
    const links = paired.map((t) => linkOf(scene, t, matched[t], size));
    const pushes = arrows ? arrowsOf(scene, size) : [];
    drawing.replaceChildren(ground(image, size), ...groups, ...links, ...pushes);
    mark();
  }

  /** Fade all but the pair in view. Where all targets are shown, draw its query even if it has no target. */
  function mark() {
    const { target, query } = state;
    drawing.querySelector(".visitor")?.remove();
    const known =
      only || query === null || query < 0 || shown.some((item) => item.kind !== "target" && item.query === query);
    if (!known && size[0]) drawing.append(visitor(Scene.of(payload, state), target, query, size));
    const any = target !== null || query !== null;
    for (const group of drawing.querySelectorAll("[data-query]")) {
      const ofTarget = group.dataset.target !== "" && Number(group.dataset.target) === target;
      const ofQuery = Number(group.dataset.query) === query && query !== -1;
      const chosen = any && (group.classList.contains("target") ? ofTarget : ofQuery || (query === null && ofTarget));
      group.classList.toggle("chosen", chosen);
      group.classList.toggle("faded", any && !chosen && !ofTarget && !ofQuery);
      const tag = group.querySelector(".tag");
      if (tag && !group.classList.contains("target")) tag.style.display = chosen ? "" : "none";
    }
  }

  /** The smallest box under the pointer. */
  function under(event) {
    const frame = drawing.getBoundingClientRect();
    const x = (event.clientX - frame.left) / frame.width;
    const y = (event.clientY - frame.top) / frame.height;
    const inside = shown.filter(({ box }) => Math.abs(x - box[0]) <= box[2] / 2 && Math.abs(y - box[1]) <= box[3] / 2);
    return inside.sort((a, b) => a.box[2] * a.box[3] - b.box[2] * b.box[3])[0];
  }

  drawing.addEventListener("pointermove", (event) => {
    const item = under(event);
    State.hover(state, item ? item.target : null, item ? item.query : null);
  });
  drawing.addEventListener("pointerleave", () => State.hover(state, null, null));
  drawing.addEventListener("click", (event) => {
    const item = under(event);
    if (item) State.pin(state, item.target, item.query);
    else state.set({ target: null, query: null, pinned: false });
  });
  state.on((changed) => {
    if (["image", "layer", "criterion"].some((name) => changed.has(name))) draw();
    else mark();
  });
  new ResizeObserver(draw).observe(element);
  return { element, draw };
}

function ground(image, [width, height]) {
  if (image.src) return svg("image", { href: image.src, width, height, preserveAspectRatio: "none" });
  return svg(
    "g",
    svg("rect.ground", { width, height }),
    svg("text", { x: 12, y: 24, fill: "currentColor" }, "This file does not hold the picture."),
  );
}

/**
 * A rectangle on the picture, with a light or dark edge around its line.
 * @param {Item} item
 * @param {number[]} size of the picture
 * @param {Scene} scene
 */
function boxOf({ target, query, box, kind }, [width, height], scene) {
  const [left, top] = Boxes.corners(box);
  const frame = { x: left * width, y: top * height, width: box[2] * width, height: box[3] * height };
  const tag = kind === "target" ? `${target}` : `query ${scene.number(query)}`;
  return svg(
    "g",
    { class: kind, "data-role": `${kind}-box`, "data-target": target ?? "", "data-query": query },
    svg("rect.halo", frame),
    svg("rect.box", frame),
    tagOf(tag, kind, frame, [width, height]),
  );
}

function tagOf(text, kind, frame, [width, height]) {
  const wide = 8 + text.length * 6.6;
  const x = Math.max(0, Math.min(frame.x, width - wide));
  const below = kind !== "target"; // targets are named at the top left, predictions at the bottom
  const y = Math.max(0, Math.min(below ? frame.y + frame.height : frame.y - 15, height - 15));
  const name = { target: "tag", prediction: "tag of-query", idle: "tag of-idle" }[kind];
  return svg(
    "g",
    { class: name, transform: `translate(${x} ${y})` },
    svg("rect", { width: wide, height: 15, rx: 3 }),
    svg("text", { x: 4, y: 11.5 }, text),
  );
}

/**
 * The query in view, with a line to the target that it is compared with.
 * @param {Scene} scene
 */
function visitor(scene, target, query, size) {
  const box = boxOf({ target: null, query, box: scene.queryBox(query), kind: "idle" }, size, scene);
  return svg("g.visitor", target === null ? "" : linkOf(scene, target, query, size), box);
}

/**
 * From the target's centre (a disc) to the prediction's (a diamond).
 * @param {Scene} scene
 */
function linkOf(scene, target, query, [width, height]) {
  const [a, b] = [scene.targetBox(target), scene.queryBox(query)];
  const [x1, y1, x2, y2] = [a[0] * width, a[1] * height, b[0] * width, b[1] * height];
  return svg(
    "g.link",
    { "data-role": "link", "data-target": target, "data-query": query },
    svg("line.halo", { x1, y1, x2, y2 }),
    svg("line", { x1, y1, x2, y2 }),
    svg("circle", { cx: x1, cy: y1, r: 4 }),
    svg("path", { d: `M${x2} ${y2 - 5}l5 5l-5 5l-5 -5z` }),
  );
}

/**
 * How a step along the negative gradient of (cx, cy, w, h) moves the edges.
 * @returns {{left: number, top: number, right: number, bottom: number}} fractions of the image, per unit of step
 */
export function pushOf(gradient) {
  const [x, y, w, h] = gradient.map((slope) => -slope);
  return { left: x - w / 2, top: y - h / 2, right: x + w / 2, bottom: y + h / 2 };
}

/**
 * Four arrows on each matched prediction, on one scale for the image.
 * @param {Scene} scene
 */
function arrowsOf(scene, [width, height]) {
  const pairs = scene.loss.pairs.filter(({ query }) => query >= 0);
  const pushes = pairs.map(({ gradient }) => pushOf(gradient));
  const reach = pushes.flatMap(({ left, right, top, bottom }) =>
    [left * width, right * width, top * height, bottom * height].map(Math.abs),
  );
  const scale = (LONGEST * Math.sqrt(width * height)) / reach.reduce((a, b) => Math.max(a, b), 1e-12);
  return pairs.map(({ target, query }, i) => {
    const [left, top, right, bottom] = Boxes.corners(scene.queryBox(query));
    const [x, y] = [((left + right) / 2) * width, ((top + bottom) / 2) * height];
    const arrows = [
      arrow("left", pushes[i].left, [left * width, y], [pushes[i].left * width * scale, 0]),
      arrow("top", pushes[i].top, [x, top * height], [0, pushes[i].top * height * scale]),
      arrow("right", pushes[i].right, [right * width, y], [pushes[i].right * width * scale, 0]),
      arrow("bottom", pushes[i].bottom, [x, bottom * height], [0, pushes[i].bottom * height * scale]),
    ];
    return svg("g.arrows", { "data-role": "arrows", "data-target": target, "data-query": query }, arrows);
  });
}

function arrow(edge, value, [x, y], [dx, dy]) {
  const names = { "data-role": "arrow", "data-edge": edge, "data-value": value };
  const length = Math.hypot(dx, dy);
  if (length < 2) return svg("g.arrow", names); // nothing to see
  const half = Math.min(8, length) * 0.45; // of the head's width; it is twice as long
  const [ux, uy] = [dx / length, dy / length];
  const [baseX, baseY] = [x + dx - 2 * half * ux, y + dy - 2 * half * uy];
  const corners = [
    [x + dx, y + dy],
    [baseX - half * uy, baseY + half * ux],
    [baseX + half * uy, baseY - half * ux],
  ];
  const line = { x1: x, y1: y, x2: baseX, y2: baseY };
  const head = { d: `M${corners.map((corner) => corner.join(" ")).join("L")}z` };
  return svg("g.arrow", names, svg("line.halo", line), svg("path.halo", head), svg("line", line), svg("path", head));
}
