/** One query of the model: what it attends to in every decoder layer, and its box as each layer corrects it. */

import * as Boxes from "../../base/boxes.js";
import * as Controls from "../../base/controls.js";
import * as Data from "../../base/data.js";
import { html, number, svg, table } from "../../base/dom.js";
import * as State from "../../base/state.js";
import * as MarkedPicture from "./marked_picture.js";

const NEAREST = 0.3; // of the image's width or height, the least that is seen of it

/**
 * @param {PayloadWithModel} payload
 * @param {PageState} state
 * @returns {HTMLElement}
 */
export function create(payload, state) {
  const { model } = payload;
  if (!model.images.length) return html("div", { hidden: true });
  const zoomed = model.images[0].attention?.kind === "points"; // which lie close to the box
  const own = State.create({ shown: state.image, image: nearest(model, state.image), k: 0, missing: null, zoomed });
  const body = html("div.stack");
  const draw = () => body.replaceChildren(...content(payload, state, own));
  const follow = () => {
    const image = nearest(model, state.image);
    const held = heldQuery(payload, model.images[image], state);
    const k = held === null ? -1 : Array.from(Data.array(model.images[image].queries).values).indexOf(held);
    const missing = k < 0 ? held : null;
    own.set({ shown: state.image, image, k: k < 0 ? (image === own.image ? own.k : 0) : k, missing });
  };
  own.on(draw);
  state.on((changed) => (changed.has("image") || changed.has("query")) && follow());
  follow();
  draw();
  return html("div.panel", { "data-view": "query" }, html("h3", "One object query"), body);
}

/**
 * The entry for an image of the report, or the first.
 * @param {Model} model
 */
function nearest(model, image) {
  return Math.max(
    0,
    model.images.findIndex((entry) => entry.image === image),
  );
}

/**
 * The model's number of the query that the report looks at in this image, null where there is none.
 * @param {PayloadWithModel} payload
 * @param {ModelImage} entry
 */
function heldQuery(payload, entry, { image, query }) {
  if (query === null || query < 0 || image !== entry.image) return null;
  return Data.array(payload.images[image].queries).values[query];
}

/**
 * @param {PayloadWithModel} payload
 * @param {PageState} state
 */
function content(payload, state, own) {
  const { model } = payload;
  const entry = model.images[own.image];
  const image = payload.images[entry.image];
  const decoders = model.decoder_layers.length;
  const region = own.zoomed ? around(payload, entry, own.k) : [0, 0, 1, 1];
  const only =
    entry.image === state.image
      ? null
      : html(
          "p.panel.missing",
          `Attention is kept for the images ${model.images.map((one) => one.image).join(", ")} only: ` +
            `this is image ${entry.image}.`,
        );
  const missing =
    own.missing === null
      ? null
      : html(
          "p.panel.missing",
          { "data-role": "query-missing" },
          `Query ${own.missing} is not among the queries kept here.`,
        );
  return [
    only,
    missing,
    html("p.hint", explain(entry)),
    chips(payload, state, own, entry, image),
    Controls.choice({
      label: "Show",
      role: "zoom",
      options: [
        ["near", "around the box"],
        ["all", "the whole image"],
      ],
      value: own.zoomed ? "near" : "all",
      onchange: (key) => own.set({ zoomed: key === "near" }),
    }),
    html(
      "div.model-pictures",
      ...Array.from({ length: decoders }, (_, d) => attention(payload, entry, image, d, own.k, region)),
      refinement(payload, entry, image, own.k, region),
    ),
    refinementTable(payload, entry, own.k),
  ].filter(Boolean);
}

/** @param {ModelImage} entry */
function explain(entry) {
  const kind = entry.attention?.kind;
  const how = kind ? { map: MAP_WORDS, points: POINT_WORDS }[kind] : "";
  return `The ${Data.array(entry.queries).values.length} most confident queries of this image. ${how}`;
}

const MAP_WORDS =
  "Bright: the cross-attention of the query, as the mean over heads. Each layer is scaled by its largest value.";
const POINT_WORDS =
  "Marks: the sampling points of deformable attention around the reference box (dotted), of all heads. " +
  "Larger marks have more weight. Disc, square and diamond: the feature map of stride 8, 16 and 32.";

/**
 * @param {PayloadWithModel} payload
 * @param {PageState} state
 * @param {ModelImage} entry
 */
function chips(payload, state, own, entry, image) {
  const numbers = Array.from(Data.array(entry.queries).values);
  const last = payload.model.layers.length - 1;
  const buttons = numbers.map((number, k) =>
    html(
      "button.chip",
      {
        type: "button",
        "data-role": "query-chip",
        "data-query": number,
        "aria-pressed": String(k === own.k),
        onclick: () => pick(state, own, image, number, k),
      },
      `query ${number}: ${labelOf(payload, entry, k)} ${percent(Data.row(entry.scores, last)[k])}`,
    ),
  );
  return html("div.chips", { role: "group", "aria-label": "Query" }, ...buttons);
}

/**
 * Select a query here, and in the other chapters where they have it.
 * @param {PageState} state
 */
