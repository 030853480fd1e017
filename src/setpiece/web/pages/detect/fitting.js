/**
 * Pixels at the input size of the model, as Pillow computes them in Python (setpiece/data/fitting.py), so that the model
 * sees here what it sees there: to the last bit, but for tall images, which newer versions of Pillow take columns first;
 * that changes values by 1 of 255. The browser's own scaling would give other pixels.
 */

const STRIDE = 32; // pixels of a cell of the coarsest feature map
const BITS = 22; // after the point of a weight: 32, less 8 of a value and 2 to spare
const BAND = 1 << 22; // values of a picture that are looked at together

/**
 * (height, width) of an image once resized: as large as both limits allow.
 * @param {{shortest: number, longest: number}} limits
 * @returns {[number, number]}
 */
export function fit(height, width, limits) {
  const { shortest, longest } = limits;
  const scale = Math.min(shortest / Math.min(height, width), longest / Math.max(height, width));
  return [Math.max(1, rounded(height * scale)), Math.max(1, rounded(width * scale))];
}

/** To the nearest whole number, and halves to the even one, as Python rounds. */
function rounded(x) {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 ? below + 1 : below;
}

/**
 * An image at the upper left of the canvas that enters the model.
 * @param {Pixels} image
 * @param {{shortest: number, longest: number, canvas: number[] | null, least_area: number}} info
 * @returns {{values: Uint8Array, height: number, width: number, size: [number, number]}} RGB; `size` is the image's own
 */
export function canvas(image, info) {
  const size = fit(image.height, image.width, info);
  const [high, wide] = size.map((side) => STRIDE * Math.ceil(side / STRIDE));
  const [height, width] = info.canvas ?? [Math.max(high, STRIDE * Math.ceil(info.least_area / (wide * STRIDE))), wide];
  const values = new Uint8Array(height * width * 3);
  const pixels = resized(image, size[0], size[1]);
  const row = size[1] * 3;
  for (let y = 0; y < size[0]; y += 1) values.set(pixels.subarray(y * row, (y + 1) * row), y * width * 3);
  return { values, height, width, size };
}

/**
 * An image resized with a triangle as wide as the image shrinks: first its rows, then its columns, each rounded to 8
 * bits. It is read in bands, since a phone gives no large canvas.
 * @param {Pixels} image
 * @returns {Uint8Array} RGB
 */
export function resized(image, height, width) {
  const across = weights(image.width, width);
  const narrow = new Uint8Array(image.height * width * 3);
  const count = Math.max(1, Math.floor(BAND / (4 * image.width)));
  for (let top = 0; top < image.height; top += count) {
    const rows = Math.min(count, image.height - top);
    narrowed(image.rows(top, rows), image.width, narrow.subarray(top * width * 3), rows, width, across);
  }
  return height === image.height ? narrow : shortened(narrow, height, width, weights(image.height, height));
}

/** Rows of RGBA to rows of RGB of another width. */
function narrowed(from, fromWidth, to, rows, width, { first, taps, count }) {
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < width; x += 1) {
      let red = 1 << (BITS - 1);
      let green = red;
      let blue = red;
      let at = (y * fromWidth + first[x]) * 4;
      for (let k = x * count; k < (x + 1) * count && taps[k] !== 0; k += 1, at += 4) {
        red += from[at] * taps[k];
        green += from[at + 1] * taps[k];
        blue += from[at + 2] * taps[k];
      }
      const pixel = (y * width + x) * 3;
      to[pixel] = red >> BITS;
      to[pixel + 1] = green >> BITS;
      to[pixel + 2] = blue >> BITS;
    }
  }
}

/** Rows of RGB to another number of rows. */
function shortened(from, height, width, { first, taps, count }) {
  const row = width * 3;
  const to = new Uint8Array(height * row);
  for (let y = 0; y < height; y += 1) {
    for (let i = 0; i < row; i += 1) {
      let sum = 1 << (BITS - 1);
      let at = first[y] * row + i;
      for (let k = y * count; k < (y + 1) * count && taps[k] !== 0; k += 1, at += row) sum += from[at] * taps[k];
      to[y * row + i] = sum >> BITS;
    }
  }
  return to;
}

/**
 * For each of `to` values: the first of `from` values that it is a mean of, and their weights, filled up with 0.
 * @returns {{first: Int32Array, taps: Int32Array, count: number}} `count` weights each, times 2 to the power of BITS
 */
function weights(from, to) {
  const scale = from / to;
  const reach = Math.max(1, scale);
  const count = 2 * Math.ceil(reach) + 1;
  const first = new Int32Array(to);
  const taps = new Int32Array(to * count);
  for (let i = 0; i < to; i += 1) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const triangle = [];
    for (let x = start; x < end; x += 1) triangle.push(Math.max(0, 1 - Math.abs((x - centre + 0.5) * (1 / reach))));
    const sum = triangle.reduce((a, b) => a + b, 0);
    const fixed = triangle.map((weight) => Math.trunc(0.5 + (weight / sum) * (1 << BITS)));
    const skipped = fixed.findIndex((weight) => weight !== 0); // so that a 0 ends them
    first[i] = start + skipped;
    taps.set(fixed.slice(skipped), i * count);
  }
  return { first, taps, count };
}
