/** The tour: chapters that teach set prediction on built-in examples, with questions, and how far the reader is. */

import { button, html, prose } from "../base/dom.js";
import * as Data from "../base/data.js";
import * as Tabs from "../base/tabs.js";
import * as BipartiteMatching from "./chapters/bipartite_matching.js";
import * as EveryPermutation from "./chapters/every_permutation.js";
import * as HungarianLoss from "./chapters/hungarian_loss.js";
import * as L1AndGiou from "./chapters/l1_and_giou.js";
import * as MatchingCost from "./chapters/matching_cost.js";
import * as PredictionSet from "./chapters/prediction_set.js";
import * as Quiz from "./quiz.js";

const LEAD =
  "How a detector learns to predict a set of objects. No knowledge is needed. Each chapter ends with questions.";

/** Build the page from the payload in it: chapters to go through, one in view. */
function start() {
  const payload = Data.payload();
  const main = /** @type {HTMLElement} */ (document.getElementById("page"));
  main.classList.add("chapter");
  const ideas = [BipartiteMatching, PredictionSet, EveryPermutation, MatchingCost, HungarianLoss, L1AndGiou];
  const marks = Quiz.progress(ideas.flatMap((idea) => idea.questions));
  const tour = { payload, marks, examples: payload.chapters };
  const chapters = ideas.map((idea, i) => ({
    ...idea,
    idea,
    title: `${i + 1} ${idea.title}`,
    section: sectionOf(idea),
  }));
  const ids = chapters.map(({ id }) => id);
  const tabs = Tabs.create(chapters, (id) => go(id));
  const bar = progressBar(chapters, marks, (id, question) => {
    go(id);
    ask(question);
  });
  main.before(html("header.page-header", html("h1", payload.title), html("p.hint", LEAD)), tabs.element);
  main.append(bar, ...chapters.map((chapter) => chapter.section));

  function go(id) {
    const at = Math.max(0, ids.indexOf(id));
    const chapter = chapters[at];
    for (const other of chapters) other.section.hidden = other !== chapter;
    tabs.select(chapter);
    history.replaceState(null, "", `#${chapter.id}`);
    window.scrollTo(0, 0);
    if (chapter.section.childElementCount) return;
    chapter.section.append(html("h2", `${at + 1}. ${chapter.idea.title}`));
    chapter.idea.mount(chapter.section, tour);
    chapter.section.append(onward(chapters[at + 1], go));
  }
  window.addEventListener("hashchange", () => go(location.hash.slice(1)));
  go(location.hash.slice(1));
}

function sectionOf({ id }) {
  const properties = {
    class: "tour-chapter",
    id: `chapter-${id}`,
    role: "tabpanel",
    "aria-labelledby": `tab-${id}`,
    tabindex: -1,
  };
  return html("section", { ...properties, "data-chapter": id, hidden: true });
}

/** Bring a question into view and put the keyboard there. */
function ask(id) {
  const question = /** @type {HTMLElement} */ (document.querySelector(`[data-question="${id}"]`));
  question.scrollIntoView({ block: "center" });
  question.focus({ preventScroll: true });
}

/** A mark for every question, chapter by chapter; each leads to its question. */
function progressBar(chapters, marks, go) {
  const told = html("span", { "data-role": "progress" });
  const buttons = new Map();
  const groups = chapters.map(({ id, idea }) => {
    const own = idea.questions.map((question, i) => {
      const button = html("button", { type: "button", "data-mark-of": question, onclick: () => go(id, question) });
      buttons.set(question, { button, name: `${idea.title}, question ${i + 1}` });
      return button;
    });
    return html("span.tour-marks", own);
  });
  const draw = () => {
    const all = Object.values(marks.marks);
    const right = all.filter((mark) => mark === "right").length;
    told.textContent = `${right} of ${all.length} questions solved`;
    told.dataset.value = right;
    for (const [question, { button, name }] of buttons) {
      const mark = marks.marks[question];
      button.textContent = Quiz.SIGNS[mark];
      button.dataset.mark = mark;
      button.title = `${name}: ${Quiz.WORDS[mark]}`;
      button.setAttribute("aria-label", button.title);
    }
  };
  marks.on(draw);
  draw();
  return html("div.tour-progress", told, groups);
}

/** What comes after a chapter. */
function onward(next, go) {
  if (next) {
    const onclick = () => {
      go(next.id);
      next.section.focus({ preventScroll: true });
    };
    return html("div.controls", button(`Next: ${next.idea.title}`, "next", onclick, { class: "primary" }));
  }
  return html(
    "div.panel.tour-text",
    prose(`
    <h3>Now your own model</h3>
    <p><code>setpiece explain MODEL --data DATA</code> writes a page with these views for your model and
    images: who was matched with whom, what it cost, what it taught, and how that changed over training.</p>`),
  );
}

start();
