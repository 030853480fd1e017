/** Everything that can be done with a key: the keys, the words, and what it does. */

import * as Edits from "./edits.js";
import * as History from "./history.js";
import * as Sequence from "./sequence.js";

const STEP = 0.05; // of the threshold
const CLOSER = 1.25;
const FAR = 10; // pixels of an arrow key with Shift
const NEW = 0.2; // of the shorter side of what is in view, that a box made by a key is wide and high

/** @import { Session } from "./session.js" */
/** @import { Stage } from "./stage.js" */
/** @typedef {{id: string, keys: string[], text: string, group: string, run: () => void, short?: string}} Action */

/**
 * @param {Session} session
 * @param {Stage} stage
 * @param {{cancel: () => boolean, pointed: () => LabelAt | null}} gestures
 * @param {{help: () => void, find: () => void, show: (view: string) => void}} page
 * @returns {Action[]}
 */
export function all(session, stage, gestures, page) {
  const { state } = session;
  const group = (name, actions) => actions.map(([id, keys, text, run, short]) => ({ id, keys, text, run, short, group: name }));
  return [
    ...group("Going through the photos", [
      ["confirm", ["Enter"], "Accept what is suggested, confirm this photo, and go on", () => Edits.confirm(session), "Confirm"],
      ["nothing", ["n"], "Nothing is here: confirm, and go on", () => Edits.nothing(session), "Nothing here"],
      ["next", ["d", "PageDown"], "Next photo (also → while no box is in hand)", () => step(session, 1), "Next"],
      ["previous", ["a", "PageUp"], "Previous photo (also ←)", () => step(session, -1), "Previous"],
      ["unlabelled", ["w"], "Next photo that is not confirmed", () => unlabelled(session), "Next open"],
      ["reopen", ["u"], "This photo is not confirmed after all", () => Edits.reopen(session), "Open again"],
      ["order", ["o"], "In the helpful order, or as the photos come", () => switchOrder(session), "Order"],
    ]),
    ...group("Boxes", [
      ["box", ["b"], "A new box in the middle (or drag, or click two corners)", () => middle(session, stage), "New box"],
      ["after", ["."], "Take the next box in hand", () => Edits.choose(session, 1), "Next box"],
      ["before", [","], "Take the box before it in hand", () => Edits.choose(session, -1), "Box before"],
      ["delete", ["Delete", "Backspace"], "Delete the box in hand", () => Edits.remove(session), "Delete"],
      ["duplicate", ["c"], "A copy of the box in hand", () => Edits.duplicate(session), "Duplicate"],
      ["copy", ["p"], "Copy the boxes of the previous photo", () => Edits.copyPrevious(session), "Copy previous"],
      ["undo", ["z", "Ctrl+z"], "Undo, whatever it was", () => History.travel(session, "undo"), "Undo"],
      ["redo", ["Shift+z", "Ctrl+Shift+z", "Ctrl+y"], "Redo", () => History.travel(session, "redo"), "Redo"],
      ["drop", ["Escape"], "Stop what was begun; let go of the box", () => escape(session, gestures)],
    ]),
    ...group("Suggestions", [
      ["accept", ["y"], "Accept the one in hand, or under the pointer (or click it)", () => accept(session, gestures), "Accept"],
      ["reject", ["x"], "Reject it (or click it with the right button)", () => reject(session, gestures), "Reject"],
      ["restore", ["r"], "Show the rejected ones of this photo again", () => state.set({ rejected: [] }), "Show rejected"],
      ["surer", ["]"], "A higher threshold", () => threshold(session, STEP)],
      ["less-sure", ["["], "A lower threshold", () => threshold(session, -STEP)],
      ["suggesting", ["s"], "Show suggestions, or hide them", () => toggle(session, "suggesting", "Suggestions"), "Suggestions"],
    ]),
    ...group("Classes", [["find", ["/"], "Find a class, or add one", page.find, "Class"]]),
    ...group("What is seen", [
      ["closer", ["+", "="], "Closer (also the wheel, or two fingers)", () => stage.zoom(CLOSER), "Closer"],
      ["further", ["-"], "Further away", () => stage.zoom(1 / CLOSER), "Further"],
      ["whole", ["f"], "The whole photo", () => stage.fit(), "Fit"],
      ["crosshair", ["h"], "Crosshair", () => toggle(session, "crosshair", "Crosshair"), "Crosshair"],
      ["label", ["g"], "This page: labelling", () => page.show("label")],
      ["second-look", ["l"], "Second look at the labels", () => page.show("second-look")],
      ["progress", ["m"], "Progress, and what comes when all is labelled", () => page.show("progress")],
      ["help", ["?"], "These keys", page.help, "Keys"],
    ]),
  ];
}

