/** The boxes and pictures of photos: those in view, and those that come next, read ahead. */

import { html } from "../base/dom.js";
import * as Api from "./api.js";

const PICTURES = 8; // that are kept decoded

/** What is known of each photo: its boxes as the person has them, on what the server has confirmed. */
export function create() {
  /** @type {Map<number, LabelDocument>} */
  const known = new Map();
  /** @type {Map<number, HTMLImageElement>} */
  const pictures = new Map();

  /** As the server has it. */
  async function read(id) {
    return /** @type {LabelDocument} */ (await Api.ask("GET", `api/images/${id}`));
  }

  /** The picture of a photo, which may still load. */
  function picture(id) {
    const kept = pictures.get(id);
    const failed = kept?.complete && !kept.naturalWidth; // as while the server was away
    const image = kept && !failed ? kept : html("img", { src: `photos/${id}`, alt: "", draggable: "false", decoding: "async", fetchpriority: "high" });
    pictures.delete(id); // it is the newest from now on
    pictures.set(id, image);
    for (const old of [...pictures.keys()].slice(0, -PICTURES)) pictures.delete(old);
    return image;
  }

  /** Have photos ready that are shown next. */
  async function ahead(ids) {
    for (const id of ids) {
      picture(id).decode().catch(() => {}); // now, and not when it is to be shown; what is broken is named then
      if (known.has(id)) continue;
      const doc = await read(id);
      if (!known.has(id)) known.set(id, doc); // else the person was there meanwhile
    }
  }
  return { known, read, picture, ahead };
}
