/** The model in this page, run by ONNX Runtime Web, which is in this page too. */

import * as Fitting from "./fitting.js";

/**
 * @param {DetectPayload} payload
 * @returns {Promise<Detects>}
 */
export async function load(payload) {
  if (!payload.info) throw new Error("this page holds no model");
  const info = payload.info;
  if (!("DecompressionStream" in window)) throw new Error("this browser is too old: it cannot unpack the page");
  const [script, wasm, model] = await Promise.all(["runtime-script", "runtime-wasm", "model"].map(unpacked));
  const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const ort = await import(address);
  URL.revokeObjectURL(address);
  const quiet = { executionProviders: ["wasm"], logSeverityLevel: 3 }; // errors alone
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1; // more need headers that a file does not have
  ort.env.wasm.wasmBinary = wasm;
  const session = await ort.InferenceSession.create(new Uint8Array(model), quiet);
  const side = info.longest;
  const blank = { width: side, height: side, rows: (_, count) => new Uint8ClampedArray(4 * side * count) };
  await detect(blank); // it takes its memory, so that the first image is as fast as the others

  async function detect(image) {
    const start = performance.now();
    const { values, height, width, size } = Fitting.canvas(image, info);
    const feeds = {
      images: new ort.Tensor("uint8", values, [1, height, width, 3]),
      sizes: new ort.Tensor("int64", BigInt64Array.from(size, BigInt), [1, 2]),
    };
    const { boxes, scores, labels } = await session.run(feeds);
    const detections = records(boxes.data, scores.data, labels.data, image);
    const notes = image.animated ? ["The image has several frames: the first was looked at."] : []; // as a server says it
    return { detections, milliseconds: performance.now() - start, notes };
  }
  return { detect };
}

/** What the graph gives, in pixels of the image. */
function records(boxes, scores, labels, { width, height }) {
  return Array.from(scores, (score, i) => {
    const [left, top, right, bottom] = boxes.subarray(4 * i, 4 * i + 4);
    return { label: Number(labels[i]), score, box: [left * width, top * height, right * width, bottom * height] };
  });
}

/** The bytes in an element of the page, which hold base64 of gzip; the element is emptied. */
async function unpacked(id) {
  const element = /** @type {HTMLElement} */ (document.getElementById(id));
  const text = atob(element.textContent);
  element.textContent = ""; // megabytes
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = text.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
