/** Models beside the first one: AP with intervals, and the matching of both on the images that changed most. */

import * as Boxes from "../base/boxes.js";
import * as Controls from "../base/controls.js";
import * as Data from "../base/data.js";
import { button, format, html, isolated, name, number, svg, table } from "../base/dom.js";
import * as State from "../base/state.js";

/** Build the page from the payload in it. */
function start() {
  const payload = Data.compared();
  const main = /** @type {HTMLElement} */ (document.getElementById("page"));
  main.classList.add("chapter");
  const [first, ...others] = payload.models;
  main.before(
    html("header.page-header", html("h1", payload.title), html("p.hint", ...others.flatMap((of, i) => [i ? ", " : "", name(of)]), " beside ", name(first))),
  );
  main.append(metrics(payload), images(payload));
}

/** @param {ComparedPayload} payload */
function metrics({ rows }) {
  const ends = (interval) => (interval && interval[0] !== null ? interval.map((end) => format(end)).join(" to ") : "–");
  const row = ({ model, AP, AP_interval, AP50, difference, interval }) =>
    html(
      "tr",
      html("th.text", { scope: "row" }, name(model)),
      number(AP, "AP", 3, "td"),
      number(difference, "difference", 3, "td"),
      html("td.number", { "data-role": "interval" }, interval ? ends(interval) : ""),
      html("td.number", { "data-role": "AP-interval" }, ends(AP_interval)),
      number(AP50, "AP50", 3, "td"),
    );
  const names = ["<model", "AP", "change", "its 95 % interval", "95 % interval of AP", "AP50"];
  return html(
    "section.panel",
    html("h2", "How good"),
    table(names, html("tbody", rows.map(row)), "AP of each model", "models"),
    html("p.hint", "The change is AP less that of the first model. Where its interval does not hold 0, the models differ on images of this kind."),
  );
}

/**
 * The images of one model that got better, or worse.
 * @param {ComparedPayload} payload
 */
function images(payload) {
  const view = State.create({ model: 1, sign: payload.images.some(({ change }) => change < 0) ? -1 : 1 });
  const list = html("div.stack");
  const draw = () => {
    const shown = payload.images.filter(({ model, change }) => model === view.model && change * view.sign > 0);
    const none = html("p.hint", { "data-role": "none" }, "There are none.");
    list.replaceChildren(...(shown.length ? shown.map((image) => imageOf(payload, image)) : [none]));
  };
  const which = Controls.choice({
    label: "Model",
    role: "model",
    options: payload.models.slice(1).map((of, index) => [index + 1, of]),
    value: view.model,
    onchange: (model) => view.set({ model }),
  });
  const sign = Controls.choice({
    label: "Images that got",
    role: "sign",
    options: [
      [-1, "worse"],
      [1, "better"],
    ],
    value: view.sign,
    onchange: (key) => view.set({ sign: key }),
  });
  view.on(draw);
  draw();
  return html(
    "section.panel",
    html("h2", "Which images changed"),
    html(
      "p.lead",
      "+1 is one more right detection, or one wrong one less, with each class's best threshold. All detections that are " +
        "counted are drawn; a query may be a detection of several classes. Below each image is the match of the last " +
        "decoder layer. Press a detection or a target to see it alone, a target with its matched queries.",
    ),
    html("div.controls", payload.models.length > 2 && which, sign),
    html(
      "div.legend",
      Controls.key("target", "target"),
      Controls.key("good", "right detection (dashes)"),
      Controls.key("bad", "wrong detection (dots)"),
      Controls.key("prediction", "matched query of a pressed target"),
    ),
    list,
  );
}

/**
 * @param {ComparedPayload} payload
 * @param {ComparedImage} image
 */
function imageOf({ models }, image) {
  const view = State.create({ target: null, detection: null });
  const change = `${image.change > 0 ? "+" : "−"}${Math.abs(image.change)}`;
  const sides = image.sides.map((side, at) =>
    html(
      "figure.picture",
      { "data-role": `side-${at}` },
      pictureOf(image, at, models[side.model], view),
      html("figcaption.hint", name(models[side.model]), `: ${countsOf(side)}`),
      detectionsOf(side, at, view),
    ),
  );
  return html(
    "div.stack",
    { "data-role": "image", "data-name": image.name },
    html("h3", name(image.name), ` (${change})`),
    html("div.columns", sides),
    image.targets.length ? pairsOf(image, models, view) : html("p.hint", "No object is in this image."),
  );
}

