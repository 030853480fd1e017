/** The Training chapter: how metrics, losses and the matching moved while the model was trained. */

import * as Controls from "../controls.js";
import * as Data from "../data.js";
import { html, number, table } from "../dom.js";
import * as Loss from "../loss.js";
import * as Charts from "./charts.js";
import * as ProbeTimeline from "./probe_timeline.js";
import * as SlotView from "./slot_view.js";

const TERMS = Object.entries(Loss.TERM_NAMES);

/**
 * Fill an element with the chapter.
 * @param {{classes: string[], training: Training}} payload
 * @param {object} [_state] of the page; the chapter has a view of its own
 * @param {Function} [_go]
 * @param {Kept} [kept] what is looked at: taken up, and kept up to date, so that a page can draw the chapter anew
 */
export function mount(element, payload, _state, _go, kept = {}) {
  const { metrics, matching } = payload.training;
  element.append(
    html("div", html("h2", "Training"), html("p.lead", summary(metrics, matching))),
    columns(metrics && precision(metrics), matching ? lossTerms(matching, kept) : metrics && totalLoss(metrics)),
  );
  if (!matching) return;
  element.append(
    columns(instability(matching), matching.slots === "top-k" ? probesMoved(matching) : agreement(matching)),
    matching.slots === "top-k" ? columns(agreement(matching), agreementTable(matching)) : agreementTable(matching),
    ProbeTimeline.create(payload, matching, kept),
    SlotView.create(matching),
    highestLoss(matching),
  );
}

/**
 * @param {Metrics | null} metrics
 * @param {Matching | null} matching
 */
function summary(metrics, matching) {
  const epochs = matching ? matching.epochs.shape[0] : (metrics?.epoch.length ?? 0);
  const over = `moved over ${epochs} ${epochs === 1 ? "epoch" : "epochs"}`;
  if (!matching) return `How loss and metrics ${over}. The matching was not recorded.`;
  return `How losses, metrics and the matching ${over} of ${matching.images} images. Counts are over the training images that the recording process saw, as
    augmented. The probes are a few images of the ${matching.split} split, which the EMA model predicts again and again.`;
}

function columns(...parts) {
  return html("div.columns", ...parts.filter(Boolean));
}

/**
 * The columns of an (E, L) array, named by the layers.
 * @param {Matching} matching
 */
function byLayer(matching, encoded) {
  const { shape, values } = Data.array(encoded);
  const column = (l) => Array.from({ length: shape[0] }, (_, e) => values[e * shape[1] + l]);
  return matching.layers.map((name, l) => ({ name, values: column(l) }));
}

const epochsOf = (matching) => ({ title: "epoch", values: Array.from(Data.array(matching.epochs).values) });

function precision(metrics) {
  const evaluated = metrics.epoch.map((_, i) => i).filter((i) => metrics.AP[i] !== null);
  const at = (values) => evaluated.map((i) => values[i]);
  const none = html("div.panel", html("h3", "Average precision"), html("p.hint", "This run was not evaluated."));
  if (!evaluated.length) return none;
  return Charts.lines({
    title: "Average precision",
    role: "chart-ap",
    x: { title: "epoch", values: at(metrics.epoch) },
    y: { title: "", percent: false },
    series: [
      { name: "AP", values: at(metrics.AP) },
      { name: "AP50", values: at(metrics.AP50) },
    ],
    hint: "Of the EMA weights on the validation images. AP: the mean over IoU thresholds 0.50 to 0.95. AP50: at 0.50.",
  }).element;
}

/** @param {Metrics} metrics */
function totalLoss(metrics) {
  return Charts.lines({
    title: "Loss",
    role: "chart-total",
    x: { title: "epoch", values: metrics.epoch },
    y: { title: "", percent: false },
    series: [{ name: "loss", values: metrics.loss }],
    hint: "Mean over the steps of an epoch: the weighted sum of all terms and layers.",
  }).element;
}

/**
 * @param {Matching} matching
 * @param {Kept} kept
 */
