"""Whether the numbers of a split are what its layout says: pixels or fractions, sizes or corners."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from setpiece.data.dataset import Example
from setpiece.data.formats.annotations import AnnotatedImage, AnnotatedSplit
from setpiece.errors import DataError

__all__ = ["check_numbers"]

MOST = 0.5  # of the boxes, for a guess that needs most of them
ALL = 0.98  # of the boxes, since some of any data set are wrong by themselves
MANY = 0.3  # of the boxes, where all others agree with the guess
FEW = 3  # fewer boxes may fit as corners by chance
ROUNDING = 1.0  # pixel


def check_numbers(split: AnnotatedSplit, read: Sequence[tuple[AnnotatedImage, Example]]) -> None:
    """Refuse boxes that all, or most of them, are written in another way than the layout has it.

    One box tells nothing: it may be wrong by itself, and then `repair` has a rule for it. Many tell.

    Args:
        read: the images that can be read, each with its size in the file.

    Raises:
        DataError: the numbers are of another kind.
    """
    boxes, sizes, normalised = _finite_boxes(read)
    for chosen, check in ((normalised, _check_fractions), (~normalised, _check_pixels)):
        if chosen.any() and (problem := check(boxes[chosen], sizes[chosen])):
            raise DataError(f"{split.source}: {problem}")


def _finite_boxes(
    read: Sequence[tuple[AnnotatedImage, Example]],
) -> tuple[Float64[np.ndarray, "N 4"], Float64[np.ndarray, "N 2"], np.ndarray]:
    """Corners as annotated, (width, height) of the images they were drawn on, and whether they are fractions."""
    rows = [
        (*box.corners, *(image.size or (example.height, example.width))[::-1], image.normalised)
        for image, example in read
        for box in image.boxes
        if all(map(math.isfinite, box.corners))
    ]
    table = np.array(rows, np.float64).reshape(-1, 7)
    return table[:, :4], table[:, 4:6], table[:, 6].astype(bool)


def _check_fractions(boxes: np.ndarray, _: np.ndarray) -> str | None:
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    if _share((centres > 1).any(1)) > MOST:
        return (
            "most boxes lie outside their images, as the labels are no fractions of the image; are they in pixels? "
            "Divide x and width by the image's width, y and height by its height."
        )
    outside = ((boxes < -0.01) | (boxes > 1.01)).any(1)
    # Corners that were read as centre and sides: the sides are the right and bottom corner.
    if len(boxes) >= FEW and _share(outside) > MANY and _share(((sides > centres) & (sides <= 1.01)).all(1)) >= ALL:
        return (
            "many boxes stick out of their images, and all fit as corners; are they left, top, right, bottom? Write "
            "centre x, centre y, width and height."
        )
    return None


def _check_pixels(boxes: np.ndarray, sizes: np.ndarray) -> str | None:
    sides = boxes[:, 2:] - boxes[:, :2]
    tiny = (np.abs(boxes) <= 2).all(1) & (sides <= 1).all(1) & (sizes > 8).all(1)
    if _share(tiny) >= ALL and (sides > 0).any():
        return "the boxes are smaller than a pixel; are they fractions of the image? Write pixels."
    if len(boxes) < FEW:
        return None
    as_corners = (sides > boxes[:, :2]) & (sides <= sizes + ROUNDING)
    if _share((boxes[:, 2:] > sizes + ROUNDING).any(1)) > MANY and _share(as_corners.all(1)) >= ALL:
        return (
            "many boxes stick out of their images at the right or the bottom, and all fit as corners; are they left, "
            "top, right, bottom? Write left, top, width and height."
        )
    as_sizes = boxes[:, :2] + boxes[:, 2:] <= sizes + ROUNDING
    if _share((sides <= 0).any(1)) > MOST and _share(as_sizes.all(1)) >= ALL:
        return (
            "most boxes have their right side left of the left one, and all fit as sizes; are they left, top, width, "
            "height? Write corners."
        )
    return None


def _share(found: np.ndarray | np.bool_) -> float:
    return float(np.mean(found))
