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
  const drop = button("Cancel", "cancel-box", () => (Edits.drop(session), done()));
  const hints = html("div.label-hint", hint, drop);
  const list = html("ul.label-class-list", { "data-role": "classes" });
  const form = html("div.label-class-form");
  /** @type {ReturnType<typeof changing> | null} */
  let editing = null;

  const classes = () => state.server?.classes ?? [];
  const placeOf = (name) => classes().findIndex((one) => one.name === name);
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
    await History.changeClass(session, () => ({ action: "add", name }), `Added: ${name}.`);
    const label = placeOf(name);
    if (label < 0) return;
    if (!state.at && state.image === image) state.set({ at }); // the class is for the box that was in hand
    choose(label);
  }

  const adding = () => typed() !== "" && exact() < 0;
  const drawList = Redraw.when(
    list,
    () => [classes(), typed(), state.brush, state.server?.progress.boxes_per_class, editing?.name],
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
      button("⋯", `edit-class-${label}`, () => edit(name), {
        class: "label-more",
        "aria-label": `Rename or merge ${name}`,
        "aria-expanded": String(editing?.name === name),
      }),
    );
  }

  /** Open the form of a class, or close it where it is open. */
  function edit(name) {
    editing = editing?.name === name ? null : changing(name);
    form.replaceChildren(...(editing ? [editing.element] : []));
    draw();
    if (editing) editing.rename.focus();
    else done();
  }

  /** Renaming, merging and removing a class, which goes by its name: its place may be another one's meanwhile. */
  function changing(name) {
    const rename = html("input", { type: "text", id: "class-name", value: name, "data-role": "new-name" });
    const into = html("select", { id: "class-into", "data-role": "merge-into" });
    const merging = html("div.control", html("label", { for: "class-into" }, "Merge into"), into, button("Merge", "merge", () => merge()));
    const remove = button("Remove", "remove-class", () => send("remove", {}, `${name} is removed.`));

    /** `others` have places, as those of a merge. */
    async function send(action, more, said, others = {}) {
      const body = () => {
        const places = Object.entries({ class: name, ...others }).map(([key, one]) => [key, placeOf(one), one]);
        const gone = places.find(([, place]) => place < 0);
        if (gone) throw new Error(`There is no class ${gone[2]} any more.`);
        const meant = places.map(([, , one]) => one);
        return { action, ...more, ...Object.fromEntries(places), meant };
      };
      if ((await History.changeClass(session, body, said)) && editing?.name === name) edit(name);
    }
    function renamed(event) {
      event.preventDefault();
      const next = rename.value.trim();
      send("rename", { name: next }, `${name} is called ${next} now.`);
    }
    function merge() {
      if (!into.value) return say("Choose the class to merge into.");
      send("merge", {}, `${name} is a part of ${into.value} now.`, { into: into.value });
    }

    const drawOthers = Redraw.when(
      into,
      () => classes(),
      () => classes().filter((one) => one.name !== name).map((one) => html("option", { value: one.name }, one.name)),
    );
    /** In step with the classes. */
    function follow() {
      const chosen = into.value;
      drawOthers();
      if (chosen) into.value = chosen; // none is chosen where that is gone
      merging.hidden = classes().length < 2;
      remove.hidden = Boolean(state.server?.progress.boxes_per_class[placeOf(name)]);
    }
    follow();
    const element = html(
      "form.stack.tight",
      { onsubmit: renamed, "data-role": "class-form" },
      html("div.control", html("label", { for: "class-name" }, "Name"), rename, html("button", { type: "submit", "data-role": "rename" }, "Rename")),
      merging,
      html("div.control", remove, button("Cancel", "cancel-class", () => edit(name))),
    );
    return { name, element, rename, follow };
  }

  /** Have the open form in step with the classes; it closes when its class is gone. */
  function follow() {
    if (!editing) return;
    const { name } = editing;
    if (placeOf(name) >= 0) return editing.follow();
    const focused = form.contains(document.activeElement);
    editing = null;
    form.replaceChildren();
    if (focused) done();
    if (!state.busy) say(`There is no class ${name} any more.`); // else the step that is made says what it did
  }

  function draw() {
    hint.textContent = state.nameless
      ? "Name the class of the box that you drew, and press Enter."
      : classes().length
        ? ""
        : "There is no class yet: draw a box, or write a name and press Enter.";
    drop.hidden = !state.nameless;
    hints.hidden = !hint.textContent;
    drawList();
  }

  query.addEventListener("input", draw);
  query.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      query.value = "";
      if (state.nameless) Edits.drop(session);
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
    if (changed.has("server")) follow();
    if (["server", "brush", "nameless"].some((name) => changed.has(name))) draw();
    if (changed.has("nameless") && state.nameless) find();
  });
  draw();
  const element = html(
    "section.panel.label-classes",
    { "aria-labelledby": "classes-title" },
    html("div.label-head", html("h2", { id: "classes-title" }, "Classes"), html("label.unseen", { for: "class-query" }, "Find or add a class"), query),
    hints,
    list,
    form,
  );
  return { element, find };
}

/** Whether each word that is typed begins a word of the name, or is somewhere in it. */
function matches(name, text) {
  return text.toLowerCase().split(/\s+/).every((word) => name.toLowerCase().includes(word));
}
