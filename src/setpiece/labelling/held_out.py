"""Which images are held out: never trained on, so that AP on them says what the detector has learned."""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath

from setpiece.data.formats.splits import VALID_SHARE, is_plain, photo_number

__all__ = ["is_held_out"]


@cache
def is_held_out(file: str) -> bool:
    """Whether a photo is among the fifth that is held out; a hash of its name decides, for ever.

    It is the rule by which a data set without splits is divided, so both hold out the same images. Folders are part of
    the name, since each may hold an `image.jpg`; but not those of splits, which may hold versions of one photo.

    Example:
        >>> sum(is_held_out(f"{number}.jpg") for number in range(1000))
        199
        >>> is_held_out("train/images/a.jpg") == is_held_out("a.jpg")
        True
    """
    path = PurePosixPath(file)
    folders = [part for part in path.parent.parts if part != "images" and not is_plain(part)]
    return photo_number(PurePosixPath(" ".join([*folders, path.name]))) % VALID_SHARE == 0
