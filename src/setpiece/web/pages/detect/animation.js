/** Whether a browser plays an image file, by its bytes: what is looked at is the first frame alone. */

/**
 * @param {Blob} blob a GIF, PNG, WebP or AVIF; any other is still
 * @returns {Promise<boolean>}
 */
export async function plays(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const text = (at, count) => String.fromCharCode(...bytes.subarray(at, at + count));
  if (text(0, 4) === "GIF8") return severalFrames(bytes);
  if (text(1, 3) === "PNG") return saysHowToPlay(bytes, text);
  if (text(8, 4) === "WEBP") return text(12, 4) === "VP8X" && (bytes[20] & 2) !== 0;
  return text(4, 8) === "ftypavis";
}

/** Whether a PNG says how it is played, which stands before its pixels. */
function saysHowToPlay(bytes, text) {
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 8 <= bytes.length && text(at + 4, 4) !== "IDAT"; at += 12 + view.getUint32(at)) {
    if (text(at + 4, 4) === "acTL") return view.getUint32(at + 8) > 1;
  }
  return false;
}

/** Whether a GIF has a second image, found from block to block. */
function severalFrames(bytes) {
  const colours = (flags) => (flags & 128 ? 3 * 2 ** ((flags & 7) + 1) : 0);
  let frames = 0;
  let at = 13 + colours(bytes[10]);
  while (frames < 2 && (bytes[at] === 0x21 || bytes[at] === 0x2c)) {
    frames += Number(bytes[at] === 0x2c);
    at += bytes[at] === 0x21 ? 2 : 11 + colours(bytes[at + 9]);
    while (bytes[at]) at += bytes[at] + 1; // its parts, to an empty one
    at += 1;
  }
  return frames > 1;
}
