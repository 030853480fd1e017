/** The classes: choosing one, finding one, adding, renaming and merging them. */

import { button, html } from "../base/dom.js";
import * as Edits from "./edits.js";
import * as History from "./history.js";
import * as Marks from "./marks.js";
import * as Redraw from "./redraw.js";

/** @import { Session } from "./session.js" */

/**
 * @param {Session} session
 * @param {() => void} done gives the focus back to the stage
 * @returns {{element: HTMLElement, find: () => void}}
 */
export function create(session, done) {
  const { state, say } = session;
  const query = html("input", {
    type: "search",
    id: "class-query",
    placeholder: "Find or add",
    autocomplete: "off",
    "data-role": "class-query",
    "aria-describedby": "class-hint",
  });
  const hint = html("p.hint", { id: "class-hint", "data-role": "class-hint" });
  const list = html("ul.label-class-list", { "data-role": "classes" });
  const form = html("div.label-class-form");
  /** @type {number | null} */
  let editing = null;

  const classes = () => state.server?.classes ?? [];
  const typed = () => query.value.trim();
  const places = () => classes().map((_, label) => label).filter((label) => matches(classes()[label].name, typed()));
  const exact = () => classes().findIndex(({ name }) => name.toLowerCase() === typed().toLowerCase());

  function choose(label) {
    Edits.classify(session, label);
    query.value = "";
    draw();
    done();
  }

  async function add() {
    const name = typed();
    const { image, at } = state;
    await History.changeClass(session, { action: "add", name }, `Added: ${name}.`);
    const label = classes().findIndex((one) => one.name === name);
    if (label < 0) return;
    if (!state.at && state.image === image) state.set({ at }); // the class is for the box that was in hand
    choose(label);
  }

  const adding = () => typed() !== "" && exact() < 0;
  const drawList = Redraw.when(
    list,
    () => [classes(), typed(), state.brush, state.server?.progress.boxes_per_class, editing],
    () => [
      ...places().map((label) => row(label)),
      adding() ? html("li", button(`Add “${typed()}”`, "add-class", add, { class: "label-add" })) : null,
    ],
  );

  function row(label) {
    const { name } = classes()[label];
    const boxes = state.server?.progress.boxes_per_class[label] ?? 0;
    const pressed = label === state.brush;
    return html(
      "li",
      { class: Marks.colour(label) },
      html(
        "button.label-class",
        { type: "button", "aria-pressed": String(pressed), "data-role": `class-${label}`, onclick: () => choose(label) },
        html("i", { "aria-hidden": "true" }, label < 10 ? `${(label + 1) % 10}` : ""),
        html("span.name", name),
        html("span.number", { "aria-label": `${boxes} boxes` }, boxes),
      ),
      button("⋯", `edit-class-${label}`, () => edit(label), {
        class: "label-more",
        "aria-label": `Rename or merge ${name}`,
        "aria-expanded": String(editing === label),
      }),
    );
  }

  function edit(label) {
    editing = editing === label ? null : label;
    form.replaceChildren(...(editing === null ? [] : [changing(label)]));
    draw();
    /** @type {HTMLElement | null} */ (form.querySelector("input"))?.focus();
  }

  /** Renaming, merging and removing a class. */
  function changing(label) {
    const { name } = classes()[label];
    const close = () => {
      edit(label);
      done();
    };
    const send = (body, said) => History.changeClass(session, body, said).then(close);
    const rename = html("input", { type: "text", id: "class-name", value: name, "data-role": "new-name" });
    const others = classes().map((_, other) => other).filter((other) => other !== label);
    const into = html(
      "select",
      { id: "class-into", "data-role": "merge-into" },
      others.map((other) => html("option", { value: other }, classes()[other].name)),
    );
    const unused = !state.server?.progress.boxes_per_class[label];
    const renamed = (event) => {
      event.preventDefault();
      const next = rename.value.trim();
      send({ action: "rename", class: label, name: next }, `${name} is called ${next} now.`);
    };
    const merge = () => {
      const other = Number(into.value);
      send({ action: "merge", class: label, into: other }, `${name} is a part of ${classes()[other].name} now.`);
    };
    const remove = () => send({ action: "remove", class: label }, `${name} is removed.`);
    return html(
      "form.stack.tight",
      { onsubmit: renamed, "data-role": "class-form" },
      html("div.control", html("label", { for: "class-name" }, "Name"), rename, html("button", { type: "submit", "data-role": "rename" }, "Rename")),
      others.length > 0 &&
        html("div.control", html("label", { for: "class-into" }, "Merge into"), into, button("Merge", "merge", merge)),
      html("div.control", unused && button("Remove", "remove-class", remove), button("Cancel", "cancel-class", close)),
    );
  }

  function draw() {
    hint.textContent = state.nameless
      ? "Name the class of the box that you drew, and press Enter."
      : classes().length
        ? ""
        : "There is no class yet: draw a box, or write a name and press Enter.";
    drawList();
  }

  query.addEventListener("input", draw);
  query.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      query.value = "";
      state.set({ nameless: null });
      draw();
      done();
    } else if (event.key === "Enter" && typed() && !event.isComposing) {
      const found = exact() >= 0 ? exact() : places()[0];
      if (found === undefined || event.shiftKey) add();
      else choose(found);
    } else if (event.key === "/" && !typed()) query.select(); // the key that leads here
    else if (event.key === "ArrowDown") /** @type {HTMLElement | null} */ (list.querySelector("button"))?.focus();
    else return;
    event.preventDefault();
  });
  list.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    const buttons = [...list.querySelectorAll(".label-class, .label-add")];
    const next = buttons[buttons.indexOf(/** @type {Element} */ (document.activeElement)) + by] ?? (by < 0 ? query : null);
    /** @type {HTMLElement | null} */ (next)?.focus();
    event.preventDefault();
  });
  function find() {
    query.focus();
    query.select();
    say("Write the name of a class, and press Enter.");
  }
  state.on((changed) => {
    if (["server", "brush", "nameless"].some((name) => changed.has(name))) draw();
    if (changed.has("nameless") && state.nameless) find();
  });
  draw();
  const element = html(
    "section.panel.label-classes",
    { "aria-labelledby": "classes-title" },
    html("div.label-head", html("h2", { id: "classes-title" }, "Classes"), html("label.unseen", { for: "class-query" }, "Find or add a class"), query),
    hint,
    list,
    form,
  );
  return { element, find };
}

/** Whether each word that is typed begins a word of the name, or is somewhere in it. */
function matches(name, text) {
  return text.toLowerCase().split(/\s+/).every((word) => name.toLowerCase().includes(word));
}
