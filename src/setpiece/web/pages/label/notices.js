/** What is said: what the last action did, what the server has to say, and what is not saved yet. */

import { button, html } from "../base/dom.js";
import * as Redraw from "./redraw.js";

/** @import { Session } from "./session.js" */

/** @param {Session} session */
export function create(session) {
  const { state } = session;
  const line = html("p.label-said", { role: "status", "data-role": "said" });
  const saved = html("span.label-saved", { role: "status", "data-role": "saved" });
  const trouble = html("div.label-gone", { role: "alert", "data-role": "unsaved" });
  const list = html("ul.label-notices", { "aria-live": "polite", "aria-label": "What the server says", "data-role": "notices" });
  /** @type {Set<string>} */
  const read = new Set();

  const name = ({ id, text }) => `${id} ${text}`; // a server that is started again counts from 1
  const news = () => state.server?.said.filter((one) => !read.has(name(one))) ?? [];
  const drawNews = Redraw.when(list, news, () =>
    news().map(({ id, text }) =>
      html(
        "li",
        html("span", text),
        button("✕", `read-${id}`, () => {
          read.add(name({ id, text }));
          draw();
        }, { class: "label-more", "aria-label": "I have read this" }),
      ),
    ),
  );

  function draw() {
    line.textContent = state.said;
    const { count, trouble: why } = state.unsaved;
    const waits = count > 0 || state.busy;
    saved.textContent = why ? "Not saved" : waits ? "Saving …" : "Saved";
    saved.classList.toggle("waits", waits || why !== null);
    trouble.textContent = why ? `${why} ${kept(count)}` : "";
    trouble.hidden = !why;
    drawNews();
    list.hidden = !list.childElementCount;
  }
  state.on((changed) => ["said", "unsaved", "busy", "server"].some((name) => changed.has(name)) && draw());
  window.addEventListener("beforeunload", (event) => state.unsaved.count && event.preventDefault());
  draw();
  return { line, saved, above: html("div.label-above", trouble, list) };
}

function kept(count) {
  if (!count) return "This page asks again every second.";
  const changes = count === 1 ? "One change is" : `${count} changes are`;
  return `${changes} kept on this page, and sent again every second: leave it open.`;
}
