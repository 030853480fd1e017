"""Image files -> upright RGB pixels, and what a file says of itself without being decoded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

from setpiece.errors import DataError

__all__ = ["ImageHeader", "read_header", "read_image"]

# The seven EXIF orientations other than 1, each with the operation that undoes it.
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says of itself.

    Attributes:
        stored_size: (height, width) of the pixels as stored.
        upright_size: (height, width) once turned as the EXIF orientation says.
        orientation: EXIF orientation, 1 for upright.
        mode: Pillow's mode, as "RGB", "L", "P", "RGBA", "I;16" or "CMYK".
        transparent: whether it has an alpha channel or a transparent colour.
        truncated: whether its end is missing.
    """

    stored_size: tuple[int, int]
    upright_size: tuple[int, int]
    orientation: int
    mode: str
    transparent: bool
    truncated: bool


def read_header(path: Path) -> ImageHeader:
    """Size, orientation and mode of an image file, and whether its end is there, mostly without decoding it.

    A JPEG is decoded only if it does not end as a JPEG does, a PNG has its checksums verified, and any other
    format is decoded.

    Raises:
        DataError: the file is missing or is no image.
    """
    with _open(path) as image:
        width, height = image.size
        orientation = _orientation(image)
        upright = (width, height) if orientation >= 5 else (height, width)
        mode, transparent = image.mode, image.has_transparency_data
        return ImageHeader((height, width), upright, orientation, mode, transparent, not _is_whole(image, path))


def read_image(path: str | Path, *, upright: bool = True) -> UInt8[np.ndarray, "H W 3"]:
    """An image file as RGB.

    Greyscale, palette and CMYK images are converted, transparency is laid over white (as image viewers show
    it), and 16-bit values are reduced linearly to 8 bits (65535 becomes 255). Of an animation, the first frame.

    Args:
        path: any format that Pillow reads.
        upright: turn the pixels as the file's EXIF orientation says; False leaves them as stored.

    Returns:
        HWC, RGB, [0, 255].

    Raises:
        DataError: the file is missing, is no image, or is truncated.
    """
    path = Path(path)
    with _open(path) as image:
        orientation = _orientation(image) if upright else 1
        try:
            rgb = _to_rgb(image)
        except _UNREADABLE as error:
            raise DataError(
                f"The image {path} cannot be decoded ({error}); it may be truncated: replace or remove it."
            ) from error
    if orientation in _TO_UPRIGHT:
        rgb = rgb.transpose(_TO_UPRIGHT[orientation])
    return np.array(rgb)


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except FileNotFoundError as error:
        raise DataError(f"The image {path} does not exist.") from error
    except _UNREADABLE as error:
        raise DataError(
            f"{path} cannot be read as an image; is it another kind of file with an image's name?"
        ) from error


def _orientation(image: Image.Image) -> int:
    # Pillow would decode the whole PNG to find EXIF data behind the pixels; these two keys stand before them.
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _UNREADABLE:  # a damaged tag says nothing, and the pixels may be sound
        return 1
    return orientation if orientation in _TO_UPRIGHT else 1


def _is_whole(image: Image.Image, path: Path) -> bool:
    if image.format in ("JPEG", "MPO") and _tail(path).endswith(_JPEG_END):
        return True
    try:
        if image.format == "PNG":
            image.verify()
        else:
            image.load()
    except _UNREADABLE:
        return False
    return True


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-min(64, path.stat().st_size), os.SEEK_END)
        return file.read().rstrip(b"\0\r\n")  # some writers pad


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
        pixels = np.asarray(image).clip(0, 65535) // 257
        return Image.fromarray(pixels.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
