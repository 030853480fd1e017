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
  for (const code of template.content.querySelectorAll("code")) code.replaceChildren(...words(code.textContent ?? ""));
  return template.content;
}

const COMMAND = /(setpiece [a-z]+(?: (?:--[a-z][\w-]*|[A-Z]+|\d+))*|--[a-z][\w-]*(?: \d+)?)/;

/** A sentence as nodes, with its commands and options as code, for `html`. */
export function sentence(text) {
  return text.split(COMMAND).map((part, i) => (i % 2 ? html("code", words(part)) : part)); // the odd parts are commands
}

/** Text that breaks at its spaces alone: a browser would also break after the hyphens of an option. */
function words(text) {
  return text.split(/( )/).map((part) => (part === " " ? part : html("span.whole", part)));
}

/**
 * A name that people gave, such as that of a class: it is shortened where it is long, and letters that are written from
 * right to left do not move what stands beside it.
 */
export function name(text) {
  return html("bdi.name", { title: text }, text);
}

/** The same for where no element can stand, as in a title. */
export function isolated(text) {
  return `\u2068${text}\u2069`;
}

/** A count with its noun: `counted(2, "image")` is "2 images". */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A button. */
export function button(text, role, onclick, properties = {}) {
  return html("button", { type: "button", "data-role": role, onclick, ...properties }, text);
}

/** A table with these column names (`"<name"` is set to the left) or elements, in a box that scrolls. */
export function table(columns, body, label, role) {
  const heads = columns.map((column) =>
    typeof column === "string" && column.startsWith("<")
      ? html("th.text", { scope: "col" }, column.slice(1))
      : html("th", { scope: "col" }, column),
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
