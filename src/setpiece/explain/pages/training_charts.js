"use strict";

/** Charts of the Training chapter, drawn by Plotly in the colours of the page; their numbers stand below as a table. */
const Charts = (() => {
  const COLOURS = ["prediction", "target", "giou", "class", "l1", "no-object", "ink"];
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid"];
  const HEIGHT = 280;
  const MOST_ROWS = 24;

  /**
   * A panel with one line per series over a common x axis.
   * @param {object} options
   * @param {string} options.title
   * @param {string} options.role what tests find it by
   * @param {{title: string, values: number[]}} options.x
   * @param {{title: string, percent: boolean}} options.y
   * @param {{name: string, values: (number|null)[]}[]} options.series a value is null or NaN where there is none
   * @param {string} options.hint what to read from it
   * @returns {{element: HTMLElement, set: function(object[]): void}} `set` replaces the series
   */
  function lines({ title, role, x, y, series, hint }) {
    const plot = Dom.html("div", { class: "chart", "data-role": role, role: "img", "aria-label": title });
    const region = { role: "region", "aria-label": `${title}: the numbers` };
    const numbers = Dom.html("div", { class: "scroll", tabindex: 0, ...region });
    const details = Dom.html(
      "details",
      { ontoggle: () => fillTable() },
      Dom.html("summary", {}, "The numbers"),
      numbers,
    );
    const element = Dom.html(
      "div",
      { class: "panel" },
      Dom.html("h3", {}, title),
      plot,
      Dom.html("p", { class: "hint" }, hint),
      details,
    );
    let shown = series;
    const draw = () => drawLines(plot, x, y, shown);
    const fillTable = () => details.open && numbers.replaceChildren(table(x, y, shown));
    whenVisible(plot, draw);
    return {
      element,
      set: (now) => {
        shown = now;
        draw();
        fillTable();
      },
    };
  }

  function drawLines(plot, x, y, series) {
    const colour = palette();
    const traces = series.map(({ name, values }, i) => ({
      name,
      x: x.values,
      y: values.map((value) => (Number.isFinite(value) ? value : null)),
      mode: x.values.length > 40 ? "lines" : "lines+markers",
      line: { color: colour(COLOURS[i % COLOURS.length]), dash: DASHES[i % DASHES.length], width: 2.5 },
      marker: { size: 6, symbol: i % 8 },
      connectgaps: true,
      hovertemplate: `${name}: %{y${y.percent ? ":.1%" : ":.4f"}}<extra></extra>`,
    }));
    const layout = frame(colour);
    Object.assign(layout.xaxis, { title: { text: x.title } });
    Object.assign(layout.yaxis, { title: { text: y.title }, tickformat: y.percent ? ".0%" : "", rangemode: "tozero" });
    layout.showlegend = series.length > 1;
    react(plot, traces, layout);
  }

  /** What all charts share: no ground of their own, the page's ink, room for what has to be said. */
  function frame(colour) {
    const line = colour("line");
    const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
    return {
      height: HEIGHT,
      margin: { l: 8, r: 8, t: 8, b: 8 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("ink"), family: getComputedStyle(document.body).fontFamily, size: 12 },
      xaxis: { ...axis },
      yaxis: { ...axis },
      hovermode: "x unified",
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("ink") } },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } },
    };
  }

  /** Draw once the element has a size, and again where the page changes between light and dark. */
  function whenVisible(element, draw) {
    const observer = new ResizeObserver(() => {
      if (!element.clientWidth) return;
      observer.disconnect();
      draw();
      window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    });
    observer.observe(element);
  }

  function react(plot, traces, layout) {
    Plotly.react(plot, traces, layout, { responsive: true, displayModeBar: false });
  }

  /** The value of a colour of the page, as it is now. */
  function palette() {
    const style = getComputedStyle(document.documentElement);
    return (name) => style.getPropertyValue(`--${name}`).trim();
  }

  /** Every row, or evenly chosen ones with the first and the last. */
  function table(x, y, series) {
    const count = x.values.length;
    const step = Math.max(1, Math.ceil(count / MOST_ROWS));
    const rows = x.values.map((_, i) => i).filter((i) => i % step === 0 || i === count - 1);
    const cell = (value) => {
      if (!Number.isFinite(value)) return "–";
      return y.percent ? `${Dom.format(100 * value, 1)} %` : Dom.format(value, 3);
    };
    return Dom.html(
      "table",
      { class: "facts" },
      Dom.html(
        "thead",
        {},
        Dom.html("tr", {}, Dom.html("th", {}, x.title), ...series.map(({ name }) => Dom.html("th", {}, name))),
      ),
      Dom.html(
        "tbody",
        {},
        ...rows.map((i) =>
          Dom.html(
            "tr",
            {},
            Dom.html("td", {}, x.values[i]),
            ...series.map(({ values }) => Dom.html("td", { "data-value": values[i] ?? "" }, cell(values[i]))),
          ),
        ),
      ),
    );
  }

  return { lines, frame, palette, react, whenVisible };
})();
