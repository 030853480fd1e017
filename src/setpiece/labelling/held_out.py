"""Which images are held out: never trained on, so that AP on them says what the detector has learned."""

from __future__ import annotations

from pathlib import PurePosixPath

from setpiece.data.formats.splits import VALID_SHARE, photo_number

__all__ = ["is_held_out"]


def is_held_out(file: str) -> bool:
    """Whether a photo is among the fifth that is held out; a hash of its name decides, for ever.

    It is the rule by which a data set without splits is divided, so both hold out the same images.

    Example:
        >>> sum(is_held_out(f"{number}.jpg") for number in range(1000))
        199
    """
    return photo_number(PurePosixPath(file)) % VALID_SHARE == 0
