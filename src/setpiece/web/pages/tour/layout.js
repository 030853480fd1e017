/** What every chapter of the tour is made of: prose, figures, rows of controls. */

import { html, prose } from "../base/dom.js";

/** A figure with a caption in our own markup; the rest are its parts. */
export function figure(role, caption, ...parts) {
  return html("figure.panel.tour-figure", { "data-role": role }, parts.flat(), html("figcaption", prose(caption)));
}

/** Text beside the figures that belong to it. */
export function section(text, ...figures) {
  return html("section.tour-section", html("div.tour-text", text), html("div.stack", figures));
}

/** The questions at the end of a chapter. */
export function questions(...drawn) {
  return html("section.tour-questions", html("h3", "Your turn"), html("div.tour-cards", drawn));
}

/** Parts side by side, which wrap where the page is narrow. */
export function row(...parts) {
  return html("div.controls", parts);
}

/** A line that tells what the figure above it shows now; screen readers hear it. */
export function status(role) {
  return html("p.tour-status", { "data-role": role, "aria-live": "polite" });
}

/** "a, b and c". */
export function list(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
}

/** "1 pair", "2 pairs". */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** With a capital letter. */
export function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
