"""Numbers that there may be nothing to measure: NaN in Python, null in JSON, a dash for people."""

from __future__ import annotations

import math

__all__ = ["in_words", "or_none"]


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
