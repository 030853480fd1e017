/** What a person does to the boxes of the photo in view. */

import * as Rectangles from "./rectangles.js";
import * as Sequence from "./sequence.js";
import * as Suggestions from "./suggestions.js";

const ASIDE = 12; // pixels between a box and its copy

/** @import { Session } from "./session.js" */

/** What to say of so many. */
const count = (number, word) => `${number} ${word}${number === 1 ? "" : word === "box" ? "es" : "s"}`;

/**
 * Add a box of the class that was last chosen; without any class, one has to be named first.
 * @param {Session} session
 * @param {number[]} drawn
 */
export function draw(session, drawn) {
  const { state } = session;
  if (!state.doc || session.waits()) return;
  const box = Rectangles.within(drawn, sizeOf(session));
  if (!box) return session.say("The box is too small: draw a larger one.");
  const { classes } = /** @type {Labelling} */ (state.server);
  if (!classes.length) return state.set({ nameless: box, at: null });
  const label = Math.min(state.brush, classes.length - 1);
  add(session, "draw box", [{ box, class: label }]);
  session.say(`A box of ${classes[label].name} is drawn: ${count(state.doc.boxes.length, "box")}.`);
}

/** Add boxes, the last of which is in hand then. */
function add({ state, change }, action, added) {
  const boxes = [...state.doc.boxes, ...added];
  change(action, { boxes }, { of: "boxes", index: boxes.length - 1 });
}

/** @param {Session} session */
function sizeOf(session) {
  const { width, height } = /** @type {LabelEntry} */ (session.entry());
  return { width, height };
}

/**
 * Put another box in the place of the one in hand; a suggestion becomes a label so.
 * @param {Session} session
 * @param {LabelAt} at
 * @param {number[]} box
 * @param {string} action
 */
export function reshape(session, at, box, action) {
  const { boxes, place } = reshaped(session, at, box);
  session.change(at.of === "boxes" ? action : "correct suggestion", { boxes }, place);
}

/** @param {Session} session */
function reshaped({ state }, at, box) {
  const { boxes, suggestions } = /** @type {LabelDocument} */ (state.doc);
  if (at.of === "boxes") return { boxes: boxes.map((one, i) => (i === at.index ? { ...one, box } : one)), place: at };
  const corrected = { box, class: suggestions[at.index].class };
  return { boxes: [...boxes, corrected], place: { of: "boxes", index: boxes.length } };
}

/**
 * Move what is in hand by some pixels, or its right and lower sides; sent when the key is let go.
 * @param {Session} session
 */
export function nudge(session, dx, dy, sides) {
  const { at, doc } = session.state;
  if (!at || !doc) return;
  const { box } = doc[at.of][at.index];
  const size = sizeOf(session);
  const next = sides ? Rectangles.pulled(box, size, ["right", "bottom"], dx, dy) : Rectangles.moved(box, size, dx, dy);
  const { boxes, place } = reshaped(session, at, next);
  const action = sides ? "resize box" : "move box";
  session.preview(at.of === "boxes" ? action : "correct suggestion", boxes, /** @type {LabelAt} */ (place));
}

/**
 * Give what is in hand a class, and every next box; a suggestion becomes a label so.
 * @param {Session} session
 * @param {number} label
 */
export function classify(session, label) {
  const { state, change, say } = session;
  const name = state.server?.classes[label]?.name;
  if (name === undefined) return;
  state.set({ brush: label });
  const { at, doc, nameless } = state;
  if (nameless) {
    state.set({ nameless: null });
    add(session, "draw box", [{ box: nameless, class: label }]);
  } else if (at && doc) {
    const { box, class: before } = doc[at.of][at.index];
    if (at.of === "suggestions") add(session, "correct suggestion", [{ box, class: label }]);
    else if (before !== label) {
      change("change class", { boxes: doc.boxes.map((one, i) => (i === at.index ? { ...one, class: label } : one)) }, at);
    }
  }
  say(`Class: ${name}.`);
}

/**
 * Give up the box that waits for its class.
 * @param {Session} session
 */
export function drop({ state, say }) {
  state.set({ nameless: null });
  say("The box without a class is dropped.");
}

/** @param {Session} session */
export function remove(session) {
  const { state, change, say } = session;
  if (state.nameless) return drop(session);
  const { at, doc } = state;
  if (!at || !doc) return say("Choose a box first: click it, or press the full stop key.");
  if (at.of === "suggestions") return reject(session, at.index);
  change("delete box", { boxes: doc.boxes.filter((_, i) => i !== at.index) });
  say(`The box is deleted: ${count(doc.boxes.length - 1, "box")} left.`);
}

