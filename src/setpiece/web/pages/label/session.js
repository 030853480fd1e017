/** The photo in view and its boxes: what the person has, at once; the server hears of every change in its order. */

import * as State from "../base/state.js";
import * as Api from "./api.js";
import * as Changes from "./changes.js";
import * as Documents from "./documents.js";
import * as Sequence from "./sequence.js";
import * as Suggestions from "./suggestions.js";

const AHEAD = 3; // photos that are loaded before they are shown
const COMING = 12; // whose suggestions the server is asked to have ready

/** @typedef {ReturnType<typeof create>} Session */

const words = (error) => (error instanceof Error ? error.message : `${error}`);

/**
 * A photo in words.
 * @param {LabelEntry | null} entry
 */
function titleOf(entry) {
  return entry ? `${entry.file}${entry.held_out ? ", held out for testing" : ""}` : "";
}

/**
 * What a photo is in the strip before the server is asked again.
 * @param {LabelEntry | null} entry
 * @param {LabelDocument} doc
 */
function showsAs(entry, doc) {
  if (entry) Object.assign(entry, { state: doc.state, boxes: doc.boxes.length });
}

/** Nothing is asked before `open` or `refresh`. */
export function create() {
  const state = /** @type {LabelState} */ (
    State.create({
      server: null,
      image: null,
      doc: null,
      at: null,
      nameless: null,
      brush: 0,
      threshold: 0.4, // a wrong suggestion costs a person less than a box that has to be drawn
      suggesting: true,
      crosshair: true,
      rejected: [],
      filter: { state: "", class: null },
      visited: [],
      view: "label",
      unsaved: { count: 0, trouble: null },
      busy: false,
      said: "",
    })
  );
  const documents = Documents.create();
  /** @type {Map<number, SuggestedBox[]>} */
  const rejected = new Map();
  /** @type {string | null} */
  let unsent = null; // what the arrow keys do, until they are let go
  /** @type {Promise<void> | null} */
  let asking = null;
  /** @type {Promise<void> | null} */
  let following = null;
  let ordered = Promise.resolve();
  let last = Promise.resolve(); // of what the server does alone

  /** Of a photo, as last answered. */
  const revision = (id) => documents.known.get(id)?.revision ?? 0;
  const changes = Changes.create({
    revision,
    saved: (answer, last) => {
      const mine = documents.known.get(answer.id) ?? answer;
      const other = last && unsent === null && !Changes.holds(answer, mine); // as where boxes are rounded
      const theirs = other ? { boxes: answer.boxes, state: answer.state } : {};
      keep({ ...mine, ...theirs, revision: answer.revision });
      refresh();
    },
    refused: (id, sentence) => {
      say(sentence);
      reread(id);
    },
    report: unsaved,
  });

  const say = (said) => state.set({ said });

  /** How many changes are not saved, and why; what was said of a server that was away is over when it is back. */
  function unsaved(count, trouble) {
    const before = state.unsaved.trouble;
    const back = before !== null && trouble === null;
    state.set({ unsaved: { count, trouble } });
    if (back && state.said.startsWith(before)) say("The server is there again.");
  }

  /** Whether nothing can be changed now; it is said then. */
  function waits() {
    if (state.nameless) say("Name the class of the box first, or press Escape.");
    else if (state.busy) say("The step before this one is not done yet: try again.");
    return state.nameless !== null || state.busy;
  }

  const entry = () => Sequence.entry(state.server, state.image);

  /** Hold on to boxes, and show them where their photo is in view. */
  function keep(doc) {
    documents.known.set(doc.id, doc);
    showsAs(Sequence.entry(state.server, doc.id), doc);
    if (state.image !== doc.id) return;
    const { at } = state;
    state.set({ doc, at: at && doc[at.of][at.index] ? at : null });
  }

  /** Show a photo, but not while a box waits for its class. */
  function open(id) {
    if (state.nameless && entry()) return void waits();
    settle();
    if (state.image !== null) rejected.set(state.image, state.rejected);
    const visited = state.visited.includes(id) ? state.visited : [...state.visited, id];
    const doc = documents.known.get(id) ?? null;
    state.set({ image: id, visited, doc, at: null, nameless: null, rejected: rejected.get(id) ?? [] });
    say(titleOf(Sequence.entry(state.server, id)));
    if (!Sequence.entry(state.server, id)?.why) reread(id, true).then(ahead);
  }

  /**
   * Have the boxes of a photo as the server has them, unless the person is changing them.
   * @param {number} id
   * @param {boolean} again it was not in view before: its suggestions may be newer ones then
   */
  async function reread(id, again = false) {
    try {
      const before = revision(id);
      const doc = await documents.read(id);
      if (changes.pending(id) || (id === state.image && unsent !== null)) return;
      if (revision(id) !== before && doc.revision < revision(id)) return; // of before a change that is saved by now
      const shown = state.image === id ? state.doc : null;
      const stays = !again && shown?.revision === doc.revision && shown.suggestions.length; // in the hands of the person
      keep(stays ? { ...doc, suggestions: shown.suggestions, round: shown.round } : doc);
      if (shown && shown.revision !== doc.revision) state.set({ at: null });
    } catch (error) {
      if (id === state.image) say(words(error));
    }
  }

  /** Load what is shown next, and tell the server. */
  function ahead() {
    const next = Sequence.open(state);
    const following = Sequence.beside(Sequence.filtered(state), state.image, 1);
    const there = following !== null && !Sequence.entry(state.server, following)?.why;
    documents.ahead([...next.slice(0, AHEAD), ...(there ? [following] : [])]).catch(() => {});
    const mode = state.server?.order.mode;
    if (mode && !state.busy) order(mode, next.slice(0, COMING)).catch(() => {});
  }

  /** Tell the server what comes next, one after the other: the last one counts. */
  function order(mode, coming) {
    const sent = ordered.then(() => Api.ask("POST", "api/order", { mode, coming }));
    ordered = sent.catch(() => {});
    return sent;
  }

  /**
   * Ask what is new: one question at a time, and one more where the last began before this was called.
   * @returns {Promise<void>}
   */
  function refresh() {
    if (!asking) return (asking = ask().finally(() => (asking = null)));
    following ??= asking.then(() => {
      following = null;
      return refresh();
    });
    return following;
  }

  async function ask() {
    try {
      const answer = await Api.ask("GET", `api/state?version=${encodeURIComponent(state.server?.version ?? "")}`);
      if (!answer.same) take(answer);
      if (state.unsaved.trouble && !state.unsaved.count) unsaved(0, null);
    } catch (error) {
      unsaved(state.unsaved.count, words(error));
    }
  }

  /** @param {Labelling} server */
  function take(server) {
    for (const [id, doc] of documents.known) {
      const one = Sequence.entry(server, id);
      if (one && (changes.pending(id) || doc.revision > one.revision)) showsAs(one, doc); // the answer is of before
    }
    const names = (of) => of?.classes.map(({ name }) => name).join("\n") ?? "";
    const renumbered = state.server !== null && !names(server).startsWith(names(state.server));
    const brush = server.classes.findIndex(({ name }) => name === state.server?.classes[state.brush]?.name);
    if (renumbered) documents.known.clear();
    const kept = server.classes.some(({ name }) => name === state.filter.class);
    if (state.filter.class !== null && !kept) state.set({ filter: { ...state.filter, class: null } });
    state.set({ server, ...(renumbered ? { brush: Math.max(0, brush), doc: null, at: null } : {}) });
    const here = entry();
    if (!here) {
      const first = state.visited.length ? Sequence.all(state)[0] : Sequence.open(state)[0] ?? Sequence.all(state)[0];
      if (first !== undefined) open(first);
    } else if (!here.why && !changes.pending(here.id)) {
      const awaited = here.round !== null && here.state === "open" && !state.doc?.suggestions.length && state.doc?.round !== here.round;
      if (renumbered || here.revision !== state.doc?.revision || awaited) reread(here.id);
    }
  }

  /**
   * Change the photo in view: one step for undo.
   * @param {string} action in words, as "draw box"
   * @param {{boxes?: LabelBox[], state?: LabelStatus}} parts
   * @param {LabelAt | null} at what is in hand afterwards
   */
  function change(action, parts, at = null) {
    settle();
    const { doc } = state;
    if (!doc || waits()) return;
    const next = { ...doc, ...parts };
    if (!parts.state && next.state === "empty" && next.boxes.length) next.state = "open";
    if (!parts.state && next.state === "labelled" && !next.boxes.length) next.state = "open";
    keep(next);
    state.set({ at });
    changes.put({ id: next.id, state: next.state, boxes: next.boxes, action });
  }

  /**
   * Show boxes that are not sent before `settle`, as while an arrow key is held.
   * @param {string} action
   * @param {LabelBox[]} boxes
   * @param {LabelAt} at
   */
  function preview(action, boxes, at) {
    if (!state.doc || waits()) return;
    unsent ??= action;
    keep({ ...state.doc, boxes });
    state.set({ at });
  }

  /** Send what was shown. */
  function settle() {
    if (unsent === null || !state.doc) return;
    const action = unsent;
    unsent = null;
    change(action, { boxes: state.doc.boxes }, state.at);
  }

  /**
   * Do what the server alone can, when it has every change: nothing is changed meanwhile.
   * @param {() => Promise<void>} work
   */
  async function alone(work) {
    settle();
    if (state.unsaved.trouble) return say(`${state.unsaved.trouble} Try again when it is there.`);
    state.set({ busy: true });
    const mine = (last = last.then(() => done(work)));
    await mine;
    if (last === mine) state.set({ busy: false });
  }

  async function done(work) {
    try {
      await changes.idle();
      await work();
    } catch (error) {
      say(words(error));
    }
  }

  const offered = () => Suggestions.offered(state);
  return { state, say, waits, entry, keep, open, reread, refresh, ahead, order, change, preview, settle, alone, offered, documents };
}
