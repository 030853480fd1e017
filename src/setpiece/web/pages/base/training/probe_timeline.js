/** The probe images over the epochs: which query had which target, where its box was, and what the pair cost. */

import * as Boxes from "../boxes.js";
import * as Controls from "../controls.js";
import * as Data from "../data.js";
import { html, name, number, svg, table } from "../dom.js";
import * as State from "../state.js";
import * as Strips from "./strips.js";

const FRAME = 350; // milliseconds per snapshot while it plays
const HEIGHT = 440; // CSS pixels of the picture, at most

/**
 * @param {{classes: string[]}} payload
 * @param {Matching} matching
 * @param {Kept} kept the probe, layer and snapshot in view; the latest snapshot is followed
 * @returns {HTMLElement}
 */
export function create(payload, matching, kept) {
  const epochs = Array.from(Data.array(matching.kept_epochs).values);
  if (!matching.probes.length || !epochs.length) return html("div", { hidden: true });
  const latest = epochs.length - 1;
  const start = { probe: 0, layer: matching.layers.length - 1, target: null, ...kept.view };
  const at = epochs.indexOf(kept.epoch ?? -1); // a snapshot may be left out once there are many
  const view = State.create({ ...start, snapshot: at < 0 ? latest : at });
  view.on(() => {
    kept.view = { probe: view.probe, layer: view.layer, target: view.target };
    kept.epoch = view.snapshot === latest ? null : epochs[view.snapshot];
  });
  const parts = [
    picture(matching, view, epochs),
    Strips.create(payload, matching, view, epochs),
    pairsTable(payload, matching, view, epochs),
  ];
  view.on((changed) => parts.forEach((part) => part.draw(changed)));
  const element = html(
    "div.panel",
    { "data-view": "probes" },
    html("h3", "How the match moved on the probe images"),
    html(
      "p.hint",
      `${matching.probes.length} images of the ${matching.split} split, not augmented, predicted by the EMA model ` +
        "after an epoch. Solid: targets. Dashed: their matched predictions. " +
        "A thick dashed box took its target from another query at this snapshot.",
    ),
    thumbnails(matching, view),
    controls(matching, view, epochs),
    html("div.columns", parts[0].element, parts[1].element),
    parts[2].element,
  );
  parts.forEach((part) => part.draw(new Set(["probe"])));
  return element;
}

/** @param {Matching} matching */
function thumbnails(matching, view) {
  const buttons = matching.probes.map((probe, index) =>
    html(
      "button.thumbnail",
      {
        type: "button",
        title: probe.name,
        "aria-label": `Probe ${index}: ${probe.name}`,
        "data-role": `probe-${index}`,
        onclick: () => view.set({ probe: index, target: null }),
      },
      probe.src ? html("img", { src: probe.src, alt: "" }) : html("div.blank"),
      html("span", index),
    ),
  );
  const mark = () => buttons.forEach((button, index) => button.setAttribute("aria-pressed", index === view.probe));
  mark();
  view.on((changed) => changed.has("probe") && mark());
  return html("div.thumbnails", ...buttons);
}

/** @param {Matching} matching */
function controls(matching, view, epochs) {
  const slider = Controls.slider({
    label: "After epoch",
    role: "snapshot",
    min: 0,
    max: epochs.length - 1,
    step: 1,
    value: view.snapshot,
    write: (n) => `${epochs[n]}`,
    oninput: (snapshot) => {
      stop();
      view.set({ snapshot });
    },
  });
  const layer = Controls.slider({
    label: "Decoder layer",
    role: "probe-layer",
    min: 0,
    max: matching.layers.length - 1,
    step: 1,
    value: view.layer,
    write: (l) => matching.layers[l],
    oninput: (l) => view.set({ layer: l }),
  });
  const play = html("button.primary", { type: "button", "data-role": "play" }, "▶ Play");
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ Play";
  };
  play.addEventListener("click", () => {
    if (timer !== null) return stop();
    if (view.snapshot === epochs.length - 1) view.set({ snapshot: 0 });
    play.textContent = "❚❚ Pause";
    timer = setInterval(() => {
      if (!play.isConnected || play.closest("[hidden]") || view.snapshot === epochs.length - 1) return stop();
      view.set({ snapshot: view.snapshot + 1 });
    }, FRAME);
  });
  view.on((changed) => changed.has("snapshot") && slider.show(view.snapshot));
  return html("div.controls", play, slider.element, matching.layers.length > 1 && layer.element);
}

/**
 * What is known of a target's pair in a snapshot.
 * @param {Probe} probe
 */
function pairAt(probe, snapshot, layer, target) {
  const one = (encoded) => Data.row(encoded, snapshot, layer)[target];
  const query = one(probe.queries);
  const before = snapshot > 0 ? Data.row(probe.origins, snapshot - 1, layer)[target] : null;
  const origin = one(probe.origins);
  return {
    query,
    origin,
    moved: before !== null && before !== origin,
    box: Array.from(Data.row(probe.boxes, snapshot, layer, target)),
    label: one(probe.best_labels),
    score: one(probe.scores),
    costs: Array.from(Data.row(probe.costs, snapshot, layer, target)),
  };
}