/** What keys do that the table does not name one by one. */
export const OTHERS = [
  ["1 … 9, 0", "The class of the box in hand, and of the next ones"],
  ["← → ↑ ↓", "Move the box in hand by 1 pixel; with Shift by 10"],
  ["Alt or Ctrl + ← → ↑ ↓", "Move its right or lower side; with Shift by 10 pixels"],
  ["Shift + drag", "Draw a box, also where another one lies"],
  ["K, Y", "In the second look: keep the label, or apply what is suggested"],
  ["Space + drag", "Move the photo (also the middle button, or two fingers)"],
];

/**
 * What an arrow key does: with a box in hand it moves it, or its right and lower sides; else it goes to a photo.
 * @param {Session} session
 * @param {KeyboardEvent} event
 */
export function arrow(session, event) {
  const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
  const by = event.shiftKey ? FAR : 1;
  if (session.state.at) Edits.nudge(session, x * by, y * by, event.altKey || event.ctrlKey);
  else if (x) step(session, x);
}

/** @param {Session} session */
function step(session, by) {
  const id = Sequence.beside(Sequence.filtered(session.state), session.state.image, by);
  if (id === null) session.say(by > 0 ? "This is the last photo." : "This is the first photo.");
  else session.open(id);
}

/** @param {Session} session */
function unlabelled(session) {
  const id = Sequence.open(session.state)[0];
  if (id === undefined) session.say("No other photo is open.");
  else session.open(id);
}

/** @param {Session} session */
export async function switchOrder({ state, alone, refresh, ahead, order, say }) {
  await alone(async () => {
    await refresh();
    if (!state.server) return;
    const mode = state.server.order.mode === "files" ? "helpful" : "files";
    await order(mode, []);
    await refresh();
    say(mode === "files" ? "Photos are offered as they come." : "Photos are offered that help the detector most.");
  });
  ahead();
}

/**
 * @param {Session} session
 * @param {Stage} stage
 */
function middle(session, stage) {
  const { scale, x, y } = stage.view();
  const { width, height } = stage.room();
  const photo = stage.size();
  const half = (NEW * Math.min(width, height, photo.width * scale, photo.height * scale)) / 2 / scale;
  const within = (value, most) => Math.min(Math.max(value, half), most - half);
  const [u, v] = [within((width / 2 - x) / scale, photo.width), within((height / 2 - y) / scale, photo.height)];
  Edits.draw(session, [u - half, v - half, u + half, v + half].map(Math.round));
}

/** @param {Session} session */
function escape(session, gestures) {
  if (gestures.cancel()) return;
  if (session.state.nameless) Edits.drop(session);
  else session.state.set({ at: null });
}

/** The suggestion in hand, or the one under the pointer. */
function meant({ state, say }, { pointed }) {
  const at = state.at?.of === "suggestions" ? state.at : pointed();
  if (at?.of === "suggestions") return at.index;
  say("Choose a suggestion first: point at it, or press the full stop key.");
  return null;
}

/** @param {Session} session */
function accept(session, gestures) {
  const index = meant(session, gestures);
  if (index !== null) Edits.accept(session, index);
}

/** @param {Session} session */
function reject(session, gestures) {
  const index = meant(session, gestures);
  if (index !== null) Edits.reject(session, index);
}

/** @param {Session} session */
function threshold({ state, say }, by) {
  state.set({ threshold: Math.min(0.95, Math.max(0.05, Math.round((state.threshold + by) * 100) / 100)) });
  say(`Threshold: ${state.threshold.toFixed(2)}.`);
}

/** @param {Session} session */
function toggle({ state, say }, name, words) {
  state.set({ [name]: !state[name] });
  say(`${words}: ${state[name] ? "shown" : "hidden"}.`);
}
