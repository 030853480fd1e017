/** Mouse, pen and fingers on the stage: drawing, moving, pulling, choosing, zooming and panning. */

import * as Edits from "./edits.js";
import * as Rectangles from "./rectangles.js";
import * as Targets from "./targets.js";
import * as Viewport from "./viewport.js";

const STILL = 4; // CSS pixels that a pointer may move in a click
const WHEEL = 0.0016; // of zoom per unit of a wheel

/** @import { Session } from "./session.js" */
/** @import { Stage } from "./stage.js" */
/** @typedef {{start: number[], moved: boolean, drag: (point: number[]) => void, drop: () => void, click: () => void}} Gesture */

/**
 * @param {Session} session
 * @param {Stage} stage
 * @returns {{cancel: () => boolean, hold: (space: boolean) => void, pointed: () => LabelAt | null}}
 */
export function create(session, stage) {
  const { state } = session;
  const { element } = stage;
  const nothing = () => {};
  /** @type {Map<number, number[]>} */
  const fingers = new Map();
  /** @type {Gesture | null} */
  let gesture = null;
  /** @type {number[] | null} */
  let corner = null; // of a box that is drawn by two clicks
  /** @type {LabelAt | null} */
  let pointed = null;
  let space = false;

  const place = (event) => {
    const frame = element.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  };
  const toPhoto = (point) => Viewport.toPhoto(stage.view(), point);
  const away = (from, to) => Math.hypot(to[0] - from[0], to[1] - from[1]) > STILL;

  /** Stop what was begun; false where nothing was. */
  function cancel() {
    const busy = gesture !== null || corner !== null;
    gesture = corner = null;
    stage.rub(state.nameless);
    if (busy && state.at && state.doc) stage.reshape(state.at, state.doc[state.at.of][state.at.index].box);
    return busy;
  }

  function panning(start) {
    let last = start;
    const drag = (point) => {
      stage.pan(point[0] - last[0], point[1] - last[1]);
      last = point;
    };
    return { start, moved: true, drag, drop: nothing, click: nothing };
  }

  function drawing(start, from, click) {
    let box = Rectangles.between(from, from);
    const drag = (point) => {
      box = Rectangles.between(from, toPhoto(point));
      stage.rub(box);
    };
    const drop = () => {
      corner = null;
      stage.rub(null);
      Edits.draw(session, box);
    };
    return { start, moved: false, drag, drop, click };
  }

  /**
   * @param {number[]} start
   * @param {import("./targets.js").Target} target
   */
  function changing(start, { at, sides }, click) {
    const from = toPhoto(start);
    const before = /** @type {LabelDocument} */ (state.doc)[at.of][at.index].box;
    let box = before;
    const drag = (point) => {
      const [x, y] = toPhoto(point);
      const [dx, dy] = [x - from[0], y - from[1]];
      box = sides.length ? Rectangles.pulled(before, stage.size(), sides, dx, dy) : Rectangles.moved(before, stage.size(), dx, dy);
      stage.reshape(at, box);
    };
    const drop = () => {
      if (!Rectangles.same(box, before)) Edits.reshape(session, at, box, sides.length ? "resize box" : "move box");
    };
    return { start, moved: false, drag, drop, click };
  }

  /** What a pointer that goes down may become; nothing on a box that may be another one soon. */
  function begun(event, start) {
    if (event.button === 1 || space) return panning(start);
    if (state.nameless && session.waits()) return null;
    if (corner) {
      const from = corner;
      const second = drawing(start, from, nothing);
      second.drag(start);
      return { ...second, click: () => (second.drag(start), second.drop()) };
    }
    const first = () => {
      state.set({ at: null });
      corner = toPhoto(start);
      stage.rub(Rectangles.between(corner, corner));
      session.say("The first corner is set: click the opposite one, or press Escape.");
    };
    const target = event.shiftKey ? null : Targets.under(session, stage.view(), start, event.pointerType);
    if (!target) return drawing(start, toPhoto(start), first);
    if (session.waits()) return null;
    if (target.at.of === "suggestions") return changing(start, target, () => Edits.accept(session, target.at.index));
    const chosen = Targets.is(target.at, state.at);
    const choose = () => state.set({ at: chosen ? Targets.below(session, stage.view(), start) : target.at });
    if (chosen || target.sides.length) return changing(start, target, choose);
    return drawing(start, toPhoto(start), choose);
  }

  element.addEventListener("pointerdown", (event) => {
    if (event.button === 2) return;
    element.focus({ preventScroll: true });
    const point = place(event);
    fingers.set(event.pointerId, point);
    element.setPointerCapture(event.pointerId);
    if (fingers.size > 1) {
      cancel(); // two fingers zoom and pan
    } else if (state.doc) {
      session.settle();
      gesture = begun(event, point);
    }
    if (event.button === 1) event.preventDefault(); // no scrolling by itself
  });

  element.addEventListener("pointermove", (event) => {
    const point = place(event);
    if (event.pointerType === "mouse") stage.cross(point);
    if (fingers.size > 1 && fingers.has(event.pointerId)) pinch(event.pointerId, point);
    else if (gesture && fingers.has(event.pointerId)) {
      gesture.moved ||= away(gesture.start, point);
      if (gesture.moved) gesture.drag(point);
    } else if (corner) stage.rub(Rectangles.between(corner, toPhoto(point)));
    else hover(event, point);
  });

  function hover(event, point) {
    const target = state.doc && !space ? Targets.under(session, stage.view(), point, event.pointerType) : null;
    pointed = target?.at ?? null;
    element.style.cursor = space ? "grab" : cursor(target, state.at);
  }

  function pinch(id, point) {
    const [[other, still]] = [...fingers].filter(([one]) => one !== id);
    const before = /** @type {number[]} */ (fingers.get(id));
    fingers.set(id, point);
    const distance = (p) => Math.hypot(p[0] - still[0], p[1] - still[1]) || 1;
    const middle = (p) => [(p[0] + still[0]) / 2, (p[1] + still[1]) / 2];
    stage.pan(middle(point)[0] - middle(before)[0], middle(point)[1] - middle(before)[1]);
    stage.zoom(distance(point) / distance(before), middle(point));
    fingers.set(other, still);
  }

  function lift(event) {
    if (!fingers.delete(event.pointerId) || !gesture) return;
    const done = gesture;
    gesture = null;
    if (done.moved) done.drop();
    else done.click();
  }
  element.addEventListener("pointerup", lift);
  element.addEventListener("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    cancel();
  });
  element.addEventListener("pointerleave", () => {
    pointed = null;
    stage.cross(null);
  });
  element.addEventListener("contextmenu", (event) => {
    event.preventDefault();
    const target = state.doc && Targets.under(session, stage.view(), place(event), "mouse");
    if (target?.at.of === "suggestions") Edits.reject(session, target.at.index);
  });
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const delta = event.deltaY * (event.deltaMode ? 33 : 1) * (event.ctrlKey ? 6 : 1); // pinches of a touchpad are small
      stage.zoom(Math.exp(-delta * WHEEL), place(event));
    },
    { passive: false },
  );
  state.on((changed) => changed.has("image") && cancel());

  const hold = (held) => {
    space = held;
    element.style.cursor = held ? "grab" : "";
  };
  return { cancel, hold, pointed: () => pointed };
}

/** @param {import("./targets.js").Target | null} target */
function cursor(target, at) {
  if (!target) return "crosshair";
  const [one, two] = target.sides;
  if (two) return (one === "left") === (two === "top") ? "nwse-resize" : "nesw-resize";
  if (one) return one === "left" || one === "right" ? "ew-resize" : "ns-resize";
  if (target.at.of === "suggestions") return "pointer";
  return Targets.is(target.at, at) ? "move" : "crosshair";
}
