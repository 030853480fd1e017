/** What the server alone does to all photos: undo and redo, and changes to the classes. */

import * as Api from "./api.js";
import * as Edits from "./edits.js";

/** @import { Session } from "./session.js" */

/**
 * Undo or redo the last change; a box that waits for its class is undone first.
 * @param {Session} session
 * @param {"undo" | "redo"} way
 */
export async function travel(session, way) {
  const { state, alone, documents, keep, open, refresh, reread } = session;
  if (state.nameless) return way === "undo" ? Edits.drop(session) : void session.waits();
  await alone(async () => {
    const { said, images, classes, shown } = await Api.ask("POST", `api/${way}`);
    if (classes) documents.known.clear();
    for (const id of images) documents.known.delete(id);
    const { image } = state;
    if (shown && !classes && images.length === 1) {
      keep(shown);
      if (image !== shown.id) open(shown.id);
      state.set({ at: null, said });
      refresh(); // the person need not wait for it
      return;
    }
    await refresh();
    if (image !== null && (images.includes(image) || !images.length)) await reread(image);
    else open(images[0]);
    state.set({ at: null, said });
  });
}

/**
 * Add, rename, merge or remove a class.
 * @param {Session} session
 * @param {() => object} body as the server wants it, of the classes as they are then; it throws what is in the way
 * @param {string} said when it is done
 * @returns {Promise<boolean>} whether it is done; what is in the way is said
 */
export async function changeClass(session, body, said) {
  const { state, alone, refresh, documents, reread } = session;
  let made = false;
  await alone(async () => {
    await refresh();
    await Api.ask("POST", "api/classes", body());
    made = true;
    documents.known.clear();
    await refresh();
    if (state.image !== null) await reread(state.image);
    state.set({ said });
  });
  return made;
}
