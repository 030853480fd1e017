"""Whether the numbers of a split are what its layout says: pixels or fractions, corners, sizes or centres."""

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
SOME = 0.05  # of the boxes, where no right box looks so
FAR = 1.1  # of the image's size
FEW = 3  # fewer boxes may fit as corners by chance
SEVERAL = 5  # fewer boxes may stick out at the same two sides by chance
TEN = 10  # boxes that fit by another reading alone, for each that does not fit by it
ROUNDING = 1.0  # pixel
BORDER = 0.01  # of the image's size, which a tool may round a box out of its image


def check_numbers(split: AnnotatedSplit, read: Sequence[tuple[AnnotatedImage, Example]]) -> None:
    """Refuse boxes that all, or most of them, are written in another way than the layout has it.

    One box tells nothing: it may be wrong by itself, and then `repair` has a rule for it. Many tell.

    Args:
        read: the images that can be read, each with its size in the file.

    Raises:
        DataError: the numbers are of another kind.
    """
    boxes, sizes, normalised = _finite_boxes(read)
    check = _check_fractions if normalised.any() else _CHECKS.get(split.layout, _check_pixels)
    images = sum(bool(image.boxes) for image, _ in read)
    if len(boxes) and (problem := _check_points(boxes) or check(boxes, sizes) or _check_percent(boxes, sizes, images)):
        raise DataError(f"{split.source}: {problem}")


def _finite_boxes(
    read: Sequence[tuple[AnnotatedImage, Example]],
) -> tuple[Float64[np.ndarray, "N 4"], Float64[np.ndarray, "N 2"], np.ndarray]:
    """Corners as annotated, (width, height) of their images, and whether they are fractions.

    Where another size is declared than the file has, the larger one counts: the boxes may have been drawn on either.
    """
    rows = [
        (*box.corners, *np.maximum(image.size or 0, (example.height, example.width))[::-1], image.normalised)
        for image, example in read
        for box in image.boxes
        if all(map(math.isfinite, box.corners))
    ]
    table = np.array(rows, np.float64).reshape(-1, 7)
    return table[:, :4], table[:, 4:6], table[:, 6].astype(bool)


def _check_points(boxes: np.ndarray) -> str | None:
    flat = (boxes[:, 2:] == boxes[:, :2]).any(1)
    if len(boxes) < FEW or _share(flat) <= MOST:
        return None
    return (
        f"{flat.sum()} of {len(boxes)} boxes have no width or no height; are they points? Draw boxes around the "
        "objects, or delete these."
    )


def _check_fractions(boxes: np.ndarray, sizes: np.ndarray) -> str | None:
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    if _share((centres > 1).any(1)) > MOST:
        as_pixels = _share((boxes[:, 2:] <= sizes + ROUNDING).all(1)) >= ALL
        for whole, what in ((100, "percent"), (1000, "parts of 1000")):
            # Boxes in pixels of images that are far larger would not all lie in their first corner.
            if _share((boxes <= whole * 1.01).all(1)) >= ALL and not (as_pixels and sizes.min() < 2 * whole):
                return (
                    f"most boxes lie outside their images, and all labels are between 0 and {whole}; are they {what} "
                    f"of the image? Divide them by {whole}."
                )
        return (
            "most boxes lie outside their images, as the labels are no fractions of the image; are they in pixels? "
            "Divide x and width by the image's width, y and height by its height."
        )
    far = (boxes[:, 2:] > 2).all(1)
    if far.sum() >= FEW and _share(far) > SOME:
        return (
            f"{far.sum()} of {len(boxes)} boxes lie far outside their images, as these labels are no fractions of the "
            "image; are they in pixels? Write fractions for these, too."
        )
    outside = ((boxes < -BORDER) | (boxes > 1 + BORDER)).any(1)
    # Corners that were read as centre and sides: the sides are the right and bottom corner.
    as_corners = (sides > centres) & (sides <= 1 + BORDER)
    if len(boxes) >= FEW and _share(outside) > MANY and _share(as_corners.all(1)) >= ALL:
        return (
            "many boxes stick out of their images, and all fit as corners; are they left, top, right, bottom? Write "
            "centre x, centre y, width and height."
        )
    out = (boxes[:, :2] < -BORDER).any(1)
    if _meant_otherwise(out, ((centres > -BORDER) & (centres + sides < 1 + BORDER)).all(1)):
        return (
            f"{out.sum()} of {len(boxes)} boxes stick out of their images at the left or the top, and all fit with "
            "the left top corner in the place of the centre; are they left, top, width, height? Write centre x, centre "
            "y, width and height."
        )
    return None


