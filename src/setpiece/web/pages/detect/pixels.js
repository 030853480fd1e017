/** Image files and the frames of a camera -> pixels. */

import { html } from "../base/dom.js";
import * as Animation from "./animation.js";

/**
 * An image file, upright and over white, as Python reads it: of an animation the first frame.
 * @param {Blob} blob
 * @returns {Promise<Pixels>}
 */
export async function decoded(blob) {
  const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  const animated = await Animation.plays(blob);
  return { ...drawn(bitmap, bitmap.width, bitmap.height), animated, blob: async () => blob, close: () => bitmap.close() };
}

/**
 * What a camera shows now.
 * @param {HTMLVideoElement} video
 * @returns {Pixels}
 */
export function frame(video) {
  const whole = html("canvas", { width: video.videoWidth, height: video.videoHeight });
  whole.getContext("2d", { willReadFrequently: true }).drawImage(video, 0, 0);
  const blob = () => new Promise((resolve) => whole.toBlob(resolve, "image/jpeg", 0.95));
  return { ...drawn(whole, whole.width, whole.height), animated: false, blob, close: () => (whole.width = 0) };
}

function drawn(source, width, height) {
  const band = html("canvas", { width, height: 1 });
  const context = band.getContext("2d", { willReadFrequently: true });
  const rows = (top, count) => {
    band.height = count; // also clears it
    context.fillStyle = "white";
    context.fillRect(0, 0, width, count);
    context.drawImage(source, 0, top, width, count, 0, 0, width, count);
    return context.getImageData(0, 0, width, count).data;
  };
  return { width, height, rows };
}
