"""What a check says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from setpiece.data.defects import Place

__all__ = ["Finding", "Severity", "counted", "finding"]

EXAMPLES = 20  # of a finding


class Severity(IntEnum):
    """How bad it is, the worst first."""

    ERROR = 0  # something is lost, or is surely wrong
    WARNING = 1  # it probably makes the detector worse
    NOTE = 2  # it is handled; good to know


@dataclass(frozen=True)
class Finding:
    """One kind of thing that a check found.

    Attributes:
        check: its name, as "boxes.outside": the part before the dot is its family.
        severity: how bad it is.
        split: in which images; None where it is about the whole data set.
        count: how often.
        what: what was found, with its count, as a sentence without its full stop.
        advice: what to do, likewise.
        examples: the first places.
    """

    check: str
    severity: Severity
    split: str | None
    count: int
    what: str
    advice: str
    examples: tuple[Place, ...] = ()


def finding(
    check: str, severity: Severity, split: str | None, places: Sequence[Place], what: str, advice: str
) -> Finding:
    """A finding about some places, of which the first are its examples."""
    return Finding(check, severity, split, len(places), what, advice, tuple(places[:EXAMPLES]))


def counted(places: Sequence[Place], one: str, many: str) -> str:
    """The number of places before what they are.

    Example:
        >>> counted([Place("a.jpg")], "image is empty", "images are empty")
        '1 image is empty'
    """
    return f"{len(places)} {one if len(places) == 1 else many}"