def _check_percent(boxes: np.ndarray, sizes: np.ndarray, images: int) -> str | None:
    """For boxes in pixels: objects of several large images do not all lie spread over the first 100 pixels."""
    if len(boxes) < 20 or images < 5 or sizes.min() < 400 or boxes.min() < -ROUNDING or boxes.max() > 100 + ROUNDING:
        return None
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    if boxes[:, 2:].max(0).min() < 80 or np.ptp(centres, axis=0).min() < 30:  # as of a clock in the corner of a video
        return None
    width, height = sizes.min(0)
    return (
        f"all {len(boxes)} boxes lie between 0 and 100, in images of {width:g}x{height:g} pixels or more; are they "
        "percent of the image? Write pixels."
    )


def _check_pixels(boxes: np.ndarray, sizes: np.ndarray) -> str | None:
    sides = boxes[:, 2:] - boxes[:, :2]
    tiny = (np.abs(boxes) <= 2).all(1) & (sides <= 1).all(1) & (sizes > 8).all(1)
    if _share(tiny) >= ALL and (sides > 0).any():
        return "the boxes are smaller than a pixel; are they fractions of the image? Write pixels."
    fractions = tiny & (boxes != np.round(boxes)).any(1)
    if fractions.sum() >= FEW and _share(fractions) > SOME:
        return (
            f"{fractions.sum()} of {len(boxes)} boxes are smaller than a pixel, in the first pixels of their images; "
            "are they fractions of the image? Write pixels for these, too."
        )
    far = (boxes[:, 2:] > FAR * sizes).any(1)
    if len(boxes) >= FEW and _share(far) > MANY:
        across, down = boxes[:, 2:].max(0)
        return (
            f"{far.sum()} of {len(boxes)} boxes reach far out of their images, up to ({across:g}, {down:g}); were they "
            "drawn on larger images, or are they parts of 1000 of the image? Scale them to the pixels of the files."
        )
    return None


def _check_sizes(boxes: np.ndarray, sizes: np.ndarray) -> str | None:
    """For left, top, width and height (COCO)."""
    sides = boxes[:, 2:] - boxes[:, :2]
    as_corners = (sides > boxes[:, :2]) & (sides <= sizes + ROUNDING)
    out = (boxes[:, 2:] > sizes + ROUNDING).any(1)
    if len(boxes) >= FEW and _share(out) > MANY and _share(as_corners.all(1)) >= ALL:
        return (
            "many boxes stick out of their images at the right or the bottom, and all fit as corners; are they left, "
            "top, right, bottom? Write left, top, width and height."
        )
    out = (boxes[:, 2:] > sizes * (1 + BORDER) + ROUNDING).any(1)
    as_centres = (boxes[:, :2] > sides / 2 - ROUNDING) & (boxes[:, :2] + sides / 2 < sizes + ROUNDING)
    if _meant_otherwise(out, as_centres.all(1)):
        return (
            f"{out.sum()} of {len(boxes)} boxes stick out of their images at the right or the bottom, and all fit with "
            "the centre in the place of the left top corner; are they centre x, centre y, width, height? Write left, "
            "top, width and height."
        )
    return _check_pixels(boxes, sizes)


def _check_corners(boxes: np.ndarray, sizes: np.ndarray) -> str | None:
    """For left, top, right and bottom (Pascal VOC)."""
    sides = boxes[:, 2:] - boxes[:, :2]
    as_sizes = boxes[:, :2] + boxes[:, 2:] <= sizes + ROUNDING
    if len(boxes) >= FEW and _share((sides < 0).any(1)) > MOST and _share(as_sizes.all(1)) >= ALL:
        return (
            "most boxes have their right side left of the left one, and all fit as sizes; are they left, top, width, "
            "height? Write corners."
        )
    return _check_pixels(boxes, sizes)


_CHECKS = {"COCO": _check_sizes, "Pascal VOC": _check_corners}


def _meant_otherwise(out: np.ndarray | np.bool_, fits: np.ndarray) -> bool:
    """Whether boxes mean another reading: many stick out at two sides of their images as they are read, and all fit so.

    Boxes that are read rightly and drawn carelessly stick out at all sides, and as many lie so near the other two that
    the other reading puts them outside.
    """
    return bool(
        out.sum() >= SEVERAL and _share(out) > SOME and _share(fits) >= ALL and TEN * (~fits).sum() <= out.sum()
    )


def _share(found: np.ndarray | np.bool_) -> float:
    return float(np.mean(found))
