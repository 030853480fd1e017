"""The bytes of an image file -> pixels at the input size of a model."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from setpiece.data.fitting import SHARP, fitted
from setpiece.data.images import exif_orientation, has_frames, to_rgb, upright_size
from setpiece.input_size import InputSize
from setpiece.serving.refusals import RefusedError

__all__ = ["Received", "decode"]

# Those that people send. Pillow's other readers are old, or start another program, as that of EPS does.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "JPEG2000")


@dataclass(frozen=True)
class Received:
    """An image that was sent.

    Attributes:
        pixels: at the model's input size, RGB.
        size: (height, width) of the upright image.
        notes: what was done to it that its sender may not expect, in sentences.
    """

    pixels: UInt8[np.ndarray, "h w 3"]
    size: tuple[int, int]
    notes: tuple[str, ...]


def decode(file: bytes, size: InputSize, max_pixels: int) -> Received:
    """Decode an image file as `Detector.predict` does, and resize it: the large pixels are not kept.

    Args:
        size: the model's input size.
        max_pixels: more are refused by what the header says, before anything is decoded.

    Raises:
        RefusedError: 400, it is no image, has no pixels or is damaged; 413, it has too many pixels.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("CMYK", (200, 100)).save(file, "JPEG")
        >>> received = decode(file.getvalue(), InputSize(64, 64), max_pixels=20_000)
        >>> received.pixels.shape, received.size
        ((32, 64, 3), (100, 200))
    """
    try:
        image = Image.open(io.BytesIO(file), formats=_formats())
        width, height = image.size
    except Image.DecompressionBombError:  # Pillow's own limit
        raise _too_large("more pixels than are read", max_pixels) from None
    except Exception:  # whatever a header that is none leads to, or one of no pixels
        names = ", ".join(_formats())
        raise RefusedError(400, f"The bytes are no image that can be read: send one of {names}.") from None
    if width * height > max_pixels:
        raise _too_large(f"{width} x {height} pixels", max_pixels)
    try:
        notes = _notes(image)
        original = upright_size(image)
        image.draft(None, (SHARP * size.longest,) * 2)
        return Received(fitted(to_rgb(image), size, original), original, notes)
    except Exception:  # Pillow's readers raise all kinds of errors
        raise RefusedError(400, "The image cannot be decoded: it is truncated or damaged.") from None


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _too_large(what: str, max_pixels: int) -> RefusedError:
    return RefusedError(413, f"The image has {what}, and up to {max_pixels} are taken: send a smaller one.")


def _notes(image: Image.Image) -> tuple[str, ...]:
    notes = []
    if has_frames(image):
        notes.append("The image has several frames: the first was looked at.")
    if exif_orientation(image) != 1:
        notes.append("The image was turned upright, as its EXIF orientation says: boxes are those of the upright one.")
    return tuple(notes)
