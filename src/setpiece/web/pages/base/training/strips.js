/** One row per target of a probe image: which query it had over the epochs, in stretches. */

import * as Data from "../data.js";
import { html, isolated } from "../dom.js";

/**
 * @param {{classes: string[]}} payload
 * @param {Matching} matching
 * @param {object} view a State of {probe, snapshot, layer, target}
 * @param {number[]} epochs the epochs of the snapshots
 * @returns {{element: HTMLElement, draw: function(Set<string>)}} `draw` takes the names of what changed
 */
export function create(payload, matching, view, epochs) {
  const rows = html("div.strips", { "data-role": "strips" });
  const element = html(
    "div",
    html("p.hint", "The query of each target, from the first snapshot to the last. A new colour is another query."),
    rows,
  );

  function draw(changed) {
    if (["probe", "layer"].some((name) => changed.has(name))) rebuild();
    rows.style.setProperty("--at", (view.snapshot + 0.5) / epochs.length);
    [...rows.children].forEach((row, t) => row.classList.toggle("current", t === view.target));
  }

  function rebuild() {
    const probe = matching.probes[view.probe];
    rows.replaceChildren(...probe.labels.map((label, t) => row(probe, label, t)));
  }

  function row(probe, label, target) {
    const known = new Map();
    const parts = stretches(epochs.map((_, n) => Data.row(probe.origins, n, view.layer)[target]));
    const name = payload.classes[label] ?? `class ${label}`;
    return html(
      "div.strip",
      html(
        "button.line",
        {
          type: "button",
          "data-role": `strip-${target}`,
          title: `target ${target}: ${isolated(name)}`,
          onclick: () => view.set({ target: view.target === target ? null : target }),
        },
        `${target} ${isolated(name)}`,
      ),
      html(
        "div.stretches",
        { onclick: (event) => view.set({ snapshot: snapshotAt(event), target }) },
        ...parts.map(({ origin, length }) => {
          if (!known.has(origin)) known.set(origin, known.size);
          const kind = origin < 0 ? "none" : `of-${known.get(origin) % 6}`;
          const what = origin < 0 ? "no query" : `${matching.slots === "top-k" ? "cell" : "query"} ${origin}`;
          return html(
            "i",
            {
              class: kind,
              style: { "flex-grow": length },
              title: what,
              "data-length": length,
              "data-origin": origin,
            },
            html("span", origin < 0 ? "none" : origin),
          );
        }),
      ),
    );
  }

  function snapshotAt(event) {
    const frame = event.currentTarget.getBoundingClientRect();
    const place = Math.floor(((event.clientX - frame.left) / frame.width) * epochs.length);
    return Math.min(epochs.length - 1, Math.max(0, place));
  }

  return { element, draw };
}

/** Runs of equal values. */
export function stretches(origins) {
  const runs = [];
  for (const origin of origins) {
    const last = runs[runs.length - 1];
    if (last && last.origin === origin) last.length += 1;
    else runs.push({ origin, length: 1 });
  }
  return runs;
}
