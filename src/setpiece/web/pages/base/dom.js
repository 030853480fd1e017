/** Making elements, and writing numbers. */

const SVG = "http://www.w3.org/2000/svg";

const isProperties = (value) =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;

function make(create, tag, rest) {
  const [name, ...classes] = tag.split(".");
  const element = create(name);
  if (classes.length) element.setAttribute("class", classes.join(" "));
  const properties = isProperties(rest[0]) ? rest.shift() : {};
  for (const [key, value] of Object.entries(properties)) set(element, key, value);
  element.append(...rest.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else if (key === "style") for (const [name, part] of Object.entries(value)) element.style.setProperty(name, part);
  else element.setAttribute(key, value === true ? "" : value);
}

/**
 * An HTML element: `html("button.chip", {onclick: f, style: {"--x": 1}}, "text", child)`. Attributes and children
 * that are null or false are left out. Text is never read as markup.
 */
export function html(tag, ...rest) {
  return make((name) => document.createElement(name), tag, rest);
}

/** The same for SVG. */
export function svg(tag, ...rest) {
  return make((name) => document.createElementNS(SVG, name), tag, rest);
}

/** Markup written by us as nodes; never for text that comes from data. */
export function prose(markup) {
  const template = document.createElement("template");
  template.innerHTML = markup;
  return template.content;
}

/** A button. */
export function button(text, role, onclick, properties = {}) {
  return html("button", { type: "button", "data-role": role, onclick, ...properties }, text);
}

/** A table with these column names (`"<name"` is set to the left), in a box that scrolls. */
export function table(names, body, label, role) {
  const heads = names.map((name) =>
    name.startsWith("<") ? html("th.text", { scope: "col" }, name.slice(1)) : html("th", { scope: "col" }, name),
  );
  return html(
    "div.scroll",
    { tabindex: 0, role: "region", "aria-label": label },
    html("table.facts", { "data-role": role }, html("thead", html("tr", heads)), body),
  );
}

/** A number for reading: `digits` after the point, a true minus sign, "–" where it is none. */
export function format(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** An element that shows a rounded number and carries the whole one in `data-value`. */
export function number(value, role, digits = 3, tag = "span") {
  return html(`${tag}.number`, { "data-role": role, "data-value": value ?? "" }, format(value, digits));
}
