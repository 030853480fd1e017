/** What a camera shows, with what is detected in it, frame by frame. */

import { button, html } from "../base/dom.js";
import * as Pixels from "./pixels.js";
import * as Shown from "./shown.js";

/**
 * @param {object} options
 * @param {string[]} options.classes
 * @param {() => Promise<Detects>} options.detector
 * @param {(detections: Detection[]) => Detection[]} options.visible
 * @param {(blob: Blob, image: Pixels, found: Found) => void} options.keep takes a picture
 * @param {() => void} options.photo asks the phone for a photo, where no page may use the camera
 * @param {(text: string) => void} options.say
 * @returns {{toggle: HTMLButtonElement, element: HTMLElement, draw: () => void}}
 */
export function create({ classes, detector, visible, keep, photo, say }) {
  const video = html("video", { muted: true, playsinline: true, autoplay: true, "aria-label": "Camera" });
  video.muted = true;
  const shown = Shown.create(video, classes);
  const line = html("p.hint.number", { "data-role": "camera-line" });
  const still = button("Keep this picture", "keep", () => keepStill());
  const element = html(
    "section.panel",
    { hidden: true, "data-role": "camera" },
    shown.element,
    html("div.controls", still, line),
  );
  const toggle = button("Camera", "camera-toggle", () => (stream ? stop() : start()), { "aria-pressed": "false" });
  /** @type {MediaStream | null} */
  let stream = null;
  /** @type {{image: Pixels, found: Found} | null} */
  let last = null;

  async function start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      photo();
      return;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    } catch (error) {
      say(`The camera cannot be used (${error instanceof Error ? error.message : error}): allow it, or choose a photo.`);
      return;
    }
    stream.getTracks().forEach((track) => track.addEventListener("ended", stop)); // pulled out
    video.srcObject = stream;
    element.hidden = false;
    toggle.setAttribute("aria-pressed", "true");
    look(stream);
  }

  function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    last = null;
    video.srcObject = null;
    element.hidden = true;
    toggle.setAttribute("aria-pressed", "false");
  }

  /** Detect in a frame, and in the next one when the browser draws again. */
  async function look(of) {
    if (stream !== of) return;
    if (video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && video.videoWidth) {
      const image = Pixels.frame(video);
      try {
        const found = await (await detector()).detect(image);
        if (stream !== of) return;
        last?.image.close();
        last = { image, found };
        draw();
      } catch (error) {
        say(`Nothing is detected any more: ${error instanceof Error ? error.message : error}`);
        stop();
        return;
      }
    }
    requestAnimationFrame(() => look(of));
  }

  function draw() {
    if (!last) return;
    const detections = visible(last.found.detections);
    shown.draw(last.image, detections);
    line.textContent = `${Shown.inWords(detections, classes)} · ${Math.round(last.found.milliseconds)} ms`;
  }

  async function keepStill() {
    if (!last) return;
    const { image, found } = last;
    keep(await image.blob(), image, found);
  }
  return { toggle, element, draw };
}
