/** An image with marks: pictures in fractions of it, points and boxes. */

import * as Boxes from "../../base/boxes.js";
import { html, svg } from "../../base/dom.js";

const HEIGHT = 420; // CSS pixels of a picture, at most

/**
 * A figure of an image and marks on it; a region of it is seen, given as [left, top, right, bottom].
 * @param {ReportImage} image
 */
export function create(image, title, role, index, marks, [left, top, right, bottom]) {
  const drawing = svg("svg", { role: "img", "aria-label": `${title} on ${image.name}` });
  const frame = html("div.picture", drawing);
  const draw = () => {
    const space = frame.clientWidth;
    if (!space) return;
    const seen = [(right - left) * image.width, (bottom - top) * image.height];
    const scale = Math.min(space / seen[0], HEIGHT / seen[1]);
    const size = [image.width * scale, image.height * scale];
    const view = [left * size[0], top * size[1], seen[0] * scale, seen[1] * scale];
    drawing.setAttribute("viewBox", view.join(" "));
    drawing.style.width = `${view[2]}px`;
    drawing.replaceChildren(
      image.src
        ? svg("image", { href: image.src, width: size[0], height: size[1], preserveAspectRatio: "none" })
        : svg("rect.ground", { width: size[0], height: size[1] }),
      ...marks.filter(Boolean).map((mark) => drawn(mark, size)),
    );
  };
  new ResizeObserver(draw).observe(frame);
  return html("figure.model-picture", { "data-role": role, "data-index": index }, frame, html("figcaption", title));
}

function drawn(mark, size) {
  if (mark instanceof Element) {
    const scaled = /** @type {Element} */ (mark.cloneNode());
    scaled.setAttribute("width", String(Number(mark.getAttribute("width")) * size[0]));
    scaled.setAttribute("height", String(Number(mark.getAttribute("height")) * size[1]));
    return scaled;
  }
  return mark.box ? drawnBox(mark, size) : drawnPoint(mark, size);
}

function drawnBox({ box, kind, layer }, [width, height]) {
  const [left, top] = Boxes.corners(box);
  const frame = { x: left * width, y: top * height, width: box[2] * width, height: box[3] * height };
  const properties = { class: `model-box ${kind}`, "data-role": `box-${kind}`, "data-layer": layer ?? "" };
  return svg("g", properties, svg("rect.halo", { ...frame }), svg("rect.line", { ...frame }));
}

/** A disc, square or diamond by the map that is sampled. */
function drawnPoint({ x, y, size, level, weight }, [width, height]) {
  const r = 2 + size * Math.min(6, Math.max(width, height) / 150);
  const [cx, cy] = [x * width, y * height];
  const d = [
    `M${cx - r} ${cy}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
    `M${cx - r} ${cy - r}h${2 * r}v${2 * r}h${-2 * r}z`,
    `M${cx} ${cy - 1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`,
  ][Math.min(level, 2)];
  return svg("path", { class: `model-point of-${level}`, d, "data-role": "point", "data-value": weight });
}
