"use strict";

/** Plotly takes most of a second to start. It lies in the page as text, and is started when it is first named. */
Object.defineProperty(globalThis, "Plotly", {
  configurable: true,
  get() {
    const source = document.getElementById("plotly");
    if (!source) return undefined;
    delete globalThis.Plotly;
    const script = document.createElement("script");
    script.textContent = source.textContent;
    document.head.append(script);
    return globalThis.Plotly;
  },
});
