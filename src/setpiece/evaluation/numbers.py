"""Numbers and names for people and for JSON. A number that cannot be measured is NaN, null in JSON, and a dash."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["in_words", "listed", "or_none"]


def or_none(value: float) -> float | None:
    """The number for JSON, None for NaN.

    Example:
        >>> or_none(0.5), or_none(math.nan)
        (0.5, None)
    """
    return None if math.isnan(value) else float(value)


def in_words(value: float, layout: str = ".3f") -> str:
    """The number for people, a dash for NaN.

    Example:
        >>> in_words(0.25), in_words(0.25, "+.2f"), in_words(math.nan)
        ('0.250', '+0.25', '–')
    """
    return "–" if math.isnan(value) else format(value, layout)


def listed(names: Sequence[object], most: int) -> str:
    """Some names, and how many more there are.

    Example:
        >>> listed(["ace", "king", "ten"], 2)
        'ace, king and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more
