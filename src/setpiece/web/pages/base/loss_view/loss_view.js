/** The Loss chapter: what pairs and queries without a target add, also under other weights, and what it pushes. */

import { format, html, number, table } from "../dom.js";
import * as Loss from "../loss.js";
import * as Pairs from "../matching/pairs.js";
import * as Picture from "../picture.js";
import * as Scene from "../scene.js";
import * as State from "../state.js";
import * as Weights from "./weights.js";

/** @type {[string, string][]} */
const TERMS = [...Object.entries(Loss.TERM_NAMES), ["no_object", "no object"]];
const WORST = 6;
const mark = (term) => ({ "--mark": `var(--${term.replace("_", "-")})` });

/**
 * Fill an element with the chapter.
 * @param {Payload} payload
 * @param {PageState} state
 */
export function mount(element, payload, state) {
  const picture = Picture.create({ payload, state, label: "Where the loss pushes the boxes", arrows: true });
  const parts = [Weights.create({ payload, state }), sum, layers, shares, worst];
  const [weights, total, byLayer, byPair, unmatched] = parts.map((part) =>
    typeof part === "function" ? part(payload, state) : part,
  );
  element.append(
    html(
      "div",
      html("h2", "Loss"),
      html(
        "p.lead",
        "The Hungarian loss of one image: what the matched pairs and the queries without a target add. ",
        "The image counts as a batch: sums are divided by its own number of targets.",
      ),
    ),
    weights.element,
    html(
      "div.columns",
      html(
        "div.panel",
        html("h3", "Where it pushes the boxes"),
        picture.element,
        html(
          "p.hint",
          "Arrows: how a small step along the negative gradient of (cx, cy, w, h) moves each edge of a matched ",
          "prediction (dashed). All arrows have one scale. The class term moves no box. The Hungarian loss gives a ",
          "query without a target no box to learn.",
        ),
      ),
      html("div.stack", total.element, byLayer.element),
    ),
    byPair.element,
    unmatched.element,
  );
  const draw = () => [weights, total, byLayer, byPair, unmatched].forEach((part) => part.draw());
  state.on((changed) => ["image", "layer", "criterion"].some((name) => changed.has(name)) && draw());
  draw();
}

/** A bar whose parts are as long as the terms. */
function bar(loss, longest) {
  const part = ([term, _name]) => {
    const width = `${(100 * loss[term]) / (longest || 1)}%`;
    return loss[term] > 0 && html("i", { style: { ...mark(term), width } });
  };
  return html("div.stacked", { "aria-hidden": "true" }, TERMS.map(part));
}

/**
 * The loss of the image at this layer.
 * @param {Payload} payload
 * @param {PageState} state
 */
function sum(payload, state) {
  const element = html("div.panel", { "data-role": "loss-sum" });
  const draw = () => {
    const { loss, targets, queryCount } = Scene.of(payload, state);
    const matched = loss.pairs.filter((pair) => pair.query >= 0).length;
    const share = (term) => (loss.total > 0 ? `${Math.round((100 * loss[term]) / loss.total)} %` : "–");
    const line = ([term, name]) =>
      html(
        "li",
        html("span.key", html("i", { style: mark(term) }), name),
        number(loss[term], `loss-${term}`),
        html("span.hint", share(term)),
      );
    element.replaceChildren(
      html("h3", "Loss of this image at this layer: ", number(loss.total, "loss-total")),
      bar(loss, loss.total),
      html("ul.plain.terms", TERMS.map(line)),
      html(
        "p.hint",
        `${matched} of ${targets.length} targets matched; ${queryCount - matched} queries learn “no object”.`,
      ),
    );
  };
  return { element, draw };
}

/**
 * The same for every layer, as bars to compare; a press goes to the layer.
 * @param {Payload} payload
 * @param {PageState} state
 */
function layers(payload, state) {
  const element = html("div.panel", { "data-role": "loss-layers" });
  const draw = () => {
    const losses = payload.layers.map(
      (_, layer) => Scene.of(payload, { image: state.image, criterion: state.criterion, layer }).loss,
    );
    const longest = Math.max(...losses.map((loss) => loss.total));
    const line = (loss, layer) =>
      html(
        "button.line.bar-line",
        {
          type: "button",
          "aria-pressed": String(layer === state.layer),
          onclick: () => Scene.toLayer(payload, state, layer),
        },
        html("span", payload.layers[layer]),
        bar(loss, longest),
        number(loss.total, "layer-loss"),
      );
    element.hidden = losses.length < 2;
    element.replaceChildren(html("h3", "Layer by layer"), ...losses.map(line));
  };
  return { element, draw };
}

/**
 * What each pair adds.
 * @param {Payload} payload
 * @param {PageState} state
 */
function shares(payload, state) {
  const body = html("tbody");
  const names = ["<target", "query", ...Object.values(Loss.TERM_NAMES), "total", ""];
  const box = table(names, body, "Loss of each pair", "loss-pairs");
  const element = html("div.panel", html("h3", "What each pair adds, most first"), box);
  const draw = () => {
    const scene = Scene.of(payload, state);
    const pairs = scene.loss.pairs.filter((pair) => pair.query >= 0).sort((a, b) => b.loss.total - a.loss.total);
    element.hidden = !pairs.length;
    Pairs.fill(
      body,
      pairs.map((pair) => shareRow(scene, pair, pairs[0].loss.total, state)),
    );
    Pairs.mark(box, body, state);
  };
  state.on((changed) => changed.has("target") && Pairs.mark(box, body, state));
  return { element, draw };
}

/**
 * @param {Scene} scene
 * @param {PairLoss} pair
 * @param {number} longest
 * @param {PageState} state
 */
function shareRow(scene, { target, query, loss }, longest, state) {
  return html(
    "tr",
    Pairs.rowProperties(state, target, query, "loss-row"),
    html("td.text", html("b", target), ` ${scene.className(target)}`),
    html("td", scene.number(query)),
    [...Loss.TERMS, "total"].map((term) => html("td", number(loss?.[term], `share-${term}`))),
    html("td.wide", bar(loss, longest)),
  );
}

/**
 * The queries without a target that cost most.
 * @param {Payload} payload
 * @param {PageState} state
 */
function worst(payload, state) {
  const list = html("div.stack.tight");
  const element = html("div.panel", html("h3", "Queries without a target that add most"), list);
  const draw = () => {
    const scene = Scene.of(payload, state);
    const costly = scene.queries.filter((query) => scene.loss.noObjectOf[query] > 0);
    const most = costly.sort((a, b) => scene.loss.noObjectOf[b] - scene.loss.noObjectOf[a]).slice(0, WORST);
    element.hidden = !most.length;
    list.replaceChildren(...most.map((query) => worstLine(scene, query, scene.loss.noObjectOf[most[0]], state)));
  };
  return { element, draw };
}

/**
 * @param {Scene} scene
 * @param {PageState} state
 */
function worstLine(scene, query, longest, state) {
  const { name, score } = scene.best(query);
  const loss = scene.loss.noObjectOf[query];
  return html(
    "button.line.bar-line",
    { type: "button", "data-role": "unmatched", onclick: () => State.pin(state, null, query) },
    html("span", `query ${scene.number(query)}: ${name} ${format(score, 2)}`),
    bar({ no_object: loss }, longest),
    number(loss, "unmatched-loss"),
  );
}
