/** Images that are chosen, dropped on the page or pasted. */

import { button, html } from "../base/dom.js";

/**
 * @param {function(File[]): void} take
 * @returns {{choose: HTMLElement, photo: function(): void}} a button that opens the files, and the phone's own camera
 */
export function create(take) {
  const files = chooser({ multiple: true, "data-role": "files" }, take);
  const photo = chooser({ capture: "environment", "data-role": "photo" }, take);
  const choose = button("Choose images", "choose", () => files.click(), { class: "primary" });
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length) return;
    event.preventDefault();
    take(pasted);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  for (const end of ["dragleave", "drop"]) {
    document.addEventListener(end, () => document.body.classList.remove("dropping"));
  }
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const dropped = [...(event.dataTransfer?.files ?? [])];
    if (dropped.length) take(dropped);
  });
  return { choose: html("span.detect-choose", choose, files, photo), photo: () => photo.click() };
}

function chooser(properties, take) {
  const input = html("input", { type: "file", accept: "image/*", hidden: true, ...properties });
  input.addEventListener("change", () => {
    const chosen = [...input.files];
    input.value = ""; // so that the same file can be chosen again
    if (chosen.length) take(chosen);
  });
  return input;
}
