/** The photo in view with its boxes. A drag moves one shape: nothing else is drawn again. */

import { html, svg } from "../base/dom.js";
import * as Marks from "./marks.js";
import * as Targets from "./targets.js";
import * as Viewport from "./viewport.js";

const PIXELS = 4; // CSS pixels per pixel of the photo from which on its pixels are shown as squares

/** @import { Session } from "./session.js" */
/** @typedef {ReturnType<typeof create>} Stage */

/** @param {Session} session */
export function create(session) {
  const { state, documents, offered } = session;
  const ground = html("div.label-ground");
  const suggestions = svg("g");
  const labels = svg("g");
  const handles = Marks.handles();
  const rubber = svg("rect.label-rubber", { "data-role": "rubber" });
  const across = svg("line.label-cross");
  const down = svg("line.label-cross");
  const drawing = svg("svg", { role: "img", "data-role": "drawing" }, suggestions, labels, handles.element, rubber, across, down);
  const trouble = html("p.label-trouble", { "data-role": "trouble", hidden: true });
  const element = html(
    "div.label-stage",
    { tabindex: 0, role: "application", "aria-label": "Photo with its boxes", "data-role": "stage" },
    ground,
    drawing,
    trouble,
  );
  /** @type {Viewport.View} */
  let view = { scale: 1, x: 0, y: 0 };
  let fitted = true;
  /** @type {import("./marks.js").Mark[]} */
  let marks = [];
  let shown = -1;
  let named = "";

  const room = () => ({ width: element.clientWidth, height: element.clientHeight });
  const size = () => session.entry() ?? { width: 1, height: 1 };

  /** Put the photo of the state on the stage. */
  function show() {
    const entry = session.entry();
    const there = entry && !entry.why ? documents.picture(entry.id) : null;
    ground.replaceChildren(...(there ? [there] : []));
    drawing.style.display = there ? "" : "none";
    trouble.hidden = !entry?.why;
    trouble.textContent = entry?.why ?? "";
    shown = entry?.id ?? -1;
    fit();
  }

  function fit() {
    fitted = true;
    view = Viewport.whole(size(), room());
    place();
  }

  function zoom(factor, at = [element.clientWidth / 2, element.clientHeight / 2]) {
    fitted = false;
    view = Viewport.zoomed(view, size(), room(), factor, at);
    place();
  }

  function pan(dx, dy) {
    fitted = false;
    view = Viewport.held({ ...view, x: view.x + dx, y: view.y + dy }, size(), room());
    place();
  }

  const names = () => state.server?.classes.map(({ name }) => name).join("\n") ?? "";

  /** Make the shapes of all boxes. */
  function draw() {
    named = names();
    const { doc, server, at } = state;
    const mark = (of, index) => {
      const one = /** @type {LabelDocument} */ (doc)[of][index];
      return Marks.box({ of, index }, one, server?.classes[one.class]?.name ?? "?", Targets.is(at, { of, index }));
    };
    const dashed = offered().reverse().map((index) => mark("suggestions", index)); // the surest on top
    const solid = doc?.boxes.map((_, index) => mark("boxes", index)) ?? [];
    marks = [...dashed, ...solid];
    suggestions.replaceChildren(...dashed.map((one) => one.element));
    labels.replaceChildren(...solid.map((one) => one.element));
    labels.append(...labels.querySelectorAll(".chosen")); // on top
    drawing.setAttribute("aria-label", inWords(solid.length, dashed.length));
    place();
  }

  /** Put everything where the view has it. */
  function place() {
    const image = ground.firstElementChild;
    const { width, height } = size();
    if (image instanceof HTMLElement) {
      const { scale, x, y } = view;
      image.style.width = `${width}px`;
      image.style.height = `${height}px`;
      image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      image.style.imageRendering = scale > PIXELS ? "pixelated" : "auto";
    }
    for (const { of, index } of marks) reshape({ of, index }, state.doc?.[of][index].box);
    if (!state.at) handles.element.style.display = "none";
    rub(state.nameless);
    element.dataset.scale = String(view.scale);
    element.dataset.x = String(view.x);
    element.dataset.y = String(view.y);
  }

  /** Draw one box elsewhere, as while it is dragged. */
  function reshape(at, box) {
    const frame = Viewport.toStage(view, box);
    marks.find((one) => one.of === at.of && one.index === at.index)?.place(frame, room());
    if (Targets.is(state.at, at)) {
      handles.element.style.display = "";
      handles.place(frame);
    }
  }

  /** The box that is being drawn. */
  function rub(box) {
    rubber.style.display = box ? "" : "none";
    if (!box) return;
    for (const [name, value] of Object.entries(Viewport.toStage(view, box))) rubber.setAttribute(name, value);
  }

  /** Lines through the pointer; none where it is away. */
  function cross(point) {
    const lines = point && state.crosshair;
    across.style.display = down.style.display = lines ? "" : "none";
    if (!lines) return;
    const { width, height } = room();
    for (const [name, value] of Object.entries({ x1: 0, x2: width, y1: point[1], y2: point[1] })) across.setAttribute(name, value);
    for (const [name, value] of Object.entries({ x1: point[0], x2: point[0], y1: 0, y2: height })) down.setAttribute(name, value);
  }

  state.on((changed) => {
    const entry = session.entry();
    if (["doc", "at", "threshold", "suggesting", "rejected", "nameless"].some((name) => changed.has(name))) draw();
    else if (changed.has("server") && names() !== named) draw();
    if (changed.has("image") || (changed.has("server") && (entry?.id !== shown || Boolean(entry?.why) === trouble.hidden))) show();
  });
  new ResizeObserver(() => (fitted ? fit() : place())).observe(element);
  cross(null);
  rub(null);
  handles.element.style.display = "none";
  return { element, view: () => view, room, size, fit, zoom, pan, reshape, rub, cross };
}

function inWords(labels, suggestions) {
  const boxes = `${labels || "no"} box${labels === 1 ? "" : "es"}`;
  return suggestions ? `${boxes}, ${suggestions} suggestion${suggestions === 1 ? "" : "s"}` : boxes;
}
