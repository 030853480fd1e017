"""Annotations checked against the image files: each kind of defect has a rule and is counted."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable

import numpy as np

from setpiece.data.dataset import Example
from setpiece.data.defects import Defect, Defects, Place
from setpiece.data.formats.annotations import AnnotatedBox, AnnotatedImage
from setpiece.data.images import ImageHeader, TooLargeError, read_header
from setpiece.data.scaling import same_aspect
from setpiece.errors import DataError

__all__ = ["inspect", "repair", "without_lost"]

# Tolerance in pixels, because coordinates in text are rounded: a box must be larger, or further outside, to count.
NEGLIGIBLE = 0.01


def inspect(image: AnnotatedImage) -> ImageHeader | tuple[Defect, str]:
    """What an image file says of itself; why it has to be left out where it cannot be used, with an example to show."""
    where = str(image.path)
    if not os.path.isfile(image.path):
        return Defect.MISSING_IMAGE, where
    try:
        header = read_header(image.path)
    except TooLargeError as error:
        return Defect.TOO_LARGE_IMAGE, f"{where}, {error.size}"
    except DataError as error:
        return Defect.UNREADABLE_IMAGE, str(error).removesuffix(".")
    if header.truncated or header.broken:
        return Defect.BROKEN_IMAGE if header.broken else Defect.TRUNCATED_IMAGE, where
    return header


def repair(image: AnnotatedImage, header: ImageHeader | tuple[Defect, str], defects: Defects) -> Example | None:
    """Check one image and its boxes against the file; None where the image has to be left out.

    Where the file's size is not the declared one, the file's size is used, and boxes are read as pixels of the file;
    `to_file_sizes` has scaled those that were surely drawn at the declared size.

    Args:
        header: what `inspect` found.
        defects: counts what is found.
    """
    for kind, example in image.notes:
        defects.add(kind, Place(example, image.path))
    if not isinstance(header, ImageHeader):
        defects.add(*header)
        return None
    _note_colours(header, image, defects)
    upright = _is_upright(header, image, defects)
    height, width = header.upright_size if upright else header.stored_size
    _note_size(height, width, image, defects)

    boxes = _once(image, defects)
    kept = [(box, box_xyxy) for box in boxes if (box_xyxy := _inside(box, image, height, width, defects)) is not None]
    for box, box_xyxy in kept:
        for kind in box.notes:
            defects.add(kind, Place(f"{image.path.name}, {box.name}", image.path, box_xyxy, upright))
    boxes_xyxy = np.array([box_xyxy for _, box_xyxy in kept], np.float32).reshape(-1, 4)
    own_areas = [box.area if box.area is not None else math.nan for box, _ in kept]
    box_areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(1)
    return Example(
        image_id=image.image_id,
        path=image.path,
        height=height,
        width=width,
        boxes_xyxy=boxes_xyxy,
        labels=np.array([box.label for box, _ in kept], np.int64),
        crowd=np.array([box.crowd for box, _ in kept], np.bool_),
        areas=np.where(np.isnan(own_areas), box_areas, own_areas).astype(np.float32),
        upright=upright,
    )


def without_lost(examples: Iterable[Example], defects: Defects) -> tuple[Example, ...]:
    """Leave out images whose boxes lie outside, all of them: they show objects, so they are no background.

    Args:
        examples: as `repair` made them.
        defects: what was dropped; counts the images without objects, which are kept, and those that are left out.
    """
    outside = {place.image for place in defects.places.get(Defect.OUTSIDE_BOX, ())}
    kept = []
    for example in examples:
        lost = not len(example.labels) and example.path in outside
        if not len(example.labels):
            kind = Defect.OUTSIDE_IMAGE if lost else Defect.EMPTY_IMAGE
            defects.add(kind, Place(example.path.name, example.path, upright=example.upright))
        if not lost:
            kept.append(example)
    return tuple(kept)


def _once(image: AnnotatedImage, defects: Defects) -> list[AnnotatedBox]:
    """The boxes without those that repeat another one of the same class, corner by corner."""
    kept: dict[tuple[object, ...], AnnotatedBox] = {}
    for box in image.boxes:
        if kept.setdefault((box.label, box.corners, box.crowd), box) is not box:
            defects.add(Defect.DUPLICATE_BOX, _where(box, image))
    return list(kept.values())


def _note_colours(header: ImageHeader, image: AnnotatedImage, defects: Defects) -> None:
    name = Place(image.path.name, image.path)
    if header.pages > 1:
        defects.add(Defect.PAGES, Place(f"{name}, {header.pages} pages", image.path))
    if header.dark:
        defects.add(Defect.DARK, name)
    if header.invisible:
        defects.add(Defect.INVISIBLE, name)
    elif header.transparent:
        defects.add(Defect.TRANSPARENT, name)
    elif header.mode in ("1", "L"):
        defects.add(Defect.GREYSCALE, name)
    elif header.mode == "P":
        defects.add(Defect.PALETTE, name)
    elif header.spread:
        defects.add(Defect.SPREAD, name)
    elif header.mode == "F":
        defects.add(Defect.FLOATING, name)
    elif header.mode.startswith("I"):
        defects.add(Defect.SIXTEEN_BIT, name)
    elif header.mode != "RGB":
        defects.add(Defect.OTHER_COLOURS, Place(f"{name} ({header.mode})", image.path))


def _is_upright(header: ImageHeader, image: AnnotatedImage, defects: Defects) -> bool:
    """Whether the boxes refer to the upright image. The size tells, but not for a half turn or a mirrored image."""
    if header.orientation == 1:
        return True
    drawn_as_stored = image.size == header.stored_size != header.upright_size
    kind = Defect.NOT_TURNED if drawn_as_stored else Defect.TURNED
    defects.add(kind, Place(f"{image.path.name} (orientation {header.orientation})", image.path))
    return not drawn_as_stored


def _note_size(height: int, width: int, image: AnnotatedImage, defects: Defects) -> None:
    if image.size is None or image.size == (height, width):
        return
    declared_height, declared_width = image.size
    defects.add(
        Defect.OTHER_SIZE if same_aspect((height, width), image.size) else Defect.OTHER_ASPECT,
        Place(f"{image.path.name}, {width}x{height} where {declared_width}x{declared_height} is declared", image.path),
    )


def _inside(
    box: AnnotatedBox, image: AnnotatedImage, height: int, width: int, defects: Defects
) -> tuple[float, float, float, float] | None:
    """The part of the box that is inside the image, in pixels of the file; None where nothing is."""
    if not all(map(math.isfinite, box.corners)):
        defects.add(Defect.NOT_FINITE_BOX, _where(box, image))
        return None
    left, top, right, bottom = box.corners
    if image.normalised:
        left, top, right, bottom = left * width, top * height, right * width, bottom * height
    if min(right - left, bottom - top) < NEGLIGIBLE:
        swapped = min(right - left, bottom - top) < -NEGLIGIBLE
        defects.add(Defect.SWAPPED_BOX if swapped else Defect.ZERO_SIZE_BOX, _where(box, image))
        return None
    clipped = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    if clipped[2] - clipped[0] < NEGLIGIBLE or clipped[3] - clipped[1] < NEGLIGIBLE:
        defects.add(Defect.OUTSIDE_BOX, Place(f"{_where(box, image)}, image {width}x{height}", image.path))
        return None
    if max(abs(was - now) for was, now in zip((left, top, right, bottom), clipped, strict=True)) > NEGLIGIBLE:
        defects.add(Defect.CLIPPED_BOX, Place(f"{_where(box, image)}, image {width}x{height}", image.path))
    return clipped


def _where(box: AnnotatedBox, image: AnnotatedImage) -> Place:
    left, top, right, bottom = box.corners
    return Place(f"{image.path.name}, {box.name}, box ({left:g}, {top:g}) to ({right:g}, {bottom:g})", image.path)
