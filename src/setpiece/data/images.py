"""Image files -> upright RGB pixels, and what a file says of itself without being decoded."""

from __future__ import annotations

import os
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

from setpiece.errors import DataError

__all__ = [
    "ImageHeader",
    "TooLargeError",
    "exif_orientation",
    "has_frames",
    "is_pointer",
    "read_header",
    "read_image",
    "read_with_size",
    "to_rgb",
    "upright_size",
]

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
# What Pillow's readers raise on files that are damaged, in whichever place.
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, RuntimeError, MemoryError),
    *(struct.error, zlib.error, Image.DecompressionBombError, Warning),
)
# What Pillow warns of is decoded or it is not; then we say so. Large images are read, odd metadata are not used.
warnings.filterwarnings("ignore", module=r"PIL\.")
NARROW = 64  # of 255; colours that differ by less use a quarter of the range or less
VISIBLE = 8  # of 255; an image that is nowhere less transparent than this shows nothing
_ONE_PICTURE = ("MPO", "ICO", "ICNS")  # a photo, to which a camera may have added its preview; sizes of one icon
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xae\x42\x60\x82"}


class TooLargeError(DataError):
    """An image has more pixels than Pillow reads; `size` says how many."""

    def __init__(self, path: Path, error: Image.DecompressionBombError) -> None:
        pixels = re.search(r"\d+", str(error))
        self.size = f"{int(pixels[0]) / 1e6:.0f} megapixels" if pixels else "too many pixels"
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        super().__init__(f"The image {path} has {self.size}, and up to {limit:.0f} are read: make it smaller.")


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
        broken: whether its end is there, and something before it cannot be decoded.
        spread: whether its values do not use their range, and are spread over 8 bits.
        dark: whether it has colours of 16 bits that do not use their range, of which Pillow keeps the upper 8 alone.
        pages: how many images it holds, of which the first is read.
        invisible: whether it is wholly transparent, or nearly, so that its transparency is not used.
    """

    stored_size: tuple[int, int]
    upright_size: tuple[int, int]
    orientation: int
    mode: str
    transparent: bool
    truncated: bool
    broken: bool = False
    spread: bool = False
    dark: bool = False
    invisible: bool = False
    pages: int = 1


def read_header(path: Path) -> ImageHeader:
    """Size, orientation and mode of an image file, and whether it can be decoded, as cheaply as that is known.

    A JPEG is decoded at an eighth of its size, a PNG without transparency has its checksums verified, and any other
    is decoded.

    Raises:
        TooLargeError: it has more pixels than Pillow reads.
        DataError: the file is missing or is no image.
    """
    with _open(path) as image:
        width, height = image.size
        orientation = exif_orientation(image)
        upright = upright_size(image)
        mode, transparent = image.mode, image.has_transparency_data
        deep_colours = ";16" in str(getattr(image, "tile", "")) and not _is_deep(image)
        whole, spread = _check_pixels(image, decode=deep_colours or transparent)
        dark = deep_colours and whole and int(np.ptp(np.asarray(image.convert("RGB")), axis=(0, 1)).max()) < NARROW
        invisible = transparent and whole and not _is_deep(image) and _is_invisible(image.convert("RGBA"))
        pages = _pages(image)
        ended = whole or _has_end(image, path)
    damage = not whole and not ended, not whole and ended
    return ImageHeader(
        (height, width), upright, orientation, mode, transparent, *damage, spread, dark, invisible, pages
    )


def read_image(path: str | Path, *, upright: bool = True, least: int | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """An image file as RGB, see `to_rgb`.

    Args:
        path: any format that Pillow reads.
        upright: turn the pixels as the file's EXIF orientation says; False leaves them as stored.
        least: pixels. A JPEG may be read at a half, a quarter or an eighth of its size where each side has as many
            then: a photo of 12 megapixels takes a fraction of the time.

    Returns:
        HWC, RGB, [0, 255].

    Raises:
        DataError: the file is missing, is no image, or is truncated.
    """
    return read_with_size(path, upright=upright, least=least)[0]


def read_with_size(
    path: str | Path, *, upright: bool = True, least: int | None = None
) -> tuple[UInt8[np.ndarray, "H W 3"], tuple[int, int]]:
    """`read_image`, and the (height, width) of the whole image, also where less of it was read."""
    path = Path(path)
    with _open(path) as image:
        try:
            whole = upright_size(image) if upright else (image.height, image.width)
            drafted = least is not None and image.draft(None, (least, least)) is not None
            pixels = to_rgb(image, upright=upright)
            return pixels, whole if drafted else (pixels.shape[0], pixels.shape[1])
        except _UNREADABLE as error:
            raise DataError(
                f"The image {path} cannot be decoded ({error}); it may be truncated: replace or remove it."
            ) from error


def to_rgb(image: Image.Image, *, upright: bool = True) -> UInt8[np.ndarray, "H W 3"]:
    """A PIL image of any mode as RGB.

    Greyscale, palette and CMYK images are converted, transparency is laid over white (as image viewers show
    it; but where nothing would be seen, it is not used), and 16-bit values are reduced linearly to 8 bits (65535
    becomes 255). Deeper greys whose values do not use their range are spread over 8 bits: 12 bits in a file of 16, or
    the floating-point values of a measurement. Of an animation, the first frame.

    Args:
        image: not changed; decoded if it was not.
        upright: turn the pixels as the EXIF orientation says, if there is one.

    Returns:
        HWC, RGB, [0, 255].

    Raises:
        OSError, ValueError, and others of Pillow: it cannot be decoded.
    """
    orientation = exif_orientation(image) if upright else 1
    rgb = _as_rgb(image)
    return np.array(rgb.transpose(_TO_UPRIGHT[orientation]) if orientation in _TO_UPRIGHT else rgb)


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except FileNotFoundError as error:
        raise DataError(f"The image {path} does not exist.") from error
    except Image.DecompressionBombError as error:
        raise TooLargeError(path, error) from error
    except _UNREADABLE as error:
        if path.is_dir():
            raise DataError(f"{path} is a folder, and not an image: name the images in it.") from error
        if is_pointer(_head(path)):
            raise DataError(f"{path} is a pointer of git-lfs, and not the image itself: run `git lfs pull`.") from error
        raise DataError(
            f"{path} cannot be read as an image; is it another kind of file with an image's name?"
        ) from error


def is_pointer(content: bytes) -> bool:
    """Whether a file is what git leaves in the place of a large file that was not fetched."""
    return content.startswith(b"version https://git-lfs.github.com/spec/")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(100)
    except OSError:
        return b""


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation that pixels are turned by, 1 for upright; also where the EXIF data are damaged."""
    # Pillow would decode the whole PNG to find EXIF data behind the pixels; these two keys stand before them.
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _UNREADABLE:  # a damaged tag says nothing, and the pixels may be sound
        return 1
    return orientation if orientation in _TO_UPRIGHT else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) of an image once turned as its EXIF orientation says; nothing is decoded."""
    width, height = image.size
    return (width, height) if exif_orientation(image) >= 5 else (height, width)


def _check_pixels(image: Image.Image, *, decode: bool) -> tuple[bool, bool]:
    """Whether they can be decoded, and whether they are spread over 8 bits; `decode` leaves them in the image."""
    try:
        if _is_deep(image):
            return True, _eight_bits(image)[1]
        if image.format == "PNG" and not decode:
            image.verify()
        else:
            image.draft(None, (1, 1))  # a JPEG's smallest size, which reads all of the file
            image.load()
    except _UNREADABLE:
        return False, False
    return True, False


def has_frames(image: Image.Image) -> bool:
    """Whether an image has more than one page or frame, without counting them, which would read them all."""
    try:
        return image.format not in _ONE_PICTURE and bool(getattr(image, "is_animated", False))
    except _UNREADABLE:  # damage behind the first one, which is the one that is read
        return False


def _pages(image: Image.Image) -> int:
    """How many pages or frames it has."""
    if image.format in _ONE_PICTURE:
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except _UNREADABLE:  # damage behind the first page, which is the one that is read
        return 1


def _has_end(image: Image.Image, path: Path) -> bool:
    end = _ENDS.get(image.format or "")
    return end is not None and _tail(path).endswith(end)


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-min(64, path.stat().st_size), os.SEEK_END)
        return file.read().rstrip(b"\0\r\n")  # some writers pad


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _eight_bits(image: Image.Image) -> tuple[UInt8[np.ndarray, "H W"], bool]:
    """Greys of more than 8 bits in 8, and whether they were spread.

    Values that differ by more than a quarter of a usual range, up to 65535, or of floats up to 1 or 255, use it.
    Others, as 12 bits, or those of a scanner around an offset, are spread from the least to the greatest.
    """
    values = np.asarray(image).astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    tops = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
    if low == high:  # one grey
        top, used = next((top for top in tops if high <= top), high), True
    else:
        fitting = [top for top in tops if low >= 0 and top / 4 < high - low and high <= top]
        top, used = (fitting[0], True) if fitting else (high, False)
    spread = values * (255 / top) if used else (values - low) * (255 / (high - low))
    return np.clip(np.floor(spread + (0.5 if image.mode == "F" or not used else 1e-9)), 0, 255).astype(
        np.uint8
    ), not used


def _is_invisible(rgba: Image.Image) -> bool:
    """Whether an image is transparent all over: a tool wrote an alpha channel that nobody filled, or up to 1."""
    return int(np.asarray(rgba.getchannel("A")).max(initial=0)) < VISIBLE


def _as_rgb(image: Image.Image) -> Image.Image:
    if _is_deep(image):
        return Image.fromarray(_eight_bits(image)[0]).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if _is_invisible(image):
            return image.convert("RGB")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