/** @param {Matching} matching */
function picture(matching, view, epochs) {
  const drawing = svg("svg", { role: "img", "data-role": "probe-picture" });
  const element = html("div.picture", drawing);

  function draw() {
    const probe = matching.probes[view.probe];
    const space = element.clientWidth;
    if (!space) return;
    const scale = Math.min(space / probe.width, HEIGHT / probe.height);
    /** @type {[number, number]} */
    const size = [probe.width * scale, probe.height * scale];
    drawing.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    drawing.style.width = `${size[0]}px`;
    drawing.setAttribute(
      "aria-label",
      `${probe.name} after epoch ${epochs[view.snapshot]}, ${matching.layers[view.layer]}: ` +
        `${probe.labels.length} targets and their matched predictions`,
    );
    const ground = probe.src
      ? svg("image", { href: probe.src, width: size[0], height: size[1], preserveAspectRatio: "none" })
      : svg("rect.ground", { width: size[0], height: size[1] });
    const pairs = probe.labels.map((_, t) => pairAt(probe, view.snapshot, view.layer, t));
    const target = (t) => Data.row(probe.targets, t);
    const matched = probe.labels.map((_, t) => t).filter((t) => pairs[t].query >= 0);
    drawing.replaceChildren(
      ground,
      ...matched.map((t) => box("prediction", t, pairs[t].box, size, pairs[t].moved)),
      ...pairs.map((_, t) => box("target", t, target(t), size, false)),
      ...matched.map((t) => link(t, target(t), pairs[t].box, size)),
    );
  }

  function box(kind, target, values, [width, height], moved) {
    const [left, top] = Boxes.corners(values);
    const frame = { x: left * width, y: top * height, width: values[2] * width, height: values[3] * height };
    const other = view.target !== null && view.target !== target;
    return svg(
      "g",
      {
        class: `${kind}${moved ? " moved" : ""}${other ? " faded" : ""}${view.target === target ? " chosen" : ""}`,
        "data-role": `probe-${kind}`,
        "data-target": target,
        onclick: () => view.set({ target: view.target === target ? null : target }),
      },
      svg("rect.halo", { ...frame }),
      svg("rect.box", { ...frame }),
      kind === "target" && tag(`${target}`, frame),
    );
  }

  function tag(text, { x, y }) {
    const wide = 8 + text.length * 6.6;
    return svg(
      "g.tag",
      { transform: `translate(${x} ${Math.max(0, y - 15)})` },
      svg("rect", { width: wide, height: 15, rx: 3 }),
      svg("text", { x: 4, y: 11.5 }, text),
    );
  }

  function link(target, from, to, [width, height]) {
    const line = { x1: from[0] * width, y1: from[1] * height, x2: to[0] * width, y2: to[1] * height };
    const other = view.target !== null && view.target !== target;
    return svg("g", { class: `link${other ? " faded" : ""}` }, svg("line.halo", { ...line }), svg("line", line));
  }

  new ResizeObserver(draw).observe(element);
  return { element, draw };
}

/**
 * @param {{classes: string[]}} payload
 * @param {Matching} matching
 */
function pairsTable(payload, matching, view, epochs) {
  const start = matching.slots === "top-k" ? "cell" : "slot";
  const heads = ["target", "<class", "query", start, "<predicts", "class cost", "L1", "−GIoU", "changes"];
  const body = html("tbody");
  const element = table(heads, body, "Targets of the probe image and their queries", "probe-pairs");
  const nameOf = (label) => payload.classes[label] ?? `class ${label}`;

  function draw() {
    const probe = matching.probes[view.probe];
    body.replaceChildren(...probe.labels.map((label, t) => row(probe, label, t)));
  }

  function row(probe, label, target) {
    const pair = pairAt(probe, view.snapshot, view.layer, target);
    const origins = epochs.map((_, n) => Data.row(probe.origins, n, view.layer)[target]);
    const there = pair.query >= 0;
    return html(
      "tr",
      {
        class: `${view.target === target ? "current" : ""}${pair.moved ? " changed" : ""}`,
        "data-target": target,
        onclick: () => view.set({ target: view.target === target ? null : target }),
      },
      html("td", target),
      html("td.text", name(nameOf(label))),
      html("td", { "data-role": "query" }, there ? pair.query : "–"),
      html("td", there ? pair.origin : "–"),
      html("td.text", there ? [name(nameOf(pair.label)), ` ${Math.round(100 * pair.score)} %`] : "–"),
      ...pair.costs.map((cost, i) => number(there ? cost : null, `cost-${i}`, 3, "td")),
      html("td", { "data-role": "changes" }, Strips.stretches(origins).length - 1),
    );
  }

  return { element, draw };
}
