/** The photos as a strip of thumbnails: those in view alone are in the page, of thousands. */

import { button, html } from "../base/dom.js";
import * as Actions from "./actions.js";
import * as Sequence from "./sequence.js";

const WIDE = 92; // CSS pixels of a thumbnail and its gap: see label.css
const MARGIN = 6; // thumbnails beyond the sides
const STATES = [
  ["", "All photos"],
  ["open", "Not confirmed"],
  ["suggested", "With suggestions"],
  ["labelled", "Labelled"],
  ["empty", "Nothing there"],
  ["held", "Held out"],
  ["trouble", "Missing or broken"],
];
const MARKS = { open: "", labelled: "✓", empty: "∅", missing: "?", broken: "!" };
const WORDS = { open: "not confirmed", labelled: "labelled", empty: "nothing there", missing: "missing", broken: "broken" };

/** @import { Session } from "./session.js" */

/** @param {Session} session */
export function create(session) {
  const { state } = session;
  const space = html("div.label-strip-space", { role: "presentation" });
  const strip = html("div.label-strip", { role: "listbox", "aria-label": "Photos", "aria-orientation": "horizontal", "data-role": "strip" }, space);
  const none = html("p.hint", { hidden: true }, "No photo passes the filter.");
  const count = html("span.hint.number", { "data-role": "count" });
  const states = html(
    "select",
    { "aria-label": "Photos of this state", "data-role": "filter-state", onchange: () => filter({ state: states.value }) },
    STATES.map(([value, text]) => html("option", { value }, text)),
  );
  const classes = html("select", {
    "aria-label": "Photos with this class",
    "data-role": "filter-class",
    onchange: () => filter({ class: classes.value || null }),
  });
  const orders = ["helpful", "files"].map((mode) =>
    button(mode === "helpful" ? "Most helpful first" : "As they come", `order-${mode}`, () => {
      if (state.server?.order.mode !== mode) Actions.switchOrder(session);
    }, { class: "chip" }),
  );
  /** @type {Map<number, HTMLElement>} */
  const shown = new Map();
  /** @type {number[]} */
  let ids = [];
  /** @type {string | null} */
  let names = null;

  const filter = (part) => state.set({ filter: { ...state.filter, ...part } });

  function draw() {
    if (!state.server) return;
    ids = Sequence.filtered(state);
    space.style.width = `${ids.length * WIDE}px`;
    none.hidden = ids.length > 0;
    strip.hidden = ids.length === 0;
    const all = state.server.images.length;
    count.textContent = ids.length === all ? `${all} photos` : `${ids.length} of ${all} photos`;
    orders.forEach((one, i) => one.setAttribute("aria-pressed", String(state.server?.order.mode === ["helpful", "files"][i])));
    drawClasses(state.server);
    place();
  }

  /** @param {Labelling} server */
  function drawClasses(server) {
    const now = server.classes.map(({ name }) => name).join("\n");
    if (now === names) return;
    names = now;
    const option = (value, text) => html("option", { value, selected: value === (state.filter.class ?? "") }, text);
    classes.replaceChildren(option("", "All classes"), ...server.classes.map(({ name }) => option(name, name)));
  }

  /** Have those thumbnails in the page that are in view. */
  function place() {
    const first = Math.max(0, Math.floor(strip.scrollLeft / WIDE) - MARGIN);
    const last = Math.min(ids.length, Math.ceil((strip.scrollLeft + strip.clientWidth) / WIDE) + MARGIN);
    const wanted = new Set(ids.slice(first, last));
    for (const [id, one] of shown) {
      if (wanted.has(id)) continue;
      one.remove();
      shown.delete(id);
    }
    for (let i = first; i < last; i += 1) update(ids[i], i);
  }

  function update(id, at) {
    const entry = /** @type {LabelEntry} */ (Sequence.entry(state.server, id));
    const current = id === state.image;
    const boxes = entry.state === "open" && entry.suggested ? `${entry.boxes}+${entry.suggested}` : `${entry.boxes || ""}`;
    const key = [entry.state, boxes, entry.held_out, current, at, ids.length].join("|");
    const old = shown.get(id);
    if (old?.dataset.key === key) return;
    const one = old ?? thumbnail(id);
    const picture = one.querySelector("img") ?? (entry.why ? null : thumb(id));
    one.dataset.key = key;
    one.className = `label-thumbnail ${entry.state}`;
    one.style.left = `${at * WIDE}px`;
    one.tabIndex = current ? 0 : -1;
    one.title = entry.file;
    one.setAttribute("aria-selected", String(current));
    one.setAttribute("aria-posinset", String(at + 1));
    one.setAttribute("aria-setsize", String(ids.length));
    one.setAttribute("aria-label", inWords(entry));
    one.replaceChildren(
      ...(picture ? [picture] : []),
      ...[["mark", MARKS[entry.state]], ["boxes", boxes], ["held", entry.held_out ? "test" : ""]]
        .filter(([, text]) => text)
        .map(([name, text]) => html(`span.${name}`, { "data-text": text })), // the name says the same in words
    );
    if (!old) {
      shown.set(id, one);
      space.append(one);
    }
  }

  const thumbnail = (id) => html("button", { type: "button", role: "option", "data-id": id, onclick: () => session.open(id) });

  function thumb(id) {
    const picture = html("img", { src: `thumbnails/${id}`, alt: "", decoding: "async", fetchpriority: "low" });
    picture.addEventListener("error", () => picture.remove());
    return picture;
  }

  /** Bring the photo in view into the view of the strip. */
  function follow() {
    const at = ids.indexOf(state.image ?? -1);
    const [left, right] = [at * WIDE, (at + 1) * WIDE];
    if (at < 0 || (left >= strip.scrollLeft + WIDE && right <= strip.scrollLeft + strip.clientWidth - WIDE)) return;
    strip.scrollLeft = left - (strip.clientWidth - WIDE) / 2;
  }

  strip.addEventListener("scroll", () => requestAnimationFrame(place), { passive: true });
  strip.addEventListener("keydown", (event) => {
    const at = ids.indexOf(state.image ?? -1);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: ids.length - 1 }[event.key];
    if (to === undefined || ids[to] === undefined) return;
    event.preventDefault();
    session.open(ids[to]);
    shown.get(ids[to])?.focus({ preventScroll: true });
  });
  state.on((changed) => {
    if (["server", "filter", "image", "visited"].some((name) => changed.has(name))) draw();
    if (["image", "filter"].some((name) => changed.has(name))) {
      follow();
      place();
    }
  });
  new ResizeObserver(place).observe(strip);
  return html(
    "section.label-photos",
    { "aria-label": "All photos" },
    html(
      "div.controls",
      html("div.control", { role: "group", "aria-label": "What comes next" }, html("span.label", "Next"), orders),
      states,
      classes,
      count,
    ),
    strip,
    none,
  );
}

/** @param {LabelEntry} entry */
function inWords({ file, state, boxes, suggested, held_out: held }) {
  const parts = [file, WORDS[state], `${boxes} box${boxes === 1 ? "" : "es"}`];
  if (suggested && state === "open") parts.push(`${suggested} suggested`);
  if (held) parts.push("held out for testing");
  return parts.join(", ");
}
