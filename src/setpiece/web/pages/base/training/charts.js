/** Charts of the Training chapter, drawn by Plotly in the colours of the page; their numbers stand below as a table. */

import { format, html } from "../dom.js";
import { plotly } from "./plotly.js";

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
export function lines({ title, role, x, y, series, hint }) {
  const plot = html("div.chart", { "data-role": role, role: "img", "aria-label": title });
  const region = { role: "region", "aria-label": `${title}: the numbers` };
  const numbers = html("div.scroll", { tabindex: 0, ...region });
  const details = html("details", { ontoggle: () => fillTable() }, html("summary", "The numbers"), numbers);
  const element = html("div.panel", html("h3", title), plot, html("p.hint", hint), details);
  let shown = series;
  const draw = () => drawLines(plot, x, y, shown);
  const fillTable = () => details.open && numbers.replaceChildren(numbersTable(x, y, shown));
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
export function frame(colour) {
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
export function whenVisible(element, draw) {
  const observer = new ResizeObserver(() => {
    if (!element.clientWidth) return;
    observer.disconnect();
    draw();
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  });
  observer.observe(element);
}

export function react(plot, traces, layout) {
  plotly().react(plot, traces, layout, { responsive: true, displayModeBar: false });
}

/** The value of a colour of the page, as it is now. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}

/** Every row, or evenly chosen ones with the first and the last. */
function numbersTable(x, y, series) {
  const count = x.values.length;
  const step = Math.max(1, Math.ceil(count / MOST_ROWS));
  const rows = x.values.map((_, i) => i).filter((i) => i % step === 0 || i === count - 1);
  const cell = (value) => {
    if (!Number.isFinite(value)) return "–";
    return y.percent ? `${format(100 * value, 1)} %` : format(value, 3);
  };
  return html(
    "table.facts",
    html("thead", html("tr", html("th", x.title), ...series.map(({ name }) => html("th", name)))),
    html(
      "tbody",
      ...rows.map((i) =>
        html(
          "tr",
          html("td", x.values[i]),
          ...series.map(({ values }) => html("td", { "data-value": values[i] ?? "" }, cell(values[i]))),
        ),
      ),
    ),
  );
}
