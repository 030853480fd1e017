"use strict";

/** One row per target of a probe image: which query it had over the epochs, in stretches. */
const Strips = (() => {
  /**
   * @param {object} view a State of {probe, look, layer, target}
   * @param {number[]} looks the epochs that were looked at
   * @returns {{element: HTMLElement, draw: function(Set<string>)}} `draw` is told what changed
   */
  function create(payload, matching, view, looks) {
    const rows = Dom.html("div", { class: "strips", "data-role": "strips" });
    const element = Dom.html(
      "div",
      {},
      Dom.html(
        "p",
        { class: "hint" },
        "Which query had each target, from the first look to the last. A new colour is another query.",
      ),
      rows,
    );

    function draw(changed) {
      if (["probe", "layer"].some((name) => changed.has(name))) rebuild();
      rows.style.setProperty("--at", (view.look + 0.5) / looks.length);
      [...rows.children].forEach((row, t) => row.classList.toggle("current", t === view.target));
    }

    function rebuild() {
      const probe = matching.probes[view.probe];
      rows.replaceChildren(...probe.labels.map((label, t) => row(probe, label, t)));
    }

    function row(probe, label, target) {
      const known = new Map();
      const parts = stretches(looks.map((_, n) => Data.row(probe.origins, n, view.layer)[target]));
      const name = payload.classes[label] ?? `class ${label}`;
      return Dom.html(
        "div",
        { class: "strip" },
        Dom.html(
          "button",
          {
            type: "button",
            class: "line",
            "data-role": `strip-${target}`,
            title: `target ${target}: ${name}`,
            onclick: () => view.set({ target: view.target === target ? null : target }),
          },
          `${target} ${name}`,
        ),
        Dom.html(
          "div",
          { class: "stretches", onclick: (event) => view.set({ look: lookAt(event), target }) },
          ...parts.map(({ origin, length }) => {
            if (!known.has(origin)) known.set(origin, known.size);
            const kind = origin < 0 ? "none" : `of-${known.get(origin) % 6}`;
            const what = origin < 0 ? "no query" : `${matching.slots === "ranked" ? "cell" : "query"} ${origin}`;
            return Dom.html(
              "i",
              {
                class: kind,
                style: { "flex-grow": length },
                title: what,
                "data-length": length,
                "data-origin": origin,
              },
              Dom.html("span", {}, origin < 0 ? "none" : origin),
            );
          }),
        ),
      );
    }

    function lookAt(event) {
      const frame = event.currentTarget.getBoundingClientRect();
      const place = Math.floor(((event.clientX - frame.left) / frame.width) * looks.length);
      return Math.min(looks.length - 1, Math.max(0, place));
    }

    return { element, draw };
  }

  /** Runs of equal values. */
  function stretches(origins) {
    const runs = [];
    for (const origin of origins) {
      const last = runs[runs.length - 1];
      if (last && last.origin === origin) last.length += 1;
      else runs.push({ origin, length: 1 });
    }
    return runs;
  }

  return { create, stretches };
})();
