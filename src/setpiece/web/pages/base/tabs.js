/** The row of tabs above the chapters of a page. */

import { html } from "./dom.js";

/** Tabs as ARIA has them: one in the tab order, arrow keys go to the others. */
export function create(chapters, go) {
  const tab = ({ id, title }) => {
    const names = { id: `tab-${id}`, "aria-controls": `chapter-${id}`, "data-role": `tab-${id}` };
    return html("button", { type: "button", role: "tab", ...names, onclick: () => go(id) }, title);
  };
  const tabs = chapters.map(tab);
  const list = html("div", { role: "tablist", "aria-label": "Chapters" }, ...tabs);
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
  const select = (chapter) =>
    tabs.forEach((tab, i) => {
      const selected = chapters[i] === chapter;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      if (selected) list.scrollLeft = tab.offsetLeft - (list.clientWidth - tab.offsetWidth) / 2;
    });
  return { element: html("nav.chapters", list), select };
}
