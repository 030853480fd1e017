/** AP on the held-out photos over the number of labelled ones, with its interval, and what some more would bring. */

import { format, html, svg, table } from "../base/dom.js";

const [WIDTH, HEIGHT] = [560, 240];
const ROOM = { left: 52, right: 24, top: 14, bottom: 54 }; // for the letters of a small screen: see label.css

/**
 * @param {LabelRound[]} rounds
 * @param {LabelProgress["forecast"]} forecast
 */
export function create(rounds, forecast) {
  const last = rounds[rounds.length - 1];
  const most = last.labelled + (forecast?.images ?? 0);
  const ahead = forecast && { x: most, low: last.ap + forecast.low, high: last.ap + forecast.high };
  const least = Math.min(rounds[0].labelled, most - 1);
  const top = Math.min(1, Math.ceil(10 * Math.max(0.1, ahead?.high ?? 0, ...rounds.map(({ high }) => high))) / 10);
  const x = (labelled) => ROOM.left + ((labelled - least) / (most - least)) * (WIDTH - ROOM.left - ROOM.right);
  const y = (ap) => HEIGHT - ROOM.bottom - (Math.min(ap, top) / top) * (HEIGHT - ROOM.top - ROOM.bottom);
  const path = (points) => `M${points.map(([u, v]) => `${x(u)} ${y(v)}`).join("L")}`;
  const band = [...rounds.map(({ labelled, high }) => [labelled, high]), ...[...rounds].reverse().map(({ labelled, low }) => [labelled, low])];
  const drawing = svg(
    "svg.label-curve",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "data-role": "curve", "aria-label": inWords(rounds, forecast) },
    [0, top / 2, top].map((ap) => [
      svg("line.grid", { x1: ROOM.left, x2: WIDTH - ROOM.right, y1: y(ap), y2: y(ap) }),
      svg("text", { x: ROOM.left - 6, y: y(ap) + 4, "text-anchor": "end" }, format(ap, 2)),
    ]).flat(),
    [...new Set([rounds[0].labelled, last.labelled, most])].map((labelled) =>
      svg("text", { x: x(labelled), y: HEIGHT - 28, "text-anchor": "middle" }, labelled),
    ),
    svg("text", { x: WIDTH - ROOM.right, y: HEIGHT - 6, "text-anchor": "end" }, "labelled photos"),
    svg("path.band", { d: `${path(band)}z` }),
    svg("path.line", { d: path(rounds.map(({ labelled, ap }) => [labelled, ap])) }),
    rounds.map(({ labelled, ap }) => svg("circle", { cx: x(labelled), cy: y(ap), r: 4 })),
    ahead && [
      svg("path.ahead", { d: path([[last.labelled, last.ap], [ahead.x, (ahead.low + ahead.high) / 2]]) }),
      svg("line.range", { x1: x(ahead.x) - 4, x2: x(ahead.x) - 4, y1: y(ahead.low), y2: y(ahead.high) }),
    ],
  );
  const rows = rounds.map(({ round, labelled, boxes, ap, low, high }) =>
    html("tr", [round, labelled, boxes, format(ap), `${format(low)} to ${format(high)}`].map((value) => html("td", value))),
  );
  const numbers = table(["Round", "Labelled", "Boxes", "AP", "Interval"], html("tbody", rows), "AP of each round", "curve-table");
  return html("figure", drawing, html("details", html("summary", "As a table"), numbers));
}

/** As the curve is said to those who do not see it. */
function inWords(rounds, forecast) {
  const { ap, low, high, labelled } = rounds[rounds.length - 1];
  return `AP ${format(ap, 2)}, from ${format(low, 2)} to ${format(high, 2)}, with ${labelled} labelled photos. ${forecastInWords(forecast)}`;
}

/** What more photos would bring. */
export function forecastInWords(forecast) {
  if (!forecast) return "What more photos would bring can be said after a few rounds.";
  const { images, low, high } = forecast;
  return `${images} more photos would change AP by ${signed(low)} to ${signed(high)}.`;
}

const signed = (value) => `${value < 0 ? "" : "+"}${format(value, 2)}`;
