"use strict";

/**
 * Questions that the page judges by computing. What was answered is kept in memory only.
 *
 * A control is `{element, value, show, onchange}`: `value()` is the answer, null while there is none; `show(answer)`
 * puts one in; `onchange` is set by the question and called when the reader changes the answer.
 */
const TourQuiz = (() => {
  const { html } = Dom;
  const SIGNS = { right: "✓", wrong: "✗", shown: "●", open: "○" };
  const WORDS = { right: "right", wrong: "not right yet", shown: "answer shown", open: "not answered" };

  /** The mark of every question by its id: "open", "right", "wrong" or "shown". */
  function progress(ids) {
    return State.create({ marks: Object.fromEntries(ids.map((id) => [id, "open"])) });
  }

  /**
   * Draw a question.
   * @param {object} marks of `progress`
   * @param {{id: string, ask: string, control: object, judge: (answer) => {right: boolean, why: string},
   *   solution: () => *}} question `ask` and `why` are our own markup; `why` explains the verdict on this very answer
   */
  function question(marks, { id, ask, control, judge, solution }) {
    const verdict = html("div", { class: "tour-verdict", "data-role": "verdict", role: "status" });
    const check = html("button", { type: "button", class: "primary", "data-role": "check" }, "Check");
    const reveal = html("button", { type: "button", "data-role": "reveal" }, "Show the answer");
    reveal.hidden = true;

    const put = (mark, why) => {
      verdict.dataset.verdict = mark;
      const words = { right: "Right.", wrong: "Not quite.", shown: "The answer.", open: "" }[mark];
      verdict.replaceChildren(html("strong", {}, `${SIGNS[mark]} ${words} `), TourParts.prose(why));
    };
    const remember = (mark) => {
      if (marks.marks[id] !== "right") marks.set({ marks: { ...marks.marks, [id]: mark } });
    };
    check.addEventListener("click", () => {
      const answer = control.value();
      if (answer === null) return put("open", "Choose an answer first.");
      const { right, why } = judge(answer);
      put(right ? "right" : "wrong", why);
      remember(right ? "right" : "wrong");
      reveal.hidden = right;
    });
    reveal.addEventListener("click", () => {
      control.show(solution());
      put("shown", judge(control.value()).why);
      remember("shown");
      reveal.hidden = true;
      check.focus();
    });
    control.onchange = () => {
      delete verdict.dataset.verdict;
      verdict.replaceChildren();
    };
    return html(
      "section",
      { class: "panel tour-question", "data-question": id, "aria-label": "Question", tabindex: -1 },
      html("div", { class: "tour-ask" }, TourParts.prose(ask)),
      control.element,
      html("div", { class: "controls" }, check, reveal),
      verdict,
    );
  }

  /** One of several answers. @param {{value: *, text: string}[]} options `text` is our own markup */
  function choice(name, options) {
    const control = { onchange: null };
    const inputs = options.map((_, i) =>
      html("input", { type: "radio", name: `choice-${name}`, value: i, onchange: () => control.onchange() }),
    );
    control.element = html(
      "div",
      { class: "tour-choice", role: "radiogroup" },
      options.map(({ text }, i) => html("label", {}, inputs[i], html("span", {}, TourParts.prose(text)))),
    );
    control.value = () => {
      const chosen = inputs.findIndex((input) => input.checked);
      return chosen < 0 ? null : options[chosen].value;
    };
    control.show = (value) => (inputs[options.findIndex((option) => option.value === value)].checked = true);
    return control;
  }

  /** A number typed in; a comma is read as a point. */
  function number(label) {
    const control = { onchange: null };
    const input = html("input", { type: "text", inputmode: "decimal", size: 8, oninput: () => control.onchange() });
    control.element = html("label", { class: "tour-number" }, html("span", {}, TourParts.prose(label)), input);
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

  return { SIGNS, WORDS, progress, question, choice, number };
})();
