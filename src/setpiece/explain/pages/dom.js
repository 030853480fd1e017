"use strict";

/** Making elements, and writing numbers. */
const Dom = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  function fill(element, properties, children) {
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "style") for (const [key, part] of Object.entries(value)) element.style.setProperty(key, part);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }

  /**
   * An HTML element. `html("button", {class: "x", onclick: f, style: {"--x": 1}}, "text", child)`; attributes that are
   * null or false are left out, and so are such children. Text is never read as markup.
   */
  function html(tag, properties = {}, ...children) {
    return fill(document.createElement(tag), properties, children);
  }

  /** The same for SVG. */
  function svg(tag, properties = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), properties, children);
  }

  /** A number for reading: `digits` after the point, a true minus sign, "–" where it is none. */
  function format(value, digits = 3) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    const text = Math.abs(value).toFixed(digits);
    return value < 0 && Number(text) !== 0 ? `−${text}` : text;
  }

  /** An element that shows a rounded number and carries the whole one in `data-value`. */
  function number(value, role, digits = 3, tag = "span") {
    const properties = { class: "number", "data-role": role, "data-value": value ?? "" };
    return html(tag, properties, format(value, digits));
  }

  return { html, svg, format, number };
})();
