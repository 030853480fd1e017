/** What `setpiece doctor` found in a data set: every finding with its pictures, the worst first. */

import { button, html, svg } from "../base/dom.js";
import * as Data from "../base/data.js";

const SEVERITIES = { error: "Errors", warning: "Warnings", note: "Notes" };

/** Build the page from the payload in it. */
function start() {
  const { title, images, findings } = Data.examined();
  const main = /** @type {HTMLElement} */ (document.getElementById("page"));
  main.classList.add("chapter");
  const counts = Object.entries(images).map(([split, count]) => `${count} in ${split}`);
  const line = `Images: ${counts.join(", ") || "none that can be read"}`;
  main.before(html("header.page-header", html("h1", title), html("p.hint", { "data-role": "images" }, line)));
  if (!findings.length) {
    main.append(html("p.panel", { "data-role": "nothing" }, "Nothing is wrong or unusual."));
    return;
  }
  const panels = findings.map((finding) => ({ finding, element: panelOf(finding) }));
  main.append(chooser(panels), ...panels.map(({ element }) => element));
}

/** Buttons that show or hide the findings of a severity; all are shown at first. */
function chooser(panels) {
  const hidden = new Set();
  const buttons = Object.entries(SEVERITIES).map(([severity, name]) => {
    const count = panels.filter(({ finding }) => finding.severity === severity).length;
    if (!count) return null;
    const properties = { "aria-pressed": "true", "data-severity": severity };
    const toggle = button(`${name}: ${count}`, "severity", () => {
      if (!hidden.delete(severity)) hidden.add(severity);
      toggle.setAttribute("aria-pressed", String(!hidden.has(severity)));
      for (const { finding, element } of panels) element.hidden = hidden.has(finding.severity);
    }, properties);
    return toggle;
  });
  return html("div.controls", { role: "group", "aria-label": "Which findings are shown" }, buttons);
}

/** @param {Examined} finding */
function panelOf({ severity, split, check, what, advice, count, examples }) {
  const shown = examples.filter(({ picture }) => picture !== null);
  const rest = examples.filter(({ picture }) => picture === null);
  const more = examples.length ? count - examples.length : 0;
  return html(
    "section.panel",
    { "data-role": "finding", "data-check": check },
    html(
      "h2.doctor-heading",
      html(`span.doctor-mark.${severity}`, severity),
      split ? `${split}: ${what}` : what,
    ),
    html("p", html("strong", "What to do: "), advice, "."),
    shown.length ? html("div.doctor-pictures", shown.map(pictureOf)) : null,
    rest.length ? list(rest) : null,
    html("p.hint", `${check}${more > 0 ? ` · ${more} more` : ""}`),
  );
}

/** An image with its box, if there is one. */
function pictureOf({ text, picture, width, height, box_xyxy }) {
  const area = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text };
  const image = svg("image", { href: picture, width, height });
  return html("figure.picture", svg("svg", area, image, box_xyxy && boxOf(box_xyxy)), html("figcaption.hint", text));
}

function boxOf([left, top, right, bottom]) {
  const place = { x: left, y: top, width: right - left, height: bottom - top, "vector-effect": "non-scaling-stroke" };
  return svg("g.prediction", svg("rect.halo", place), svg("rect.box", place));
}

function list(examples) {
  const names = html("ul", examples.map(({ text }) => html("li", text)));
  return html("details", html("summary", `By name: ${examples.length}`), names);
}

start();
