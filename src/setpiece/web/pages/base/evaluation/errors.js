/** The kinds of errors with their pictures, at a threshold: what is less confident counts neither way. */

import { format, html, isolated, name, svg } from "../dom.js";
import * as Enlarged from "./enlarged.js";

const MISSED = "missed";
const SHOWN = 12; // pictures of a kind

/**
 * One kind is open at a time.
 * @param {Evaluated} evaluated
 * @param {object} view a State of the threshold of all classes; the best of each where null
 */
export function create(evaluated, view) {
  const { errors: kinds } = evaluated;
  const most = Math.max(0.001, ...kinds.map(({ cost }) => cost ?? 0));
  const enlarged = Enlarged.create();
  let open = firstOf(evaluated, view.threshold);
  const pictures = html("div.error-pictures", { "data-role": "pictures" });
  const counts = kinds.map(() => html("span.number"));
  const rows = kinds.map((kind, index) =>
    html(
      "button.error-kind",
      { type: "button", "data-kind": kind.kind, onclick: () => show(kind.kind) },
      html("strong", kind.kind),
      html("span.hint", kind.is),
      counts[index],
      html("span.number", `${kind.cost !== null && kind.cost >= 0 ? "+" : ""}${format(kind.cost, 2)}`),
      html("i.error-bar", { style: { "--share": String(Math.max(0, (kind.cost ?? 0) / most)) } }),
    ),
  );

  /** Draw the counts, and the pictures of a kind. */
  function show(kind) {
    open = kind;
    kinds.forEach((each, index) => {
      counts[index].textContent = String(countOf(each, view.threshold));
      rows[index].setAttribute("aria-pressed", String(each.kind === open));
    });
    const shown = picturesOf(evaluated, open, view.threshold).slice(0, SHOWN);
    const draw = (index, onclick) => pictureOf(evaluated, shown[index], kind, onclick);
    const more = countOf(kinds.find((each) => each.kind === open), view.threshold) - shown.length;
    pictures.replaceChildren(
      ...shown.map((_, index) => draw(index, () => enlarged.open(draw, shown.length, index))),
      ...(shown.length || more > 0 ? [] : [html("p.hint", "There are none at this threshold.")]),
      ...(more > 0 ? [html("p.hint", `${more} more`)] : []),
    );
  }

  view.on(() => show(open));
  show(open);
  return html(
    "section.panel",
    html("h2", "What is wrong"),
    html(
      "p.lead",
      "How many errors there are of each kind at the threshold above, and what AP50 would gain if only they were put " +
        "right (TIDE; AP looks at all thresholds, so gains do not change). Gains do not add up: errors hide each other.",
    ),
    html("div.error-kinds", { role: "group", "aria-label": "Kinds of errors" }, rows),
    html("div.legend", legend("prediction", "detected"), legend("target", "labelled")),
    pictures,
    enlarged.element,
  );
}

/** The kind to begin with: the one with pictures that costs most; where none has any, the first with errors. */
function firstOf(evaluated, threshold) {
  const kinds = [...evaluated.errors].sort((a, b) => (b.cost ?? 0) - (a.cost ?? 0));
  const pictured = kinds.find(({ kind }) => picturesOf(evaluated, kind, threshold).length);
  return (pictured ?? kinds.find((each) => countOf(each, threshold)) ?? kinds[0]).kind;
}

/** How many errors of a kind there are; Python has counted them for each step of the slider. */
function countOf(kind, threshold) {
  return threshold === null ? kind.at_best : kind.at[Math.round(threshold * (kind.at.length - 1))];
}

/** Whether a detection is confident enough to count. */
function counts({ classes }, { class: index, score }, threshold) {
  return score >= (threshold ?? classes[index].threshold);
}

/**
 * The pictures of a kind of error: those whose detection counts; or whose object has none that does.
 * @param {Evaluated} evaluated
 * @param {number | null} threshold
 */
function picturesOf(evaluated, kind, threshold) {
  const counted = (detection) => counts(evaluated, detection, threshold);
  if (kind !== MISSED) {
    return evaluated.pictures.filter((one) => one.kind === kind && one.detection && counted(one.detection));
  }
  const known = new Set();
  return evaluated.pictures.filter(({ object }) => {
    if (!object || known.has(object.id) || object.on.some(counted)) return false;
    known.add(object.id);
    return true;
  });
}

function legend(name, text) {
  return html("span.key", html("i", { style: { "--mark": `var(--${name})` } }), text);
}

/** An image with the detection and the object, of a missed one the object alone; a button where it may be pressed. */
function pictureOf({ classes }, { name: file, src, width, height, detection, object }, kind, onclick = null) {
  const found = kind === MISSED ? null : detection;
  const says = (write) => [
    ...(found ? [write(classes[found.class].name), ` ${found.score.toFixed(2)}`] : []),
    ...(found && object ? [", "] : []),
    ...(object ? ["labelled ", write(classes[object.class].name)] : []),
  ];
  const text = `${isolated(file)}: ${says(isolated).join("")}`;
  const area = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text };
  const boxes = [object && box("target", object.box), found && box("prediction", found.box)];
  const image = svg("svg", area, svg("image", { href: src, width, height }), boxes);
  return html(
    "figure.picture",
    onclick ? html("button", { type: "button", title: "Enlarge", onclick }, image) : image,
    html("figcaption.hint", name(file), ": ", says(name)),
  );
}

function box(kind, [x, y, width, height]) {
  const place = { x, y, width, height, "vector-effect": "non-scaling-stroke" };
  return svg(`g.${kind}`, svg("rect.halo", place), svg("rect.box", place));
}
