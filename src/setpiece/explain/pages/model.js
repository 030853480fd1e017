"use strict";

/** The Model chapter: a diagram of this very model with live shapes, and what its queries look at. */
const Model = (() => {
  const GROUPS = [
    ["backbone", "Backbone", "a CNN reads the image"],
    ["encoder", "Encoder", "places see each other"],
    ["queries", "Queries", "one slot per object"],
    ["decoder", "Decoder", "queries look into the image"],
    ["heads", "Heads", "a class and a box per query"],
    ["other", "Other parts", ""],
  ];

  /** Fill an element with the chapter. */
  function mount(element, payload, state) {
    const { model } = payload;
    element.append(
      Dom.html(
        "div",
        {},
        Dom.html("h2", {}, "Model"),
        Dom.html(
          "p",
          { class: "lead" },
          `${model.preset}: ${count(model.parameters)} parameters, ${model.queries} queries, ` +
            `${model.layers.length} prediction sets (${model.layers.join(", ")}). Shapes are those of one image.`,
        ),
      ),
      diagram(model),
      QueryView.create(payload, state),
    );
  }

  /** All parts in their groups, and the one looked into below. */
  function diagram(model) {
    const details = Dom.html("div", { class: "model-details", "aria-live": "polite", "data-role": "part-details" });
    const buttons = new Map();
    const choose = (path) => {
      for (const [at, button] of buttons) button.setAttribute("aria-pressed", String(at === path));
      details.replaceChildren(describe(model, trailTo(model.parts, path), choose));
    };
    const put = (button, path) => {
      buttons.set(path, button);
      return button;
    };
    const group = ([role, title, what]) => {
      const parts = model.parts.filter((part) => part.role === role);
      if (!parts.length) return null;
      return Dom.html(
        "div",
        { class: `model-group of-${role}`, role: "group", "aria-label": title },
        Dom.html("h4", {}, title, Dom.html("span", { class: "hint" }, what)),
        ...parts.flatMap((part) => [
          put(partButton(part, () => choose(part.path)), part.path),
          ...inside(part).map((inner) => put(innerButton(inner, () => choose(inner.path)), inner.path)),
        ]),
      );
    };
    const image = Dom.html(
      "div",
      { class: "model-group of-image" },
      Dom.html("h4", {}, "Image", Dom.html("span", { class: "hint" }, "red, green, blue")),
      Dom.html("div", { class: "model-end number" }, shape(model.input)),
    );
    const columns = GROUPS.map(group);
    choose(model.parts[0].path);
    return Dom.html(
      "div",
      { class: "panel", "data-view": "diagram" },
      Dom.html("h3", {}, "What it is made of"),
      Dom.html(
        "p",
        { class: "hint" },
        "Each column is in the order in which its parts run. Press one to see what goes in and what comes out.",
      ),
      Dom.html("div", { class: "model-diagram" }, image, ...columns),
      details,
    );
  }

  /** What a part is made of, in the diagram: not of heads, and of what learns all but the norms. */
  function inside(part) {
    if (part.role === "heads") return [];
    return part.parts.filter((inner) => inner.parameters && !inner.kind.includes("Norm"));
  }

  /** One line. */
  function innerButton(part, onclick) {
    const last = part.outputs[part.outputs.length - 1] ?? [];
    return Dom.html(
      "button",
      { type: "button", class: "model-part one-line", "data-path": part.path, "aria-pressed": "false", onclick },
      Dom.html("span", {}, part.title),
      Dom.html("span", { class: "hint" }, last.slice(1).join(" × ")),
    );
  }

  function partButton(part, onclick) {
    return Dom.html(
      "button",
      {
        type: "button",
        class: "model-part",
        "data-role": "part",
        "data-path": part.path,
        "aria-pressed": "false",
        onclick,
      },
      Dom.html("b", {}, part.title),
      ...part.outputs.map((one) => Dom.html("span", { class: "number" }, shape(one))),
      part.parameters ? Dom.html("span", { class: "hint" }, `${count(part.parameters)} parameters`) : null,
    );
  }

  /** The parts from the outermost to the one at a path. */
  function trailTo(parts, path) {
    for (const part of parts) {
      if (part.path === path) return [part];
      if (path.startsWith(`${part.path}.`)) return [part, ...trailTo(part.parts, path)];
    }
    return [];
  }

  function describe(model, trail, choose) {
    const part = trail[trail.length - 1];
    const steps = trail.map((one, i) =>
      i === trail.length - 1
        ? Dom.html("b", {}, one.title)
        : Dom.html("button", { type: "button", class: "line", onclick: () => choose(one.path) }, one.title),
    );
    const share = (100 * part.parameters) / model.parameters;
    const facts = [
      part.kind,
      `${count(part.parameters)} parameters (${Dom.format(share, 1)} %)`,
      part.calls === 0 ? "read, not called" : part.calls > 1 ? `runs ${part.calls} times; shapes of the first` : null,
    ];
    return Dom.html(
      "div",
      { "data-path": part.path },
      Dom.html("p", { class: "model-trail" }, ...steps.flatMap((step, i) => (i ? [" › ", step] : [step]))),
      Dom.html("p", {}, part.about),
      Dom.html("p", { class: "hint" }, facts.filter(Boolean).join(" · ")),
      Dom.html(
        "div",
        { class: "model-flow" },
        shapeList("in", part.inputs),
        Dom.html("div", { class: "model-here" }, part.title),
        shapeList("out", part.outputs),
      ),
      part.parts.length
        ? Dom.html(
            "div",
            { class: "model-inner" },
            ...part.parts.map((inner) => partButton(inner, () => choose(inner.path))),
          )
        : null,
    );
  }

  function shapeList(way, shapes) {
    const none = way === "in" ? "nothing" : "–";
    const texts = shapes.length ? shapes.map(shape) : [none];
    return Dom.html(
      "div",
      { "data-role": `shapes-${way}` },
      Dom.html("span", { class: "hint" }, way),
      Dom.html("ul", {}, ...texts.map((text) => Dom.html("li", { class: "number" }, text))),
    );
  }

  /** Sides with a thin cross between them. */
  function shape(sides) {
    return sides.length ? sides.join(" × ") : "a number";
  }

  /** 2 239 877 as 2.24 M. */
  function count(n) {
    if (n >= 1e6) return `${(n / 1e6).toFixed(2)} M`;
    return n >= 1e4 ? `${(n / 1e3).toFixed(0)} k` : `${n}`;
  }

  return { mount };
})();
