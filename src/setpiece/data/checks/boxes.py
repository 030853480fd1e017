"""Boxes that are in order one by one, and unlikely: by their size, their shape, or beside each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from setpiece.data.checks.finding import Finding, Severity, counted, finding
from setpiece.data.checks.survey import Settings, Survey, box_place
from setpiece.data.dataset import Dataset, Example
from setpiece.data.defects import Place
from setpiece.records import STRIDE

__all__ = ["beside_each_other", "shapes", "sizes", "too_many"]

SMALL = 8  # pixels of a side at the input size, below which hardly anything is seen of an object
SOME = 0.1  # of the objects, from which on small ones are worth a larger input
LARGEST = 1024  # pixels; beyond this, tiles serve small objects better
SLIVER = 50  # times as long as wide
WHOLE = 0.98  # of the image, by area
SAME = 0.9  # IoU from which on two boxes are one object


def sizes(survey: Survey, settings: Settings) -> Iterator[Finding]:
    """Objects that are too small at the input size."""
    for split, dataset in survey.splits.items():
        pixels = [_sides(e) * settings.size.fit(e.height, e.width)[0] / e.height for e in dataset.examples]
        places = _where(dataset, [of < SMALL for of in pixels])
        every = np.concatenate([[], *(of[~e.crowd] for of, e in zip(pixels, dataset.examples, strict=True))])
        if len(places) <= SOME * len(every):
            continue
        size = settings.size.shortest
        wanted = size * SMALL / np.quantile(every, SOME, method="lower")
        larger = -(-int(np.ceil(wanted)) // STRIDE) * STRIDE
        advice = (
            f"train with --size {larger}: a step takes about {(larger / size) ** 2:.1f} times as long"
            if larger <= LARGEST
            else f"train with --size {LARGEST} at the cost of time, or cut the images up before"
        )
        share = f"{100 * len(places) / len(every):.0f} %"
        what = f"{share} of the objects ({len(places)}) have a side under {SMALL} pixels at an input size of {size}"
        yield finding("boxes.small", Severity.WARNING, split, places, what, advice)


def shapes(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Boxes of one pixel, slivers, and boxes of the whole image."""
    for split, dataset in survey.splits.items():
        kinds = {
            "one-pixel": (
                [_sides(e) <= 1 for e in dataset.examples],
                ("box has a side", "boxes have a side", "of one pixel or less"),
            ),
            "sliver": (
                [(_sides(e) > 1) & (_sides(e, longest=True) > SLIVER * _sides(e)) for e in dataset.examples],
                ("box is", "boxes are", f"over {SLIVER} times as long as wide"),
            ),
            "whole-image": (
                [_areas(e) >= WHOLE * e.height * e.width for e in dataset.examples],
                ("box covers", "boxes cover", f"{100 * WHOLE:.0f} % of the image or more"),
            ),
        }
        for kind, (found, (one, many, rest)) in kinds.items():
            if places := _where(dataset, found):
                advice = "look at them: such boxes are mostly slips of the mouse, or marks for the whole image"
                what = f"{counted(places, one, many)} {rest}"
                yield finding(f"boxes.{kind}", Severity.WARNING, split, places, what, advice)


def beside_each_other(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Two boxes on one object, of one class or of two."""
    for split, dataset in survey.splits.items():
        same: list[Place] = []
        other: list[Place] = []
        for example in dataset.examples:
            for first, second in _on_one_object(example):
                equal = example.labels[first] == example.labels[second]
                (same if equal else other).append(box_place(example, second))
        if same:
            pairs = counted(same, "pair of boxes of one class overlaps", "pairs of boxes of one class overlap")
            what = f"{pairs} by {SAME} (IoU) or more"
            advice = "delete one of each pair: two targets in one place cannot both be learned"
            yield finding("boxes.nearly-twice", Severity.WARNING, split, same, what, advice)
        if other:
            pairs = counted(other, "pair of boxes of two classes overlaps", "pairs of boxes of two classes overlap")
            what = f"{pairs} by {SAME} (IoU) or more"
            yield finding("boxes.two-classes", Severity.WARNING, split, other, what, "decide which class it is")


def too_many(survey: Survey, settings: Settings) -> Iterator[Finding]:
    """Images with more objects than the model has queries."""
    for split, dataset in survey.splits.items():
        crowded = [e for e in dataset.examples if (~e.crowd).sum() > settings.queries]
        places = [Place(f"{e.path.name}, {(~e.crowd).sum()} objects", e.path) for e in crowded]
        if places:
            most = max(int((~example.crowd).sum()) for example in crowded)
            images = counted(places, "image has", "images have")
            what = f"{images} more than {settings.queries} objects, up to {most}"
            advice = "nothing for sprint, which takes more queries by itself; a DETR cannot find them all"
            yield finding("boxes.more-than-queries", Severity.NOTE, split, places, what, advice)


def _sides(example: Example, *, longest: bool = False) -> Float[np.ndarray, " N"]:
    sides = example.boxes_xyxy[:, 2:] - example.boxes_xyxy[:, :2]
    return sides.max(1) if longest else sides.min(1)


def _areas(example: Example) -> Float[np.ndarray, " N"]:
    return (example.boxes_xyxy[:, 2:] - example.boxes_xyxy[:, :2]).prod(1)


def _where(dataset: Dataset, found: list[Bool[np.ndarray, " _"]]) -> list[Place]:
    """The boxes that are marked and no crowds, image by image."""
    return [
        box_place(example, int(index))
        for example, marked in zip(dataset.examples, found, strict=True)
        for index in np.flatnonzero(marked & ~example.crowd)
    ]


def _on_one_object(example: Example) -> Iterator[tuple[int, int]]:
    """The pairs of boxes, no crowds, whose IoU is `SAME` or more."""
    kept = np.flatnonzero(~example.crowd)
    boxes = example.boxes_xyxy[kept]
    corners = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    intersection = corners.clip(0).prod(-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    iou = intersection / (areas[:, None] + areas[None] - intersection)
    for first, second in zip(*np.nonzero(np.triu(iou >= SAME, 1)), strict=True):
        yield int(kept[first]), int(kept[second])
