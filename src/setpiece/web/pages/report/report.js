/** The shell: a header, the chapters that there are data for, and the state that they share. */

import * as Data from "../base/data.js";
import { html } from "../base/dom.js";
import * as LossView from "../base/loss_view/loss_view.js";
import * as Matching from "../base/matching/matching.js";
import * as Playground from "../base/playground.js";
import * as State from "../base/state.js";
import * as Tabs from "../base/tabs.js";
import * as Chooser from "./chooser.js";
import * as Evaluation from "./evaluation.js";
import * as Model from "./model/model.js";
import * as Training from "../base/training/training.js";
import * as Words from "./words.js";

/**
 * All chapters in their order. `images`: the chapter looks at one image, so the thumbnails are shown above it.
 * @type {{id: string, title: string, view: {mount: Function}, has: (payload: Payload) => boolean, images: boolean}[]}
 */
const CHAPTERS = [
  { id: "words", title: "In words", view: Words, has: () => true, images: false },
  { id: "matching", title: "Matching", view: Matching, has: ({ images }) => images.length > 0, images: true },
  { id: "loss", title: "Loss", view: LossView, has: ({ images }) => images.length > 0, images: true },
  { id: "giou", title: "GIoU", view: Playground, has: () => true, images: false },
  { id: "model", title: "Model", view: Model, has: ({ model }) => model !== null, images: true },
  {
    id: "training",
    title: "Training",
    view: Training,
    has: ({ training }) => training !== null,
    images: false,
  },
  {
    id: "evaluation",
    title: "Evaluation",
    view: Evaluation,
    has: ({ evaluation }) => Boolean(evaluation),
    images: false,
  },
];

/** Build the page from the payload in it. */
function start() {
  const payload = Data.payload();
  const nothing = { target: null, query: null, pinned: false };
  const last = Math.max(0, payload.layers.length - 1);
  const state = State.create({ image: 0, layer: last, ...nothing, criterion: payload.criterion });
  document.addEventListener("keydown", (event) => event.key === "Escape" && state.set(nothing));
  const main = /** @type {HTMLElement} */ (document.getElementById("page"));
  mountChapters(main, payload, state);
}

/**
 * @param {Payload} payload
 * @param {PageState} state
 */
function mountChapters(main, payload, state) {
  const chapters = CHAPTERS.filter(({ has }) => has(payload)).map((chapter) => ({
    ...chapter,
    section: sectionOf(chapter),
    mounted: false,
  }));
  const byId = (id) => chapters.find((chapter) => chapter.id === id);
  const go = (id) => {
    show(byId(id));
    location.hash = id;
  };
  const tabs = Tabs.create(chapters, go);
  const chooser = payload.images.length ? Chooser.create(payload, state) : null;
  const chooserBox = html("div.chapter.for-chooser", chooser);
  main.before(header(payload), tabs.element);
  main.append(chooserBox, ...chapters.map(({ section }) => section));

  function show(chapter) {
    if (!chapter.section.hidden) return;
    chooserBox.hidden = !chapter.images;
    if (chooser) chooser.hidden = !chapter.images;
    for (const other of chapters) other.section.hidden = other !== chapter;
    tabs.select(chapter);
    if (chapter.mounted) chapter.catchUp();
    else mount(chapter, payload, state, go);
  }
  const showHash = () => show(byId(location.hash.slice(1)) ?? chapters[0]);
  window.addEventListener("hashchange", showHash);
  showHash();
}

function header({ title, images, layers, classes, criterion }) {
  const count = (n, one) => `${n} ${n === 1 ? one : `${one}s`}`;
  const targets = images.reduce((sum, image) => sum + image.targets.labels.length, 0);
  const queries = images.length ? ` of ${images[0].boxes.shape[1] + images[0].dropped.count} queries` : "";
  const line = [
    `${count(images.length, "image")} with ${count(targets, "target")}`,
    count(classes.length, "class").replace("classs", "classes"),
    `${count(layers.length, "prediction set")}${queries}`,
    `${criterion.form} form`,
  ];
  return html("header.page-header", html("h1", title), html("p.hint", line.join(" · ")));
}

function sectionOf({ id, title }) {
  const names = { "aria-labelledby": `tab-${id}`, "aria-label": title, "data-view": id };
  return html("section.chapter", { id: `chapter-${id}`, role: "tabpanel", tabindex: -1, ...names, hidden: true });
}

/**
 * Let a chapter draw itself. While it is out of view, changes of the state wait for it.
 * @param {Payload} payload
 * @param {PageState} state
 */
function mount(chapter, payload, state, go) {
  const { section, title, view } = chapter;
  const waiting = new Map();
  const on = (listener) =>
    state.on((changed) => {
      if (section.hidden) waiting.set(listener, new Set([...(waiting.get(listener) ?? []), ...changed]));
      else listener(changed);
    });
  chapter.mounted = true;
  chapter.catchUp = () => {
    const late = [...waiting];
    waiting.clear();
    for (const [listener, changed] of late) listener(changed);
  };
  try {
    view.mount(section, payload, Object.create(state, { on: { value: on } }), go);
  } catch (error) {
    const text = `The chapter “${title}” could not be shown: ${error instanceof Error ? error.message : error}.`;
    section.replaceChildren(html("div.panel.missing", { "data-role": "failed" }, text));
    throw error;
  }
}

start();
