/** Labelling photos beside a detector that learns from the labels. */

import * as Data from "../base/data.js";
import { html } from "../base/dom.js";
import * as Tabs from "../base/tabs.js";
import * as Actions from "./actions.js";
import * as Boxes from "./boxes.js";
import * as Classes from "./classes.js";
import * as Gestures from "./gestures.js";
import * as Keys from "./keys.js";
import * as Notices from "./notices.js";
import * as Progress from "./progress.js";
import * as SecondLook from "./second_look.js";
import * as Session from "./session.js";
import * as Stage from "./stage.js";
import * as Status from "./status.js";
import * as Strip from "./strip.js";
import * as Toolbar from "./toolbar.js";

const EVERY = 1000; // milliseconds between two questions
const VIEWS = [
  { id: "label", title: "Label" },
  { id: "second-look", title: "Second look" },
  { id: "progress", title: "Progress" },
];
const TOOLS = ["undo", "redo", "box", "duplicate", "delete", "copy", "whole", "further", "closer"];

/** Build the page, and keep asking. */
function start() {
  const { title } = Data.labelling();
  const session = Session.create();
  const { state, refresh } = session;
  const stage = Stage.create(session);
  const gestures = Gestures.create(session, stage);
  const focus = () => stage.element.focus({ preventScroll: true });
  const classes = Classes.create(session, focus);
  const page = {
    help: () => keys.showModal(),
    find: classes.find,
    show: (view) => state.set({ view }),
  };
  const actions = Actions.all(session, stage, gestures, page);
  const keys = Keys.panel(actions);
  const notices = Notices.create(session);
  const tabs = Tabs.create(VIEWS, page.show);
  const tool = (id, look) => Toolbar.tool(actions, id, look);
  const tools = Toolbar.create(actions, TOOLS, "Boxes and view");
  Toolbar.nameSteps(tools, state);

  const go = html("div.label-go", tool("previous"), tool("nothing"), tool("confirm", "primary"), tool("next"), tool("unlabelled"));
  const labelling = html(
    "div.label-work",
    html(
      "div.label-main",
      tools,
      stage.element,
      go,
    ),
    html("div.label-side", classes.element, Boxes.create(session)),
    Strip.create(session),
  );
  const views = { label: labelling, "second-look": SecondLook.create(session), progress: Progress.create(session) };
  const panels = VIEWS.map(({ id }) =>
    html("section.label-view", { id: `chapter-${id}`, role: "tabpanel", "aria-labelledby": `tab-${id}` }, views[id]),
  );
  const show = () => {
    VIEWS.forEach((view, i) => {
      panels[i].hidden = view.id !== state.view;
      if (view.id === state.view) tabs.select(view);
      if (view.id === state.view && view.id !== "label") panels[i].prepend(notices.line); // it is seen in each view
    });
    if (state.view === "label") go.before(notices.line);
  };
  const main = /** @type {HTMLElement} */ (document.getElementById("page"));
  main.before(
    html("header.label-header", html("h1", title), tabs.element, Status.create(session), notices.saved, tool("help")),
    notices.above,
  );
  main.append(...panels);
  document.body.append(keys);
  show();
  state.on((changed) => changed.has("view") && show());

  // A button that was clicked gives the focus back, so that Enter does not mean it again.
  main.addEventListener("click", (event) => {
    const clicked = /** @type {Element} */ (event.target).closest(".label-main button, .label-side button, .label-thumbnail");
    const field = document.activeElement?.matches("input, select");
    if (event.detail && clicked && !field && state.view === "label") focus();
  });
  Keys.listen(session, actions, gestures.hold);
  const ask = () => refresh().then(() => setTimeout(ask, EVERY));
  ask();
  focus();
}

start();
