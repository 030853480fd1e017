"""COCO's outlines of objects -> the boxes around them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

__all__ = ["hull"]


def hull(segmentation: Any) -> tuple[float, float, float, float] | None:
    """The box around polygons, or around a run-length encoded mask: left, top, right, bottom; None where it is neither.

    Example:
        >>> hull([[10, 20, 30, 20, 30, 40], [5, 30, 8, 30, 8, 35]])
        (5.0, 20.0, 30.0, 40.0)
    """
    try:
        return _of_mask(segmentation) if isinstance(segmentation, dict) else _of_polygons(segmentation)
    except (TypeError, ValueError, KeyError, IndexError, OverflowError):
        return None


def _of_polygons(polygons: Any) -> tuple[float, float, float, float] | None:
    if not isinstance(polygons, list) or not polygons:
        return None
    rings = polygons if all(isinstance(ring, list) for ring in polygons) else [polygons]  # some tools write one flat
    numbers = [float(number) for number in chain.from_iterable(rings)]
    if len(numbers) < 6 or any(len(ring) % 2 for ring in rings) or not all(map(math.isfinite, numbers)):
        return None
    xs = [float(x) for ring in rings for x in ring[::2]]
    ys = [float(y) for ring in rings for y in ring[1::2]]
    return min(xs), min(ys), max(xs), max(ys)


def _of_mask(mask: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """Runs of background and object alternate, down one column after the other."""
    height, width = mask["size"]
    counts = _unpacked(mask["counts"]) if isinstance(mask["counts"], str) else mask["counts"]
    columns, rows, end = [], [], 0
    for number, count in enumerate(counts):
        start, end = end, end + int(count)
        if number % 2 and start < end:
            first, last = start // height, (end - 1) // height
            columns += [first, last + 1]
            rows += [0, height] if first != last else [start % height, (end - 1) % height + 1]
    if not columns or end > height * width:
        return None
    return float(min(columns)), float(min(rows)), float(max(columns)), float(max(rows))


def _unpacked(text: str) -> Iterator[int]:
    """COCO's packed counts: five bits in a character, the lowest first; from the fourth on, differences to two before.

    References:
        https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c
    """
    counts: list[int] = []
    value = shift = 0
    for bits in (ord(character) - 48 for character in text):
        if not 0 <= bits < 64:
            raise ValueError("not packed counts")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the last character of this count; its fifth bit is the sign
            value -= (1 << shift) if bits & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            if counts[-1] < 0:
                raise ValueError("a count is not negative")
            yield counts[-1]
            value = shift = 0
