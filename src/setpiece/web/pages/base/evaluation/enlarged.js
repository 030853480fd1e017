/** Pictures to click through: one at a time, large, in a dialog. */

import { button, html } from "../dom.js";

/**
 * The arrow keys go to the one before and the next; Escape closes, and the focus is again where it was.
 * @returns {{element: HTMLElement, open: function(Function, number, number): void}} `open` takes what draws the picture
 *   of an index, how many there are, and which is the first to be shown
 */
export function create() {
  const picture = html("div");
  const place = html("span.number", { "data-role": "place", "aria-live": "polite" });
  let draw = (_) => picture;
  let count = 0;
  let index = 0;

  function show(at) {
    if (at < 0 || at >= count) return;
    index = at;
    picture.replaceChildren(draw(at));
    place.textContent = `${at + 1} of ${count}`;
    before.setAttribute("aria-disabled", String(at === 0));
    next.setAttribute("aria-disabled", String(at === count - 1));
  }

  const before = button("← Previous", "previous", () => show(index - 1));
  const next = button("Next →", "next", () => show(index + 1));
  const close = button("Close", "close", () => element.close());
  const onclick = (event) => event.target === element && element.close(); // beside the picture
  const onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) show(index + step);
  };
  const element = /** @type {HTMLDialogElement} */ (
    html(
      "dialog.large",
      { "aria-label": "Enlarged picture", onclick, onkeydown },
      picture,
      html("div.controls", before, next, place, close),
    )
  );
  const open = (draws, of, first) => {
    [draw, count] = [draws, of];
    show(first);
    element.showModal();
    next.focus();
  };
  return { element, open };
}