/** @param {Session} session */
export function duplicate(session) {
  const { at, doc } = session.state;
  if (at?.of !== "boxes" || !doc) return session.say("Choose a box first: click it, or press the full stop key.");
  const { box, class: label } = doc.boxes[at.index];
  const size = sizeOf(session);
  const aside = Rectangles.moved(box, size, ASIDE, ASIDE);
  add(session, "duplicate box", [
    { box: Rectangles.same(aside, box) ? Rectangles.moved(box, size, -ASIDE, -ASIDE) : aside, class: label },
  ]);
}

/**
 * The boxes of the photo before this one, where this one has none there.
 * @param {Session} session
 */
export async function copyPrevious(session) {
  const { state, documents, say } = session;
  const { image, doc } = state;
  const id = Sequence.beside(Sequence.all(state), image, -1);
  if (id === null || !doc) return say("There is no photo before this one.");
  const before = documents.known.get(id) ?? (await documents.read(id).catch(() => null));
  if (!before) return say("The boxes of the photo before this one cannot be had.");
  if (state.image !== image || !state.doc) return;
  const name = Sequence.entry(state.server, id)?.file;
  const size = sizeOf(session);
  const copies = before.boxes.flatMap(({ box, class: label }) => {
    const inside = Rectangles.within(box, size);
    return inside ? [{ box: inside, class: label }] : [];
  });
  const { boxes } = state.doc;
  const fresh = copies.filter((copy) => !boxes.some((one) => Rectangles.same(one.box, copy.box)));
  if (!fresh.length) return say(`Nothing in ${name} is to be copied.`);
  add(session, `copy ${count(fresh.length, "box")}`, fresh);
  say(`${count(fresh.length, "box")} copied from ${name}.`);
}

/** @param {Session} session */
export function accept(session, index) {
  const { state, say, waits } = session;
  if (!state.doc || waits()) return;
  const suggestion = state.doc.suggestions[index];
  add(session, "accept suggestion", Suggestions.asLabel(suggestion, sizeOf(session)));
  say(`Accepted: ${state.server?.classes[suggestion.class].name}.`);
}

/** @param {Session} session */
export function reject({ state, say }, index) {
  if (!state.doc) return;
  state.set({ rejected: [...state.rejected, state.doc.suggestions[index]], at: null });
  say("The suggestion is rejected. R shows it again.");
}

/**
 * All suggestions that are shown become labels, the photo is confirmed, and the next one comes.
 * @param {Session} session
 */
export function confirm(session) {
  const { state, change, say, settle, offered, waits } = session;
  settle();
  if (waits()) return;
  const { doc } = state;
  if (doc) {
    const accepted = offered().flatMap((index) => Suggestions.asLabel(doc.suggestions[index], sizeOf(session)));
    const boxes = [...doc.boxes, ...accepted];
    if (doc.state === "open" && !boxes.length) return say("There is no box yet: draw one, or press N where nothing is.");
    const action = accepted.length ? `accept ${count(accepted.length, "suggestion")}` : "confirm";
    if (doc.state === "open") return leave(session, () => change(action, { boxes, state: "labelled" }));
  }
  leave(session, () => {});
}

/**
 * Nothing is in this photo.
 * @param {Session} session
 */
export function nothing(session) {
  const { doc } = session.state;
  if (!doc) return;
  if (doc.boxes.length) return session.say("This photo has boxes: delete them first, if nothing is in it.");
  leave(session, () => doc.state !== "empty" && session.change("nothing here", { state: "empty" }));
}

/**
 * The photo is no longer confirmed.
 * @param {Session} session
 */
export function reopen({ state, change, say, waits }) {
  if (waits()) return;
  if (!state.doc || state.doc.state === "open") return say("This photo is open.");
  change("open again", { state: "open" }, state.at);
  say("This photo is open again.");
}

/** Change something, and go to the next open photo, as it was next before. */
function leave({ state, open, say, waits }, work) {
  if (waits()) return;
  const next = Sequence.open(state)[0];
  work();
  if (next !== undefined) open(next);
  else say("No open photo is left here: see Progress for what comes then.");
}

/**
 * Take the next box or suggestion in hand.
 * @param {Session} session
 */
export function choose({ state, offered, say }, by) {
  const { doc, at, server } = state;
  if (!doc || !server) return;
  const boxes = doc.boxes.map((_, index) => ({ of: "boxes", index }));
  const all = /** @type {LabelAt[]} */ ([...boxes, ...offered().map((index) => ({ of: "suggestions", index }))]);
  if (!all.length) return say("There is no box here.");
  const now = all.findIndex((one) => one.of === at?.of && one.index === at.index);
  const next = all[now < 0 ? (by > 0 ? 0 : all.length - 1) : (now + by + all.length) % all.length];
  state.set({ at: next });
  const kind = next.of === "boxes" ? "Box" : "Suggestion";
  say(`${kind} ${all.indexOf(next) + 1} of ${all.length}: ${server.classes[doc[next.of][next.index].class].name}.`);
}
