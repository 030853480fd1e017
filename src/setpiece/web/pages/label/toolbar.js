/** Buttons for the actions that are used most, for the mouse and for fingers. */

import { html } from "../base/dom.js";
import * as Keys from "./keys.js";

/**
 * A button of an action, with its key.
 * @param {import("./actions.js").Action[]} actions
 */
export function tool(actions, id, look = "") {
  const { short, text, keys, run } = /** @type {import("./actions.js").Action} */ (actions.find((one) => one.id === id));
  const key = Keys.written(keys[0]);
  return html(
    "button",
    {
      type: "button",
      class: look,
      title: `${text} (${key})`,
      "aria-keyshortcuts": keys[0].replace("Ctrl", "Control"),
      "data-role": `tool-${id}`,
      onclick: run,
    },
    html("span", short),
    html("kbd", key),
  );
}

/** A row of them. */
export function create(actions, ids, label) {
  return html("div.label-tools", { role: "toolbar", "aria-label": label }, ids.map((id) => tool(actions, id)));
}

/**
 * Say in the titles of undo and redo what they would do.
 * @param {HTMLElement} tools
 * @param {LabelState} state
 */
export function nameSteps(tools, state) {
  for (const way of ["undo", "redo"]) {
    const button = /** @type {HTMLElement} */ (tools.querySelector(`[data-role="tool-${way}"]`));
    const { title } = button;
    state.on((changed) => {
      if (changed.has("server")) button.title = state.server?.[way] ? `${title}: ${state.server[way]}` : title;
    });
  }
}
