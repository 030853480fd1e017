/** The payload of the page: where it is, and how its arrays are read. */

const TYPES = { f4: Float32Array, i4: Int32Array, u1: Uint8Array };
const decoded = new WeakMap();

/**
 * The JSON object that Python wrote into the page.
 * @returns {Payload}
 */
export function payload() {
  return JSON.parse(/** @type {HTMLElement} */ (document.getElementById("payload")).textContent);
}

/**
 * The same of the page that `setpiece doctor` writes.
 * @returns {ExaminedPayload}
 */
export function examined() {
  return /** @type {any} */ (payload());
}

/**
 * The same of the page that `setpiece eval --report` writes.
 * @returns {EvaluatedPayload}
 */
export function evaluated() {
  return /** @type {any} */ (payload());
}

/**
 * The same of the page that `setpiece compare --report` writes.
 * @returns {ComparedPayload}
 */
export function compared() {
  return /** @type {any} */ (payload());
}

/**
 * The same of the page that `setpiece watch` serves.
 * @returns {WatchedPayload}
 */
export function watched() {
  return /** @type {any} */ (payload());
}

/**
 * The same of the page that detects: of `setpiece export --format html`, or of `setpiece serve`.
 * @returns {DetectPayload}
 */
export function detecting() {
  return /** @type {any} */ (payload());
}

/**
 * The same of the page that `setpiece label` serves.
 * @returns {LabelPayload}
 */
export function labelling() {
  return /** @type {any} */ (payload());
}

/**
 * Decode `{shape, dtype, data}`, with base64 little-endian numbers as data; each array once.
 * @param {Encoded} encoded
 * @returns {{shape: number[], values: Float32Array|Int32Array|Uint8Array}} row-major values
 */
export function array(encoded) {
  if (!decoded.has(encoded)) {
    const bytes = Uint8Array.from(atob(encoded.data), (c) => c.charCodeAt(0));
    decoded.set(encoded, { shape: encoded.shape, values: new TYPES[encoded.dtype](bytes.buffer) });
  }
  return decoded.get(encoded);
}

/**
 * The last axis at the leading indices, as a view: `row(boxes, layer, query)` is a box of a (L, K, 4) array.
 * @param {Encoded} encoded
 * @param {number[]} index
 * @returns {Float32Array|Int32Array|Uint8Array}
 */
export function row(encoded, ...index) {
  const { shape, values } = array(encoded);
  let start = 0;
  index.forEach((i, axis) => (start = start * shape[axis] + i));
  const length = shape[shape.length - 1];
  return values.subarray(start * length, (start + 1) * length);
}
