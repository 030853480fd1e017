"""A font that has the letters of some text: class names are in people's own language."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["font_for"]


def font_for(text: str) -> Path:
    """A font file with every character of a text.

    DejaVu Sans, which comes with matplotlib, has the letters of Europe. Where it lacks one, as of Chinese, the first
    font of the system that has them all is taken; and where there is none, DejaVu Sans.

    Example:
        >>> font_for("Gewürz, šunka, Ёлка").name
        'DejaVuSans.ttf'
    """
    return _with(frozenset(map(ord, text)) - {10, 13})


@cache
def _with(characters: frozenset[int]) -> Path:
    import matplotlib
    from matplotlib.font_manager import findSystemFonts

    own = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    if characters <= _characters(own):
        return own
    return next((font for font in sorted(map(Path, findSystemFonts())) if characters <= _characters(font)), own)


@cache
def _characters(font: Path) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(font)).get_charmap())
    except (OSError, RuntimeError):  # a font of another kind, or damaged
        return frozenset()