function pick(state, own, image, number, k) {
  own.set({ k, missing: null });
  const query = Array.from(Data.array(image.queries).values).indexOf(number);
  if (query < 0) return;
  const target = Array.from(Data.row(image.match, state.layer)).indexOf(query);
  state.set({ target: target < 0 ? null : target, query, pinned: true });
}

const labelOf = (payload, entry, k) => payload.classes[Data.array(entry.labels).values[k]];
const percent = (share) => `${Math.round(100 * share)} %`;
const boxAt = (entry, layer, k) => Array.from(Data.row(entry.boxes, layer, k));

/**
 * One decoder layer: what the query saw, from the box that it came with (dotted) to the one that it left with.
 * @param {PayloadWithModel} payload
 * @param {ModelImage} entry
 */
function attention(payload, entry, image, d, k, region) {
  const { model } = payload;
  const layer = model.layers.length - model.decoder_layers.length + d;
  const before = layer > 0 ? boxAt(entry, layer - 1, k) : null;
  const weights = /** @type {AttentionMap | AttentionPoints} */ (entry.attention);
  const marks = weights.kind === "map" ? veil(weights, d, k) : points(weights, d, k);
  const boxes = [
    before && weights.kind === "points" && { box: before, kind: "before" },
    { box: boxAt(entry, layer, k), kind: "after" },
  ];
  return MarkedPicture.create(image, model.decoder_layers[d], "attention", d, [...marks, ...boxes], region);
}

/**
 * Darkness over the image where the query does not attend.
 * @param {AttentionMap} map
 */
function veil(map, d, k) {
  const { shape, values } = Data.array(map.weights);
  const [, K, h, w] = shape;
  const canvas = html("canvas", { width: w, height: h });
  const pixels = new ImageData(w, h);
  const start = (d * K + k) * h * w;
  for (let i = 0; i < h * w; i += 1) pixels.data[4 * i + 3] = 215 * (1 - Math.sqrt(values[start + i] / 255));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const [width, height] = map.extent;
  return [svg("image", { href: canvas.toDataURL(), width, height, preserveAspectRatio: "none" })];
}

/** @param {AttentionPoints} sampled */
function points(sampled, d, k) {
  const weights = Data.row(sampled.weights, d, k);
  const levels = Data.array(sampled.levels).values;
  const order = Array.from(weights, (_, n) => n).sort((a, b) => weights[b] - weights[a]);
  return order.map((n) => {
    const [x, y] = Data.row(sampled.at, d, k, n);
    const share = weights[n] / 255; // of the largest
    return { x, y, size: Math.sqrt(share), level: levels[n], weight: share * Data.row(sampled.peak, d)[k] };
  });
}

/**
 * The part of the image with all of a query's boxes in its middle half: left, top, right, bottom.
 * @param {PayloadWithModel} payload
 * @param {ModelImage} entry
 */
function around(payload, entry, k) {
  const boxes = payload.model.layers.map((_, layer) => boxAt(entry, layer, k));
  if (entry.start) boxes.push(Array.from(Data.row(entry.start, k)));
  const corners = boxes.map((box) => Boxes.corners(box));
  const side = (low, high) => {
    const [start, end] = [Math.min(...corners.map((c) => c[low])), Math.max(...corners.map((c) => c[high]))];
    const length = Math.min(1, Math.max(2 * (end - start), NEAREST));
    return [Math.min(1 - length, Math.max(0, (start + end - length) / 2)), length];
  };
  const [[left, width], [top, height]] = [side(0, 2), side(1, 3)];
  return [left, top, left + width, top + height];
}

/**
 * The boxes of all prediction sets over each other, the last one strongest.
 * @param {PayloadWithModel} payload
 * @param {ModelImage} entry
 */
function refinement(payload, entry, image, k, region) {
  const { layers } = payload.model;
  const start = entry.start ? [{ box: Array.from(Data.row(entry.start, k)), kind: "start" }] : [];
  const boxes = layers.map((_, layer) => ({
    box: boxAt(entry, layer, k),
    kind: layer === layers.length - 1 ? "after" : "between",
    layer,
  }));
  const title = `the box from ${entry.start ? "its reference box" : layers[0]} to ${layers[layers.length - 1]}`;
  return MarkedPicture.create(image, title, "refinement", 0, [...start, ...boxes], region);
}

/**
 * @param {PayloadWithModel} payload
 * @param {ModelImage} entry
 */
function refinementTable(payload, entry, k) {
  const { layers } = payload.model;
  /** @type {[string, number[], number | null][]} */
  const rows = layers.map((name, layer) => [name, boxAt(entry, layer, k), Data.row(entry.scores, layer)[k]]);
  if (entry.start) rows.unshift(["reference box", Array.from(Data.row(entry.start, k)), null]);
  const last = rows[rows.length - 1][1];
  const heads = ["", labelOf(payload, entry, k), "centre x", "centre y", "width", "height", "IoU with the last"];
  const body = rows.map(([name, box, score]) =>
    html(
      "tr",
      html("td.text", name),
      html("td", { "data-role": "score", "data-value": score ?? "" }, score === null ? "" : percent(score)),
      ...box.map((side, i) => number(side, `side-${i}`, 3, "td")),
      number(Boxes.overlaps(box, last).iou, "iou", 3, "td"),
    ),
  );
  return table(heads, html("tbody", ...body), "The box after every layer", "refinement-table");
}
