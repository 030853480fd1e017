/** Which of a detector's boxes are offered: they are no labels until a person says so. */

import * as Rectangles from "./rectangles.js";

const ALREADY = 0.6; // IoU from which on a suggestion is of an object that has a label, or was rejected

/**
 * The places of the suggestions that are shown of the photo in view, those that are surest first.
 * @param {LabelState} state
 * @returns {number[]}
 */
export function offered({ doc, threshold, suggesting, rejected }) {
  if (!doc || !suggesting || doc.state !== "open") return [];
  const { boxes, suggestions } = doc;
  const places = suggestions.map((_, index) => index).filter((index) => {
    const one = suggestions[index];
    if (one.score < threshold) return false;
    if (boxes.some(({ box }) => Rectangles.iou(box, one.box) > ALREADY)) return false;
    return !rejected.some((no) => no.class === one.class && Rectangles.iou(no.box, one.box) > ALREADY);
  });
  return places.sort((a, b) => suggestions[b].score - suggestions[a].score);
}

/**
 * The label that a suggestion becomes.
 * @param {SuggestedBox} suggestion
 * @param {{width: number, height: number}} size
 * @returns {LabelBox[]} none where next to nothing of it is within the photo
 */
export function asLabel(suggestion, size) {
  const box = Rectangles.within(suggestion.box, size);
  return box ? [{ box, class: suggestion.class }] : [];
}
