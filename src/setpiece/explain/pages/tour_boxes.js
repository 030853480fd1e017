"use strict";

/** Chapter 6: L1 against GIoU. */
const TourBoxes = (() => {
  const { html, svg, number, format } = Dom;

  const SCALE = `
    <h3>The same mistake, larger and smaller</h3>
    <p>L1 measures boxes in parts of the picture. So the same mistake, relative to the object, costs more on a large
    object than on a small one: the model would rather repair the large boxes. GIoU is made of ratios of areas and does
    not see the size. Move the slider: L1 grows with the object, GIoU stays.</p>`;

  const APART = `
    <h3>Boxes that do not meet</h3>
    <p class="tour-formula">IoU = <i>I</i> / <i>U</i>, &emsp; GIoU = <i>I</i> / <i>U</i> − (<i>H</i> − <i>U</i>) /
    <i>H</i></p>
    <p><i>I</i> is the area that both boxes share, <i>U</i> the area that they cover together, and <i>H</i> the area of
    their hull, the smallest box around both.</p>
    <p>Once two boxes do not overlap, IoU is 0, however far apart they are. It says nothing, and it has no gradient.
    GIoU takes away the empty part of the hull: it falls below 0 and keeps falling, so it still tells nearer from
    farther (Rezatofighi et al., 2019).</p>
    <p>Each term alone is weak. L1 alone favours large objects; GIoU alone is slow far away, where it flattens. The loss
    uses both.</p>`;

  const PLAY = `
    <h3>Try it</h3>
    <p>Drag and resize the boxes. The presets show pairs with the same relative mistake.</p>`;

  function mount(element, { payload, marks, examples }) {
    const view = html("div", { class: "tour-view", "data-view": "playground" });
    element.append(
      TourParts.section(TourParts.prose(SCALE), scale(examples.boxes.pair)),
      TourParts.section(TourParts.prose(APART), apart()),
      html("div", { class: "tour-text" }, TourParts.prose(PLAY)),
      view,
      TourParts.questions(
        negative(examples.boxes.near, marks),
        overlapping(examples.boxes.close, marks),
        enlarged(examples.boxes.pair, marks),
      ),
    );
    Playground.mount(view, payload, TourScenes.state(payload, 0));
  }

  const VIEW = { width: 360, height: 220 };
  // One unit of the boxes is the width of the drawing in both directions, so that shapes keep their ratio.
  const frame = (box) => {
    const [left, top] = Boxes.corners(box);
    const [x, y, width, height] = [left, top, box[2], box[3]].map((value) => value * VIEW.width);
    return { x, y, width, height };
  };
  const draw = (box, kind) => svg("rect", { class: `tour-box ${kind}`, ...frame(box) });
  const canvas = (role, label) =>
    svg("svg", {
      class: "tour-canvas",
      viewBox: `0 0 ${VIEW.width} ${VIEW.height}`,
      "data-role": role,
      role: "img",
      "aria-label": label,
    });

  /** Both boxes enlarged by a factor; their common centre stays in the middle of the drawing. */
  function enlarge([target, prediction], factor) {
    const middle = [0.5, VIEW.height / VIEW.width / 2];
    return [target, prediction].map(([x, y, w, h]) => [
      middle[0] + (x - target[0]) * factor,
      middle[1] + (y - target[1]) * factor,
      w * factor,
      h * factor,
    ]);
  }

  function scale(pair) {
    const drawing = canvas("scale-drawing", "A target and a prediction");
    const told = TourParts.status("scale-status");
    const show = (factor) => {
      const [target, prediction] = enlarge(pair, factor);
      drawing.replaceChildren(
        draw(Boxes.hull(target, prediction), "hull"),
        draw(target, "target"),
        draw(prediction, "prediction"),
      );
      told.replaceChildren(
        "L1 ",
        number(Boxes.l1(target, prediction), "scale-l1"),
        ", GIoU ",
        number(Boxes.overlaps(target, prediction).giou, "scale-giou"),
      );
    };
    const slider = Controls.slider({
      label: "Size",
      role: "scale",
      min: 0.5,
      max: 3.5,
      step: 0.1,
      value: 1,
      write: (value) => `× ${value.toFixed(1)}`,
      oninput: show,
    });
    show(1);
    return TourParts.figure("scale", "Solid: target. Dashed: prediction. Thin: hull.", drawing, slider.element, told);
  }

  const SIZE = 0.2; // of two equal squares
  const pairAt = (shift) => [
    [0.2, 0.2, SIZE, SIZE],
    [0.2 + shift, 0.2, SIZE, SIZE],
  ];

  /** L1, IoU and GIoU of two equal squares while one moves to the side. */
  function apart() {
    const [left, right, top, bottom] = [34, 350, 14, 150];
    const x = (shift) => left + ((right - left) * shift) / 0.6;
    const y = (value) => bottom - ((bottom - top) * (value + 1)) / 2;
    const curves = [
      ["l1", "L1", ([a, b]) => Boxes.l1(a, b), "9 4"],
      ["giou", "GIoU", ([a, b]) => Boxes.overlaps(a, b).giou, null],
      ["iou", "IoU", ([a, b]) => Boxes.overlaps(a, b).iou, "2 4"],
    ];
    const points = Array.from({ length: 121 }, (_, i) => i / 200);
    const lines = curves.map(([key, , value, dash]) =>
      svg("polyline", {
        class: `tour-curve of-${key}`,
        "stroke-dasharray": dash,
        points: points.map((s) => `${x(s)},${y(value(pairAt(s)))}`).join(" "),
      }),
    );
    const axes = [-1, 0, 1].map((value) =>
      svg(
        "g",
        { class: "tour-axis" },
        svg("line", { x1: left, x2: right, y1: y(value), y2: y(value) }),
        svg("text", { x: left - 6, y: y(value), dy: "0.35em", "text-anchor": "end" }, format(value, 0)),
      ),
    );
    const cursor = svg("line", { class: "tour-cursor", y1: top, y2: bottom });
    const dots = curves.map(([key]) => svg("circle", { class: `tour-dot of-${key}`, r: 4 }));
    const chart = svg(
      "svg",
      { class: "tour-canvas", viewBox: "0 0 360 160", role: "img", "aria-label": "L1, IoU and GIoU against the shift" },
      axes,
      lines,
      cursor,
      dots,
    );
    const boxes = svg("svg", {
      class: "tour-canvas",
      viewBox: "0 0 360 120",
      role: "img",
      "aria-label": "The two squares",
    });
    const told = TourParts.status("apart-status");
    const show = (shift) => {
      const pair = pairAt(shift);
      boxes.replaceChildren(draw(Boxes.hull(...pair), "hull"), draw(pair[0], "target"), draw(pair[1], "prediction"));
      cursor.setAttribute("x1", x(shift));
      cursor.setAttribute("x2", x(shift));
      dots.forEach((dot, i) => {
        dot.setAttribute("cx", x(shift));
        dot.setAttribute("cy", y(curves[i][2](pair)));
      });
      told.replaceChildren(
        ...curves.flatMap(([key, name, value], i) => [
          html("span", { class: `tour-key of-${key}` }, `${i ? " " : ""}${name} `, number(value(pair), `apart-${key}`)),
        ]),
      );
    };
    const slider = Controls.slider({
      label: "Shift",
      role: "apart",
      min: 0,
      max: 0.6,
      step: 0.01,
      value: 0.1,
      write: (value) => value.toFixed(2),
      oninput: show,
    });
    show(0.1);
    const caption = "GIoU: full line. IoU: dots. L1: dashes. The squares part at a shift of 0.20.";
    return TourParts.figure("apart", caption, boxes, slider.element, chart, told);
  }

  const wording = ({ iou, giou, union, hull }) =>
    `IoU = ${format(iou)}, and ${format((100 * (hull - union)) / hull, 0)} % of the hull is empty: GIoU = ${format(iou)}
      − ${format((hull - union) / hull)} = ${format(giou)}.`;

  function negative(pair, marks) {
    return TourQuiz.question(marks, {
      id: "negative",
      ask: `<p><b>Place the boxes so that GIoU &lt; 0.</b> Drag them, or go to one with Tab and use the arrow keys;
        Shift and an arrow key resize it.</p>`,
      control: TourPlacer.control(pair),
      solution: () => [
        [0.2, 0.25, 0.25, 0.3],
        [0.8, 0.75, 0.25, 0.3],
      ],
      judge: ([target, prediction]) => {
        const measured = Boxes.overlaps(target, prediction);
        const right = measured.giou < 0;
        const hint = right ? "" : " Move the boxes apart: the emptier the hull, the smaller GIoU.";
        return { right, why: wording(measured) + hint };
      },
    });
  }

  function overlapping(pair, marks) {
    return TourQuiz.question(marks, {
      id: "overlapping",
      ask: "<p><b>Now let the two boxes overlap, and still GIoU &lt; 0.</b></p>",
      control: TourPlacer.control(pair),
      solution: () => [
        [0.35, 0.35, 0.3, 0.3],
        [0.63, 0.63, 0.3, 0.3],
      ],
      judge: ([target, prediction]) => {
        const measured = Boxes.overlaps(target, prediction);
        if (measured.intersection <= 0) return { right: false, why: `They do not overlap. ${wording(measured)}` };
        const right = measured.giou < 0;
        const told = right
          ? "Two boxes that meet at a corner leave half of their hull empty."
          : "Make the overlap small and the hull empty: think of two boxes that meet at a corner.";
        return { right, why: `${wording(measured)} ${told}` };
      },
    });
  }

  function enlarged(pair, marks) {
    const before = { l1: Boxes.l1(...pair), giou: Boxes.overlaps(...pair).giou };
    const larger = enlarge(pair, 3);
    const after = { l1: Boxes.l1(...larger), giou: Boxes.overlaps(...larger).giou };
    const same = (a, b) => Math.abs(a - b) < 1e-6;
    const truth = ["l1", "giou"].map((term) => (same(after[term], before[term]) ? "same" : "triple")).join("-");
    return TourQuiz.question(marks, {
      id: "enlarged",
      ask: `<p>An object and its prediction are both drawn three times as large, with the distance between them.</p>
        <p><b>What becomes of L1 and GIoU?</b></p>`,
      control: TourQuiz.choice("enlarged", [
        { value: "same-same", text: "both stay" },
        { value: "triple-same", text: "L1 triples, GIoU stays" },
        { value: "same-triple", text: "L1 stays, GIoU triples" },
        { value: "triple-triple", text: "both triple" },
      ]),
      solution: () => truth,
      judge: (answer) => ({
        right: answer === truth,
        why: `Computed for the pair of the first figure: L1 goes from ${format(before.l1)} to ${format(after.l1)}, GIoU
          from ${format(before.giou)} to ${format(after.giou)}. Every length triples, and every area becomes nine times
          as large, so that ratios of areas stay.`,
      }),
    });
  }

  return { id: "boxes", title: "L1 against GIoU", questions: ["negative", "overlapping", "enlarged"], mount };
})();
