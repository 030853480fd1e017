/** Changes of the person on their way to the server: one after the other, and kept while it cannot be reached. */

import * as Api from "./api.js";
import * as Rectangles from "./rectangles.js";

const AGAIN = 1000; // milliseconds until a change is sent again

/**
 * @param {object} options
 * @param {(id: number) => number} options.revision of a photo, as last answered
 * @param {(doc: LabelDocument, last: boolean) => void} options.saved `last`: no other change of this photo waits
 * @param {(id: number, sentence: string) => void} options.refused this change and those of its photo after it
 * @param {(count: number, trouble: string | null) => void} options.report how many are not answered, and why
 */
export function create({ revision, saved, refused, report }) {
  /** @type {LabelChange[]} */
  const waiting = [];
  /** @type {Promise<void> | null} */
  let running = null;
  /** @type {string | null} */
  let trouble = null;

  function put(change) {
    waiting.push(change);
    report(waiting.length, trouble);
    running ??= run().finally(() => (running = null));
  }

  async function run() {
    while (waiting.length) {
      await send(waiting[0]);
      report(waiting.length, trouble);
    }
  }

  async function send(change) {
    const { id, state, boxes, action } = change;
    try {
      done(await Api.ask("PUT", `api/images/${id}`, { revision: revision(id), state, boxes, action }));
    } catch (error) {
      const { status, body, message } = /** @type {any} */ (error);
      if (status === 0 || status >= 500) await later(message);
      else if (status === 409 && body?.image && holds(body.image, change)) done(body.image); // it was written after all
      else drop(id, message);
    }
  }

  function done(doc) {
    trouble = null;
    waiting.shift();
    saved(doc, !pending(doc.id));
  }

  function drop(id, sentence) {
    trouble = null;
    waiting.splice(0, waiting.length, ...waiting.filter((change) => change.id !== id));
    refused(id, sentence);
  }

  async function later(sentence) {
    trouble = sentence;
    report(waiting.length, trouble);
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }

  const pending = (id) => waiting.some((change) => change.id === id);
  return { put, pending, idle: async () => running };
}

/**
 * Whether a photo has these boxes and this state.
 * @param {LabelDocument} doc
 * @param {{state: LabelStatus, boxes: LabelBox[]}} change
 */
export function holds(doc, { state, boxes }) {
  const alike = ({ box, class: label }, i) => label === boxes[i].class && Rectangles.same(box, boxes[i].box);
  return doc.state === state && doc.boxes.length === boxes.length && doc.boxes.every(alike);
}
