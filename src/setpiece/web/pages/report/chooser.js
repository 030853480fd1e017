/** Thumbnails of all images: press one, or go on with the left and right arrow keys. */

import * as Controls from "../base/controls.js";
import { button, html } from "../base/dom.js";

const BUSY = "input, select, textarea, [role=tab], [role=grid], .scroll, .playground"; // have arrow keys of their own

/**
 * @param {Payload} payload
 * @param {PageState} state
 * @returns {HTMLElement}
 */
export function create(payload, state) {
  let shown = payload.images.map((_, index) => index);
  const name = html("b", { "data-role": "image-name", "aria-live": "polite" });
  const note = html("span.hint", { "data-role": "image-note" });
  const previous = button("◀", "previous", () => move(-1), { "aria-label": "Previous image" });
  const next = button("▶", "next", () => move(1), { "aria-label": "Next image" });
  const thumbnails = html("div.thumbnails", {
    role: "listbox",
    "aria-label": "Images",
    "aria-orientation": "horizontal",
  });
  const order = Controls.choice({
    label: "Order",
    role: "order",
    options: [
      ["file", "as given"],
      ["loss", "highest loss first"],
    ],
    value: "file",
    onchange: fill,
  });
  const bar = html("div.controls", previous, next, name, note, payload.images.length > 2 && order);
  const element = html("div.chooser.panel", bar, payload.images.length > 1 && thumbnails);

  function fill(key) {
    shown = payload.images.map((_, index) => index);
    if (key === "loss") shown.sort((a, b) => lastLoss(payload.images[b]) - lastLoss(payload.images[a]));
    thumbnails.replaceChildren(...shown.map((index) => thumbnail(payload.images[index], index, () => choose(index))));
    update();
  }

  function choose(index) {
    state.set({ image: index, target: null, query: null, pinned: false });
  }

  const selected = () => thumbnails.querySelector("[aria-selected=true]");
  const reveal = () => selected() && keepInView(thumbnails, selected());

  /** To the next image in the order shown; the first and last stay. */
  function move(by) {
    const to = shown[shown.indexOf(state.image) + by];
    if (to === undefined) return;
    const held = thumbnails.contains(document.activeElement);
    choose(to);
    if (held) selected().focus();
  }

  function update() {
    const image = payload.images[state.image];
    const targets = image.targets.labels.length;
    name.textContent = `Image ${state.image}: ${image.name}, ${targets} ${targets === 1 ? "target" : "targets"}`;
    note.textContent = image.note ?? "";
    previous.disabled = shown[0] === state.image;
    next.disabled = shown[shown.length - 1] === state.image;
    for (const one of thumbnails.children) {
      const chosen = Number(one.dataset.image) === state.image;
      one.setAttribute("aria-selected", String(chosen));
      one.tabIndex = chosen ? 0 : -1;
    }
    reveal();
  }

  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || element.hidden || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target instanceof Element && event.target.closest(BUSY)) return;
    event.preventDefault();
    move(by);
  });
  state.on((changed) => changed.has("image") && update());
  new ResizeObserver(reveal).observe(thumbnails);
  fill("file");
  return element;
}

const lastLoss = (image) => image.loss[image.loss.length - 1].total ?? 0;

function thumbnail(image, index, onclick) {
  const picture = image.src
    ? html("img", { src: image.src, alt: "", loading: "lazy", decoding: "async" })
    : html("div.blank");
  const label = { "aria-label": `Image ${index}: ${image.name}`, title: image.name };
  return html(
    "button.thumbnail",
    { type: "button", role: "option", ...label, "data-role": "thumbnail", "data-image": index, onclick },
    picture,
    html("span", index),
  );
}

/** Scroll the row of thumbnails sideways, and nothing else. */
function keepInView(row, one) {
  const left = one.offsetLeft - row.offsetLeft;
  const hidden = left < row.scrollLeft || left + one.offsetWidth > row.scrollLeft + row.clientWidth;
  if (hidden) row.scrollLeft = left - (row.clientWidth - one.offsetWidth) / 2;
}
