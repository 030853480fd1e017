/** Models beside the first one: AP with intervals, and the matching of both on the images that changed most. */

import * as Boxes from "../base/boxes.js";
import * as Controls from "../base/controls.js";
import * as Data from "../base/data.js";
import { format, html, number, svg, table } from "../base/dom.js";
import * as State from "../base/state.js";

/** Build the page from the payload in it. */
function start() {
  const payload = Data.compared();
  const main = /** @type {HTMLElement} */ (document.getElementById("page"));
  main.classList.add("chapter");
  const [first, ...others] = payload.models;
  main.before(
    html("header.page-header", html("h1", payload.title), html("p.hint", `${others.join(", ")} beside ${first}`)),
  );
  main.append(metrics(payload), images(payload));
}

/** @param {ComparedPayload} payload */
function metrics({ rows }) {
  const ends = (interval) => (interval && interval[0] !== null ? interval.map((end) => format(end)).join(" to ") : "–");
  const row = ({ model, AP, AP_interval, AP50, difference, interval }) =>
    html(
      "tr",
      html("th.text", { scope: "row" }, model),
      number(AP, "AP", 3, "td"),
      html("td.number", { "data-role": "AP-interval" }, ends(AP_interval)),
      number(AP50, "AP50", 3, "td"),
      number(difference, "difference", 3, "td"),
      html("td.number", { "data-role": "interval" }, interval ? ends(interval) : ""),
    );
  const names = ["<model", "AP", "its 95 % interval", "AP50", "AP less the first", "95 % interval"];
  return html(
    "section.panel",
    html("h2", "How good"),
    table(names, html("tbody", rows.map(row)), "AP of each model", "models"),
    html("p.hint", "Where the interval of the difference does not hold 0, the models differ on images of this kind."),
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
    options: payload.models.slice(1).map((name, index) => [index + 1, name]),
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
      "+1 is one more right detection, or one wrong one less, with each class's best threshold. Below each image is the " +
        "match of the last decoder layer. Press a target to see it alone.",
    ),
    html("div.controls", payload.models.length > 2 && which, sign),
    html(
      "div.legend",
      Controls.key("target", "target"),
      Controls.key("prediction", "its matched query"),
      Controls.key("no-object", "a confident query without a target"),
    ),
    list,
  );
}

/**
 * @param {ComparedPayload} payload
 * @param {ComparedImage} image
 */
function imageOf({ models }, image) {
  const view = State.create({ target: null });
  const change = `${image.change > 0 ? "+" : "−"}${Math.abs(image.change)}`;
  const sides = image.sides.map((side) => {
    const caption = html("figcaption.hint", `${models[side.model]}: ${othersOf(side)}`);
    return html("figure.picture", pictureOf(image, side, models[side.model], view), caption);
  });
  return html(
    "div.stack",
    { "data-role": "image", "data-name": image.name },
    html("h3", `${image.name} (${change})`),
    html("div.columns", sides),
    pairsOf(image, models, view),
  );
}

/** @param {ComparedSide} side */
function othersOf({ others }) {
  if (!others.length) return "no confident query without a target";
  return `without a target ${others.map((one) => `${one.class} ${one.score.toFixed(2)}`).join(", ")}`;
}

/**
 * @param {ComparedImage} image
 * @param {ComparedSide} side
 */
function pictureOf(image, side, model, view) {
  const { width, height } = image;
  const frame = (box) => {
    const [left, top] = Boxes.corners(box);
    const place = { x: left * width, y: top * height, width: box[2] * width, height: box[3] * height };
    return { ...place, "vector-effect": "non-scaling-stroke" };
  };
  const boxOf = (kind, box, target) =>
    svg(`g.${kind}`, { "data-target": target }, svg("rect.halo", frame(box)), svg("rect.box", frame(box)));
  const link = (from, to, target) => {
    const line = { x1: from[0] * width, y1: from[1] * height, x2: to[0] * width, y2: to[1] * height };
    const thin = { ...line, "vector-effect": "non-scaling-stroke" };
    return svg("g.link", { "data-target": target }, svg("line.halo", { ...thin }), svg("line", thin));
  };
  const shapes = [
    ...side.others.map((one) => boxOf("idle", one.box, "")),
    ...side.pairs.map((pair, t) => pair && boxOf("prediction", pair.box, t)),
    ...image.targets.map(({ box }, t) => boxOf("target", box, t)),
    ...side.pairs.map((pair, t) => pair && link(image.targets[t].box, pair.box, t)),
  ].filter((shape) => shape !== null);
  view.on(() =>
    shapes.forEach((shape) =>
      shape.classList.toggle("faded", view.target !== null && shape.getAttribute("data-target") !== String(view.target)),
    ),
  );
  const area = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${image.name}, matched by ${model}` };
  return svg("svg", area, svg("image", { href: image.src, width, height, preserveAspectRatio: "none" }), shapes);
}

/**
 * The pairs of each target, of both models.
 * @param {ComparedImage} image
 */
function pairsOf(image, models, view) {
  const names = image.sides.map(({ model }) => models[model]);
  const cells = (pair, side) =>
    pair
      ? [
          html("td", { "data-role": `query-${side}` }, pair.query),
          html("td.text", `${pair.class} ${format(pair.score, 2)}`),
          number(pair.iou, `iou-${side}`, 2, "td"),
          number(pair.cost, `cost-${side}`, 2, "td"),
        ]
      : [html("td", "–"), html("td.text", "no query"), html("td", "–"), html("td", "–")];
  const row = ({ class: name }, target) => {
    const press = () => view.set({ target: view.target === target ? null : target });
    const chosen = html("button.line", { type: "button", "aria-pressed": "false", onclick: press }, `${target} ${name}`);
    view.on(() => chosen.setAttribute("aria-pressed", String(view.target === target)));
    return html("tr", html("td.text", chosen), ...image.sides.flatMap(({ pairs }, side) => cells(pairs[target], side)));
  };
  const heads = names.flatMap((name) => [`query of ${name}`, "<predicts", "IoU", "cost"]);
  const body = html("tbody", image.targets.map(row));
  return table(["<target", ...heads], body, `The pairs of ${image.name}`, "pairs");
}

start();
