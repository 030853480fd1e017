"""Photos as a browser shows them, and small ones for the strip."""

from __future__ import annotations

import io
import threading
from pathlib import Path

from PIL import Image

from setpiece.atomic import write_whole
from setpiece.data.images import ImageHeader, read_header, read_image, to_rgb
from setpiece.errors import DataError

__all__ = ["full_picture", "thumbnail"]

# What browsers show as the detector sees it, and turn upright themselves.
SHOWN = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
THUMBNAIL = 160  # pixels of the longer side
QUALITY = 80
_LOCKS = tuple(threading.Lock() for _ in range(32))  # two requests at once for one picture make it once


def full_picture(path: Path, kept: Path) -> tuple[Path, str]:
    """A file to send for a photo, and its media type: its own where a browser shows that, else a PNG.

    Args:
        path: of the photo.
        kept: where the PNG is written to, and taken from the next time.

    Raises:
        DataError: the photo cannot be read.
    """
    with _lock(kept):
        return _full_picture(path, kept)


def _full_picture(path: Path, kept: Path) -> tuple[Path, str]:
    if kept.is_file():
        return kept, "image/png"
    header = read_header(path)
    with Image.open(path) as image:
        media_type = SHOWN.get(image.format or "")
        depth = getattr(image, "tile", None)
    turned = header.orientation == 1 or media_type == "image/jpeg"
    if media_type and turned and _is_plain(header) and ";16" not in str(depth):
        return path, media_type
    content = io.BytesIO()
    Image.fromarray(read_image(path)).save(content, "PNG", compress_level=1)
    write_whole(kept, content.getvalue())
    return kept, "image/png"


def _is_plain(header: ImageHeader) -> bool:
    return header.mode in ("1", "L", "P", "RGB") and not header.transparent and header.pages == 1


def thumbnail(path: Path, kept: Path) -> Path:
    """A JPEG of a photo.

    Args:
        path: of the photo.
        kept: where it is written to, and taken from the next time.

    Raises:
        DataError: the photo cannot be read.
    """
    with _lock(kept):
        if not kept.is_file():
            _write_thumbnail(path, kept)
    return kept


def _write_thumbnail(path: Path, kept: Path) -> None:
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))  # a JPEG is decoded at a part of its size
            small = Image.fromarray(to_rgb(image))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"The image {path} cannot be decoded ({error}).") from error
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=QUALITY)
    write_whole(kept, content.getvalue())


def _lock(kept: Path) -> threading.Lock:
    return _LOCKS[hash(kept) % len(_LOCKS)]
