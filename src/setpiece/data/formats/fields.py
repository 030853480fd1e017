"""What a field of an annotation file says, however its tool has written it: ids, truth values, sides, outlines."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

__all__ = ["area", "coordinate", "flat", "short", "side", "truth", "without_fraction", "written_as_text"]

_TRUTHS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True, "": False, "none": False}


def truth(value: Any) -> bool | None:
    """What 0, 1, true or false says in any spelling, also as a text; False for nothing; None where it is another value.

    Example:
        >>> truth("False"), truth(1), truth(None), truth("perhaps")
        (False, True, False, None)
    """
    return _TRUTHS.get(str(value).strip().lower())


def without_fraction(value: Any) -> Any:
    """An id as an integer, where it is a whole number as pandas writes it, 7.0; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def written_as_text(number: Any) -> str:
    """What to say of an id in quotes; nothing where it is none."""
    return ", and its id is a text: write it without quotes" if isinstance(number, str) and number.isdecimal() else ""


def side(value: Any) -> int | None:
    """Pixels of a side, also where they are written as 640.0 or "640"; None where they are no whole number above 0."""
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return int(number) if number > 0 and number.is_integer() and math.isfinite(number) else None


def coordinate(value: Any) -> float:
    """A number of pixels. JavaScript writes NaN as null.

    Raises:
        TypeError, ValueError, OverflowError: it is no number.
    """
    return math.nan if value is None else float(value)


def area(value: Any) -> float | None:
    """Square pixels; None where they are no finite number above 0."""
    try:
        return float(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0 else None
    except OverflowError:
        return None


def flat(segmentation: Any) -> Any:
    """A segmentation, its polygons as COCO has them, [[x, y, x, y, ...]], where each point is a pair, [[[x, y], ...]].

    Example:
        >>> flat([[[10, 20], [30, 20], [30, 40]]])
        [[10, 20, 30, 20, 30, 40]]
    """
    if not isinstance(segmentation, list):
        return segmentation
    return [list(chain.from_iterable(ring)) if _is_of_pairs(ring) else ring for ring in segmentation]


def _is_of_pairs(ring: Any) -> bool:
    return isinstance(ring, list) and bool(ring) and all(isinstance(point, list) and len(point) == 2 for point in ring)


def short(value: Any) -> str:
    """A value as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]} …"