function lossTerms(matching, kept) {
  const start = kept.term ?? "class";
  const chart = Charts.lines({
    title: "Loss, layer by layer",
    role: "chart-loss",
    x: epochsOf(matching),
    y: { title: "", percent: false },
    series: byLayer(matching, matching.terms[start]),
    hint: "Mean over the steps of an epoch, before weights. Later layers should lie lower: each corrects the one before.",
  });
  const choice = Controls.choice({
    label: "Term",
    role: "loss-term",
    options: TERMS,
    value: start,
    onchange: (term) => {
      kept.term = term;
      chart.set(byLayer(matching, matching.terms[term]));
    },
  });
  chart.element.querySelector("h3")?.after(choice);
  return chart.element;
}

/** @param {Matching} matching */
function instability(matching) {
  const topK = matching.slots === "top-k";
  return Charts.lines({
    title: topK ? "Rank changes" : "Matching instability",
    role: "chart-instability",
    x: epochsOf(matching),
    y: { title: "share of targets", percent: true },
    series: byLayer(matching, matching.instability),
    hint: topK
      ? "Targets whose query has another rank than when the image was last seen. Top-k query selection ranks the " +
        "queries of an image by score, and augmentation changes the image. So ranks change in a stable model, too."
      : "Targets that have another query than when the image was last seen. A target that changes its query " +
        "trains a different query each time. The share should fall.",
  }).element;
}

/** @param {Matching} matching */
function probesMoved(matching) {
  return Charts.lines({
    title: "Matching instability",
    role: "chart-moved",
    x: { title: "epoch", values: Array.from(Data.array(matching.snapshot_epochs).values) },
    y: { title: "share of targets", percent: true },
    series: byLayer(matching, matching.probe_changes),
    hint:
      "Targets of the probe images whose query was selected from another cell than at the snapshot before. " +
      "The probes are not augmented, so the same cell means the same query.",
  }).element;
}

/** @param {Matching} matching */
function agreement(matching) {
  return Charts.lines({
    title: "Agreement with the last layer",
    role: "chart-agreement",
    x: epochsOf(matching),
    y: { title: "share of targets", percent: true },
    series: byLayer(matching, matching.agreement).slice(0, -1),
    hint:
      "Targets that have the same query in this layer and in the last one. Where the share is low, " +
      "the auxiliary losses train other queries than the last layer does.",
  }).element;
}

/**
 * Agreement of any two layers, in the last epoch.
 * @param {Matching} matching
 */
function agreementTable(matching) {
  const { layers } = matching;
  const title = "Agreement between layers, last epoch";
  const row = (l) =>
    html(
      "tr",
      html("th.text", { scope: "row" }, layers[l]),
      ...Array.from(Data.row(matching.agreement_between, l)).map((share) =>
        html(
          "td.heat",
          { style: { "--x": share }, "data-role": "agreement", "data-value": share },
          `${Math.round(100 * share)} %`,
        ),
      ),
    );
  return html(
    "div.panel",
    html("h3", title),
    html(
      "div.scroll",
      { tabindex: 0, role: "region", "aria-label": title },
      html(
        "table.facts.heatmap",
        html("thead", html("tr", html("th"), ...layers.map((name) => html("th", name)))),
        html("tbody", ...layers.map((_, l) => row(l))),
      ),
    ),
    html("p.hint", "Share of targets that have the same query in two layers."),
  );
}

/**
 * By name only: an image of the report may have the same name in another split.
 * @param {Matching} matching
 */
function highestLoss(matching) {
  const title = "Training images of the highest loss";
  const row = ({ name, loss, epochs }) =>
    html("tr", html("td.text", name), number(loss, "worst-loss", 3, "td"), html("td", epochs));
  const heads = ["<image", "loss", `epochs, of the last ${matching.usage_epochs}`];
  return html(
    "div.panel",
    html("h3", title),
    table(heads, html("tbody", ...matching.worst.map(row)), title, "worst"),
    html(
      "p.hint",
      "Loss: of the last layer, weighted, for the augmented image in the last epoch. Epochs: in how many of the " +
        "last epochs the image was among the highest. Check the labels of images that stay in this list.",
    ),
  );
}