/** @param {ComparedSide} side */
function countsOf({ detections }) {
  const right = detections.filter((one) => one.right).length;
  return `${right} right, ${detections.length - right} wrong`;
}

/**
 * The detections that are counted; one that is pressed is shown alone.
 * @param {ComparedSide} side
 */
function detectionsOf({ detections }, at, view) {
  const chips = detections.map(({ class: of, score, right }, index) => {
    const key = `${at}-${index}`;
    const press = () => view.set({ target: null, detection: view.detection === key ? null : key });
    const text = [right ? "✓ " : "✗ ", name(of), ` ${format(score, 2)}`];
    const chip = button(text, right ? "right" : "wrong", press, { class: "chip", "aria-pressed": "false" });
    view.on(() => chip.setAttribute("aria-pressed", String(view.detection === key)));
    return chip;
  });
  return html("div.chips", { role: "group", "aria-label": "Detections" }, chips);
}

/**
 * @param {ComparedImage} image
 * @param {number} at which side
 */
function pictureOf(image, at, model, view) {
  const { width, height, targets } = image;
  const { detections, pairs } = image.sides[at];
  const frame = (box) => {
    const [left, top] = Boxes.corners(box);
    const place = { x: left * width, y: top * height, width: box[2] * width, height: box[3] * height };
    return { ...place, "vector-effect": "non-scaling-stroke" };
  };
  const boxOf = (kind, box) => svg(`g.${kind}`, svg("rect.halo", frame(box)), svg("rect.box", frame(box)));
  const link = (from, to) => {
    const line = { x1: from[0] * width, y1: from[1] * height, x2: to[0] * width, y2: to[1] * height };
    const thin = { ...line, "vector-effect": "non-scaling-stroke" };
    return svg("g.link", svg("line.halo", { ...thin }), svg("line", thin));
  };
  const ofTargets = targets.map(({ box }) => boxOf("target", box));
  const ofDetections = detections.map(({ box, right }) => boxOf(right ? "right" : "wrong", box));
  const ofPairs = pairs.map((pair, t) => svg("g", pair && [boxOf("prediction", pair.box), link(targets[t].box, pair.box)]));
  const mark = () => {
    const { target, detection } = view;
    ofTargets.forEach((shape, t) => shape.classList.toggle("faded", target !== null && target !== t));
    ofDetections.forEach((shape, d) =>
      shape.classList.toggle("faded", target !== null || (detection !== null && detection !== `${at}-${d}`)),
    );
    ofPairs.forEach((shape, t) => shape.toggleAttribute("hidden", target !== t));
  };
  view.on(mark);
  mark();
  const label = `${isolated(image.name)} with the detections of ${isolated(model)}`;
  const ground = svg("image", { href: image.src, width, height, preserveAspectRatio: "none" });
  const area = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label };
  return svg("svg", area, ground, ofTargets, ofDetections, ofPairs);
}

/**
 * The pairs of each target, of both models.
 * @param {ComparedImage} image
 */
function pairsOf(image, models, view) {
  const cells = (pair, side) =>
    pair
      ? [
          html("td", { "data-role": `query-${side}` }, pair.query),
          html("td.text", name(pair.class), ` ${format(pair.score, 2)}`),
          number(pair.iou, `iou-${side}`, 2, "td"),
          number(pair.cost, `cost-${side}`, 2, "td"),
        ]
      : [html("td", "–"), html("td.text", "no query"), html("td", "–"), html("td", "–")];
  const row = ({ class: of }, target) => {
    const press = () => view.set({ target: view.target === target ? null : target, detection: null });
    const chosen = html("button.line", { type: "button", "aria-pressed": "false", onclick: press }, `${target} `, name(of));
    view.on(() => chosen.setAttribute("aria-pressed", String(view.target === target)));
    return html("tr", html("td.text", chosen), ...image.sides.flatMap(({ pairs }, side) => cells(pairs[target], side)));
  };
  const headsOf = ({ model }) => [html("span", "query of ", name(models[model])), "<predicts", "IoU", "cost"];
  const heads = image.sides.flatMap(headsOf);
  const body = html("tbody", image.targets.map(row));
  return table(["<target", ...heads], body, `The pairs of ${image.name}`, "pairs");
}

start();
