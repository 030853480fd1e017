"""Boxes that were drawn on images of another size than the files have -> boxes of the files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from setpiece.data.defects import Defect
from setpiece.data.formats.annotations import AnnotatedBox, AnnotatedImage
from setpiece.data.images import ImageHeader

__all__ = ["same_aspect", "to_file_sizes"]

FEW = 3  # fewer boxes may fit by chance
NONE = 0.02  # of the boxes, since some of any data set are wrong by themselves
SOME = 0.1  # of the boxes
ROUNDING = 1.0  # pixel
UNLIKELY = math.log(1000)


def same_aspect(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether an image of one size (height, width) can be the other one resized, which rounds to whole pixels."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)


def to_file_sizes(
    images: Sequence[AnnotatedImage], headers: Sequence[ImageHeader | tuple[Defect, str]]
) -> list[AnnotatedImage]:
    """The images of a split, their boxes scaled where these were drawn at the declared size and the file has another.

    One box tells nothing, all of those files together do. Where files are smaller than declared, boxes that reach out
    of them and fit the declared size were drawn at that. Where files are larger, boxes of the file would reach out of
    the declared size: that none does is unlikely, the more so the more boxes there are.
    """
    ratios = [_ratio(image, header) for image, header in zip(images, headers, strict=True)]
    scaled = list(images)
    for smaller in (True, False):
        places = [place for place, ratio in enumerate(ratios) if ratio is not None and (ratio[1] < 1) == smaller]
        chosen = [(images[place], ratio) for place in places if (ratio := ratios[place]) is not None]
        if _drawn_as_declared(chosen, smaller=smaller):
            for place, (image, ratio) in zip(places, chosen, strict=True):
                scaled[place] = _scaled(image, ratio)
    return scaled


def _ratio(image: AnnotatedImage, header: ImageHeader | tuple[Defect, str]) -> tuple[float, float] | None:
    """Height and width of the file over those declared; None where they are equal, not known, or of another aspect."""
    if not isinstance(header, ImageHeader) or image.size is None or image.normalised or 0 in image.size:
        return None
    size = header.upright_size
    if image.size in (size, header.stored_size) or not same_aspect(size, image.size):
        return None
    return size[0] / image.size[0], size[1] / image.size[1]


def _drawn_as_declared(images: Sequence[tuple[AnnotatedImage, tuple[float, float]]], *, smaller: bool) -> bool:
    rows = [
        (*box.corners[2:], image.size[1], image.size[0], ratio[1], ratio[0])
        for image, ratio in images
        for box in image.boxes
        if image.size is not None and all(map(math.isfinite, box.corners))
    ]
    table = np.array(rows, np.float64).reshape(-1, 6)
    ends, declared, ratios = table[:, :2], table[:, 2:4], table[:, 4:]
    if len(table) < FEW or (ends > declared + ROUNDING).any(1).mean() > NONE:
        return False
    if smaller:
        return bool((ends > declared * ratios + ROUNDING).any(1).mean() > SOME)
    return float(np.log(ratios).sum()) > UNLIKELY


def _scaled(image: AnnotatedImage, ratio: tuple[float, float]) -> AnnotatedImage:
    assert image.size is not None
    (declared_height, declared_width), (vertical, horizontal) = image.size, ratio
    height, width = round(declared_height * vertical), round(declared_width * horizontal)
    note = f"{image.path.name}, {width}x{height} where {declared_width}x{declared_height} is declared"
    return replace(
        image,
        size=(height, width),
        boxes=[_scaled_box(box, vertical, horizontal) for box in image.boxes],
        notes=(*image.notes, (Defect.SCALED, note)),
    )


def _scaled_box(box: AnnotatedBox, vertical: float, horizontal: float) -> AnnotatedBox:
    left, top, right, bottom = box.corners
    corners = left * horizontal, top * vertical, right * horizontal, bottom * vertical
    area = None if box.area is None else box.area * vertical * horizontal
    return replace(box, corners=corners, area=area)
