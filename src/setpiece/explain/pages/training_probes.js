"use strict";

/** The probe images over the epochs: which query had which target, where its box was, and what the pair cost. */
const ProbeTimeline = (() => {
  const FRAME = 350; // milliseconds per look while it plays
  const HEIGHT = 440; // CSS pixels of the picture, at most

  /** @returns {HTMLElement} */
  function create(payload, matching) {
    const looks = Array.from(Data.array(matching.looks).values);
    if (!matching.probes.length || !looks.length) return Dom.html("div", { hidden: true });
    const view = State.create({ probe: 0, look: looks.length - 1, layer: matching.layers.length - 1, target: null });
    const parts = [
      picture(payload, matching, view, looks),
      Strips.create(payload, matching, view, looks),
      table(payload, matching, view, looks),
    ];
    view.on((changed) => parts.forEach((part) => part.draw(changed)));
    const element = Dom.html(
      "div",
      { class: "panel", "data-view": "probes" },
      Dom.html("h3", {}, "How the match moved on the probe images"),
      Dom.html(
        "p",
        { class: "hint" },
        `${matching.probes.length} images of the ${matching.split} split, without augmentation, as the averaged ` +
          "model saw them after an epoch. Solid: targets. Dashed: their matched predictions. " +
          "A thick dashed box has just got its target from another query.",
      ),
      thumbnails(matching, view),
      controls(matching, view, looks),
      Dom.html("div", { class: "columns" }, parts[0].element, parts[1].element),
      parts[2].element,
    );
    parts.forEach((part) => part.draw(new Set(["probe"])));
    return element;
  }

  function thumbnails(matching, view) {
    const buttons = matching.probes.map((probe, index) =>
      Dom.html(
        "button",
        {
          type: "button",
          class: "thumbnail",
          title: probe.name,
          "aria-label": `Probe ${index}: ${probe.name}`,
          "data-role": `probe-${index}`,
          onclick: () => view.set({ probe: index, target: null }),
        },
        probe.src ? Dom.html("img", { src: probe.src, alt: "" }) : Dom.html("div", { class: "blank" }),
        Dom.html("span", {}, index),
      ),
    );
    const mark = () => buttons.forEach((button, index) => button.setAttribute("aria-pressed", index === view.probe));
    mark();
    view.on((changed) => changed.has("probe") && mark());
    return Dom.html("div", { class: "thumbnails" }, ...buttons);
  }

  function controls(matching, view, looks) {
    const slider = Controls.slider({
      label: "After epoch",
      role: "look",
      min: 0,
      max: looks.length - 1,
      step: 1,
      value: view.look,
      write: (n) => `${looks[n]}`,
      oninput: (look) => {
        stop();
        view.set({ look });
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
    const play = Dom.html("button", { type: "button", class: "primary", "data-role": "play" }, "▶ Play");
    let timer = null;
    const stop = () => {
      clearInterval(timer);
      timer = null;
      play.textContent = "▶ Play";
    };
    play.addEventListener("click", () => {
      if (timer !== null) return stop();
      if (view.look === looks.length - 1) view.set({ look: 0 });
      play.textContent = "❚❚ Pause";
      timer = setInterval(() => {
        if (!play.isConnected || play.closest("[hidden]") || view.look === looks.length - 1) return stop();
        view.set({ look: view.look + 1 });
      }, FRAME);
    });
    view.on((changed) => changed.has("look") && slider.show(view.look));
    return Dom.html("div", { class: "controls" }, play, slider.element, matching.layers.length > 1 && layer.element);
  }

  /** What is known of a target's pair at a look. */
  function pairAt(matching, probe, look, layer, target) {
    const one = (encoded) => Data.row(encoded, look, layer)[target];
    const query = one(probe.queries);
    const before = look > 0 ? Data.row(probe.origins, look - 1, layer)[target] : null;
    const origin = one(probe.origins);
    return {
      query,
      origin,
      moved: before !== null && before !== origin,
      box: Array.from(Data.row(probe.boxes, look, layer, target)),
      label: one(probe.best_labels),
      score: one(probe.scores),
      costs: Array.from(Data.row(probe.costs, look, layer, target)),
    };
  }

  function picture(payload, matching, view, looks) {
    const drawing = Dom.svg("svg", { role: "img", "data-role": "probe-picture" });
    const element = Dom.html("div", { class: "picture" }, drawing);

    function draw() {
      const probe = matching.probes[view.probe];
      const space = element.clientWidth;
      if (!space) return;
      const scale = Math.min(space / probe.width, HEIGHT / probe.height);
      const size = [probe.width * scale, probe.height * scale];
      drawing.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
      drawing.style.width = `${size[0]}px`;
      drawing.setAttribute(
        "aria-label",
        `${probe.name} after epoch ${looks[view.look]}, ${matching.layers[view.layer]}: ` +
          `${probe.labels.length} targets and their matched predictions`,
      );
      const ground = probe.src
        ? Dom.svg("image", { href: probe.src, width: size[0], height: size[1], preserveAspectRatio: "none" })
        : Dom.svg("rect", { class: "ground", width: size[0], height: size[1] });
      const pairs = probe.labels.map((_, t) => pairAt(matching, probe, view.look, view.layer, t));
      drawing.replaceChildren(
        ground,
        ...pairs.map((pair, t) => pair.query >= 0 && box("prediction", t, pair.box, size, pair.moved)),
        ...pairs.map((_, t) => box("target", t, Array.from(Data.row(probe.targets, t)), size, false)),
        ...pairs.map((pair, t) => pair.query >= 0 && link(t, Data.row(probe.targets, t), pair.box, size)),
      );
    }

    function box(kind, target, values, [width, height], moved) {
      const [left, top] = Boxes.corners(values);
      const frame = { x: left * width, y: top * height, width: values[2] * width, height: values[3] * height };
      const other = view.target !== null && view.target !== target;
      return Dom.svg(
        "g",
        {
          class: `${kind}${moved ? " moved" : ""}${other ? " faded" : ""}${view.target === target ? " chosen" : ""}`,
          "data-role": `probe-${kind}`,
          "data-target": target,
          onclick: () => view.set({ target: view.target === target ? null : target }),
        },
        Dom.svg("rect", { class: "halo", ...frame }),
        Dom.svg("rect", { class: "box", ...frame }),
        kind === "target" && tag(`${target}`, frame),
      );
    }

    function tag(text, { x, y }) {
      const wide = 8 + text.length * 6.6;
      return Dom.svg(
        "g",
        { class: "tag", transform: `translate(${x} ${Math.max(0, y - 15)})` },
        Dom.svg("rect", { width: wide, height: 15, rx: 3 }),
        Dom.svg("text", { x: 4, y: 11.5 }, text),
      );
    }

    function link(target, from, to, [width, height]) {
      const line = { x1: from[0] * width, y1: from[1] * height, x2: to[0] * width, y2: to[1] * height };
      const other = view.target !== null && view.target !== target;
      return Dom.svg(
        "g",
        { class: `link${other ? " faded" : ""}` },
        Dom.svg("line", { class: "halo", ...line }),
        Dom.svg("line", line),
      );
    }

    new ResizeObserver(draw).observe(element);
    return { element, draw };
  }

  function table(payload, matching, view, looks) {
    const start = matching.slots === "ranked" ? "cell" : "slot";
    const heads = ["target", "<class", "query", start, "<predicts", "class cost", "L1", "−GIoU", "changes"];
    const body = Dom.html("tbody");
    const element = Dom.table(heads, body, "Targets of the probe image and their queries", "probe-pairs");
    const nameOf = (label) => payload.classes[label] ?? `class ${label}`;

    function draw() {
      const probe = matching.probes[view.probe];
      body.replaceChildren(...probe.labels.map((label, t) => row(probe, label, t)));
    }

    function row(probe, label, target) {
      const pair = pairAt(matching, probe, view.look, view.layer, target);
      const origins = looks.map((_, n) => Data.row(probe.origins, n, view.layer)[target]);
      const there = pair.query >= 0;
      return Dom.html(
        "tr",
        {
          class: `${view.target === target ? "current" : ""}${pair.moved ? " changed" : ""}`,
          "data-target": target,
          onclick: () => view.set({ target: view.target === target ? null : target }),
        },
        Dom.html("td", {}, target),
        Dom.html("td", { class: "text" }, nameOf(label)),
        Dom.html("td", { "data-role": "query" }, there ? pair.query : "–"),
        Dom.html("td", {}, there ? pair.origin : "–"),
        Dom.html("td", { class: "text" }, there ? `${nameOf(pair.label)} ${Math.round(100 * pair.score)} %` : "–"),
        ...pair.costs.map((cost, i) => Dom.number(there ? cost : null, `cost-${i}`, 3, "td")),
        Dom.html("td", { "data-role": "changes" }, Strips.stretches(origins).length - 1),
      );
    }

    return { element, draw };
  }

  return { create };
})();
