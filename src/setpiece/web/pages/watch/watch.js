/** A run while it trains: the Training chapter of the report, drawn anew whenever there is something new. */

import * as Data from "../base/data.js";
import { html, sentence } from "../base/dom.js";
import * as Training from "../base/training/training.js";

const EVERY = 2000; // milliseconds between two questions
const SHORT = 120; // seconds that are counted one by one
const QUIET = 120; // seconds without anything new, after which that is said

/** Build the page from the payload in it, and keep asking. */
function start() {
  let payload = Data.watched();
  /** @type {string | null} */
  let ended = null;
  const kept = {};
  const main = /** @type {HTMLElement} */ (document.getElementById("page"));
  const line = html("p.hint", { "data-role": "status", role: "status" }, "");
  main.before(html("header.page-header", html("h1", payload.title), line));
  main.classList.add("chapter");
  main.style.setProperty("overflow-anchor", "none"); // the place in the page is kept by draw()
  window.addEventListener("resize", () => main.style.removeProperty("min-height"));
  draw(main, payload, ended, kept);

  async function ask() {
    try {
      const state = await read("state.json");
      line.textContent = words(state);
      if ((state.version !== payload.version || state.ended !== ended) && !main.matches(":active")) {
        payload = await read("payload.json");
        ended = state.ended;
        draw(main, payload, ended, kept);
      }
    } catch (error) {
      line.textContent = `Nothing new can be read: ${error instanceof Error ? error.message : error}`;
    }
    setTimeout(ask, EVERY);
  }
  ask();
}

/** What the server says; an error where it says that it cannot. */
async function read(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

/**
 * Draw the chapter, with what is looked at left as it is.
 * @param {WatchedPayload} payload
 * @param {string | null} ended how the run has
 * @param {Kept} kept
 */
function draw(main, payload, ended, kept) {
  const focused = main.contains(document.activeElement) ? document.activeElement?.getAttribute("data-role") : null;
  const open = [...main.querySelectorAll("details")].map((one) => one.open);
  const chapter = html("div.stack.watched");
  if (payload.training) Training.mount(chapter, { classes: payload.classes, training: payload.training }, null, undefined, kept);
  else chapter.append(waiting(ended));
  if (payload.missing.length) chapter.append(missing(payload.missing));
  const top = window.scrollY;
  main.style.minHeight = `${main.offsetHeight}px`; // so that the page does not jump while charts are empty
  main.replaceChildren(chapter);
  main.querySelectorAll("details").forEach((one, index) => (one.open = open[index] ?? false));
  if (focused) main.querySelector(`[data-role="${focused}"]`)?.focus({ preventScroll: true });
  window.scrollTo({ top, behavior: "instant" });
}

/** Instead of charts. */
function waiting(ended) {
  const how = ended && `The run ended before its first epoch was done: ${ended.replace(/\.?$/, ".")}`;
  return html("div.panel", { "data-role": "waiting" }, how ? sentence(how) : "The first epoch is not done yet.");
}

function missing(sentences) {
  return html("div.panel.missing", { "data-role": "missing" }, html("ul", ...sentences.map((text) => html("li", sentence(text)))));
}

/**
 * Where the run stands.
 * @param {Watched} state
 */
function words({ epoch, step, done, left, ended, images_per_second: rate, learning_rate: lr, age }) {
  const parts = [`epoch ${epoch}`, `${step} steps`];
  if (done !== null) parts.push(done < 1 ? `${Math.round(100 * done)} % done` : "done");
  if (rate !== null) parts.push(`${Math.round(rate)} images/s`);
  if (lr !== null) parts.push(`learning rate ${lr.toPrecision(2)}`);
  if (ended !== null) return [...parts, ...(ended === "done" ? [] : [ended])].join(" · ");
  if (left) parts.push(left < SHORT ? `${Math.max(1, Math.round(left))} s left` : `${Math.ceil(left / 60)} min left`);
  if (done !== 1 && age > QUIET) parts.push(`nothing new for ${Math.round(age / 60)} min`);
  return parts.join(" · ");
}

start();
