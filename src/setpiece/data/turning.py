"""Boxes that were drawn on the stored pixels of images which their EXIF orientation turns: those boxes say so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from setpiece.data.defects import Defect
from setpiece.data.formats.annotations import AnnotatedImage
from setpiece.data.images import ImageHeader

__all__ = ["as_drawn"]

FAR = 1.1  # of the upright image's side, to which no box reaches that is drawn carelessly
SOME = 0.1  # of the images that show the opposite
FEW = 3  # images, fewer of which say nothing of the others
ROUNDING = 1.0  # pixel


def as_drawn(
    images: Sequence[AnnotatedImage], headers: Sequence[ImageHeader | tuple[Defect, str]]
) -> list[AnnotatedImage]:
    """The images of a split, with the stored size where their boxes were drawn on the stored pixels.

    Those are images whose boxes reach far out of the upright image and fit the stored one; few among many whose boxes
    fit the upright image alone are wrong by themselves. Where there are several, and none of the others, images whose
    boxes fit both are of the same kind.
    """
    found = [_fits(image, header) for image, header in zip(images, headers, strict=True)]
    stored, upright = found.count("stored"), found.count("upright")
    wanted = {"stored"} if stored > SOME * upright else set()
    if stored >= FEW and not upright:
        wanted.add("both")
    return [
        replace(image, size=header.stored_size) if fits in wanted and isinstance(header, ImageHeader) else image
        for image, header, fits in zip(images, headers, found, strict=True)
    ]


def _fits(image: AnnotatedImage, header: ImageHeader | tuple[Defect, str]) -> str | None:
    """Which pixels the boxes fit: "stored", "upright" or "both"; None where that is not asked, or they fit neither."""
    if not isinstance(header, ImageHeader) or header.stored_size == header.upright_size or image.normalised:
        return None
    ends = np.array([box.corners[2:] for box in image.boxes if all(map(math.isfinite, box.corners))], np.float64)
    if not len(ends) or image.size not in (None, header.upright_size):
        return None
    stored, upright = (np.array(size[::-1]) for size in (header.stored_size, header.upright_size))
    if (ends <= stored + ROUNDING).all():
        return "stored" if (ends > FAR * upright).any() else "both"
    return "upright" if (ends <= upright + ROUNDING).all() else None
