/** Keys: which action one means, and the panel that shows them all. */

import { button, html } from "../base/dom.js";
import * as Actions from "./actions.js";
import * as Edits from "./edits.js";

const OWN = "button, a, summary, select, [role=option], [role=tab]"; // what Enter, Space and arrows are for

/** @import { Session } from "./session.js" */

/**
 * Obey keys, but not those that a field or a button is to have.
 * @param {Session} session
 * @param {Actions.Action[]} actions
 * @param {(space: boolean) => void} hold
 */
export function listen(session, actions, hold) {
  const { state } = session;
  const byKey = new Map(actions.flatMap((action) => action.keys.map((key) => [key, action])));

  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.defaultPrevented || event.isComposing || event.metaKey && event.key === "Meta") return;
    if (document.querySelector("dialog[open]") || target.matches("input:not([type=range]), textarea")) return;
    const key = nameOf(event);
    const action = byKey.get(key);
    const elsewhere = state.view !== "label";
    if (["Enter", " "].includes(event.key) && target.matches(OWN)) return;
    if (event.key.startsWith("Arrow") && (elsewhere || target.matches(`${OWN}, input`))) return;
    if (elsewhere && !["What is seen"].includes(action?.group ?? "") && !["undo", "redo"].includes(action?.id ?? "")) return;
    if (event.key === " ") hold(true);
    else if (event.key.startsWith("Arrow")) Actions.arrow(session, event);
    else if (action && !(event.repeat && action.id === "confirm")) action.run();
    else if (!action && /^\d$/.test(key) && !elsewhere) Edits.classify(session, (Number(key) + 9) % 10);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === " ") hold(false);
    if (event.key.startsWith("Arrow")) session.settle();
  });
  window.addEventListener("blur", () => {
    hold(false);
    session.settle();
  });
}

/**
 * A key as the table has it: "z", "Ctrl+z", "Shift+z", "Enter", "?". On keyboards of other scripts, a letter is the one
 * in its place.
 * @param {KeyboardEvent} event
 */
function nameOf({ key, code, ctrlKey, metaKey, shiftKey }) {
  const letter = /^Key[A-Z]$/.test(code) && !/^[ -~]$/.test(key) && key.length === 1 ? code.slice(3) : key;
  const digit = /^Digit\d$/.test(code) && !shiftKey && !ctrlKey && !metaKey ? code.slice(5) : letter;
  const single = digit.length === 1;
  const shift = shiftKey && (!single || /[a-z]/i.test(digit));
  return `${ctrlKey || metaKey ? "Ctrl+" : ""}${shift ? "Shift+" : ""}${single ? digit.toLowerCase() : digit}`;
}

/** A key for reading. */
export function written(key) {
  const names = { Delete: "Del", Backspace: "⌫", Enter: "Enter", Escape: "Esc", PageDown: "Page ↓", PageUp: "Page ↑" };
  return key
    .split(/\+(?=.)/)
    .map((part) => names[part] ?? (part.length === 1 ? part.toUpperCase() : part))
    .join(" + ");
}

/**
 * The panel of all keys.
 * @param {Actions.Action[]} actions
 * @returns {HTMLDialogElement}
 */
export function panel(actions) {
  const groups = [...new Set(actions.map(({ group }) => group))];
  const line = (keys, text) => [html("dt", keys.map((key) => html("kbd", key))), html("dd", text)];
  const close = button("Close", "close-keys", () => dialog.close());
  const dialog = /** @type {HTMLDialogElement} */ (
    html(
      "dialog.label-keys",
      { "aria-labelledby": "keys-title", "data-role": "keys" },
      html("div.label-keys-head", html("h2", { id: "keys-title" }, "Keys"), close),
      html(
        "div.label-keys-groups",
        groups.map((group) =>
          html(
            "section",
            html("h3", group),
            html(
              "dl",
              actions.filter((one) => one.group === group).flatMap(({ keys, text }) => line(keys.map(written), text)),
            ),
          ),
        ),
        html("section", html("h3", "Beside them"), html("dl", Actions.OTHERS.flatMap(([keys, text]) => line([keys], text)))),
      ),
    )
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside the panel
  return dialog;
}
