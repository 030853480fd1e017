/**
 * Questions that the page judges by computing. What was answered is kept in memory only.
 *
 * A control is `{element, value, show, onchange}`: `value()` is the answer, null while there is none; `show(answer)`
 * puts one in; `onchange` is set by the question and called when the reader changes the answer.
 */

import { button, html, prose } from "../base/dom.js";
import * as State from "../base/state.js";

export const SIGNS = { right: "✓", wrong: "✗", shown: "●", open: "○" };
export const WORDS = { right: "right", wrong: "not right yet", shown: "answer shown", open: "not answered" };

/** The mark of every question by its id: "open", "right", "wrong" or "shown". */
export function progress(ids) {
  return State.create({ marks: Object.fromEntries(ids.map((id) => [id, "open"])) });
}

/**
 * Draw a question.
 * @param {object} marks of `progress`
 * @param {object} question
 * @param {string} question.id
 * @param {string} question.ask our own markup, and so are `why` and `hint`
 * @param {object} question.control
 * @param {function} question.judge answer -> {right: boolean, why: string, hint?: string}: `why` explains the
 *   verdict; where it would give the right answer away, `hint` stands for it after a wrong one
 * @param {function} question.solution () -> an answer that is right
 */
export function question(marks, { id, ask, control, judge, solution }) {
  const verdict = html("div.tour-verdict", { "data-role": "verdict", role: "status" });
  const check = button("Check", "check", judgeAnswer, { class: "primary" });
  const reveal = button("Show the answer", "reveal", showAnswer, { hidden: true });

  const put = (mark, why) => {
    verdict.dataset.verdict = mark;
    const words = { right: "Right.", wrong: "Not quite.", shown: "The answer.", open: "" }[mark];
    verdict.replaceChildren(html("strong", `${SIGNS[mark]} ${words} `), prose(why));
  };
  const remember = (mark) => {
    const settled = ["right", "shown"].includes(marks.marks[id]);
    if (!settled) marks.set({ marks: { ...marks.marks, [id]: mark } });
  };
  function judgeAnswer() {
    const answer = control.value();
    if (answer === null) return put("open", "Choose an answer first.");
    const { right, why, hint } = judge(answer);
    put(right ? "right" : "wrong", right ? why : (hint ?? why));
    remember(right ? "right" : "wrong");
    reveal.hidden = right;
  }
  function showAnswer() {
    control.show(solution());
    put("shown", judge(control.value()).why);
    remember("shown");
    reveal.hidden = true;
    check.focus();
  }
  control.onchange = () => {
    delete verdict.dataset.verdict;
    verdict.replaceChildren();
  };
  return html(
    "section.panel.tour-question",
    { "data-question": id, "aria-label": "Question", tabindex: -1 },
    html("div.tour-ask", prose(ask)),
    control.element,
    html("div.controls", check, reveal),
    verdict,
  );
}

/** One of several answers. @param {{value: *, text: string}[]} options `text` is our own markup */
export function choice(name, options) {
  const control = /** @type {Control} */ ({});
  const inputs = options.map((_, i) =>
    html("input", { type: "radio", name: `choice-${name}`, value: i, onchange: () => control.onchange() }),
  );
  control.element = html(
    "div.tour-choice",
    { role: "radiogroup" },
    options.map(({ text }, i) => html("label", inputs[i], html("span", prose(text)))),
  );
  control.value = () => {
    const chosen = inputs.findIndex((input) => input.checked);
    return chosen < 0 ? null : options[chosen].value;
  };
  control.show = (value) => (inputs[options.findIndex((option) => option.value === value)].checked = true);
  return control;
}

/** A number typed in; a comma is read as a point. */
export function numberInput(label) {
  const control = /** @type {Control} */ ({});
  const input = html("input", { type: "text", inputmode: "decimal", size: 8, oninput: () => control.onchange() });
  control.element = html("label.tour-number", html("span", prose(label)), input);
  control.value = () => {
    const text = input.value.trim().replace(",", ".").replace("−", "-");
    return text === "" || Number.isNaN(Number(text)) ? null : Number(text);
  };
  control.show = (value) => (input.value = String(Number(value.toFixed(4))));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") input.closest(".tour-question").querySelector("[data-role=check]").click();
  });
  return control;
}
