"""Pascal VOC's average precision, for comparison with results that were published in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

__all__ = ["VocPrecision", "evaluate_voc"]

# In floating point the steps 0.3, 0.6 and 0.7 are slightly too large, so that a recall of 3 in 10 does not reach 0.3.
# The published implementations do the same, so published values contain it.
ELEVEN = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class VocPrecision:
    """Average precision of one class, in [0, 1], interpolated in the two ways of Pascal VOC.

    With p(r) the best precision at recall r or more:

    Attributes:
        eleven_point: the mean of p over the recalls 0, 0.1, ..., 1 (VOC 2007).
        every_point: the area under p (VOC 2010 and later).
    """

    eleven_point: float
    every_point: float


def evaluate_voc(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], iou_threshold: float = 0.5
) -> dict[str, VocPrecision]:
    """Average precision of every class that has objects, by the rule of Pascal VOC.

    Detections are taken from the most confident on. Each is compared with the one object of its class and image that it
    overlaps most. It is right if their IoU is at least the threshold and no more confident one was right about that
    object. (COCO's rule would try the next object.) Corners are pixels that belong to the box, so [l, t, w, h] covers
    (w + 1) (h + 1) of them. Detections of crowds (VOC's difficult objects) count neither way.

    Args:
        ground_truth: a COCO dictionary, as for `evaluate_coco`.
        results: COCO results.
        iou_threshold: in (0, 1].

    Example:
        >>> truth = {
        ...     "images": [{"id": 1, "width": 100, "height": 100}],
        ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50]}],
        ...     "categories": [{"id": 1, "name": "cell"}],
        ... }
        >>> wrong, right = ([{"image_id": 1, "category_id": 1, "bbox": [x, 10, 50, 50], "score": s}]
        ...                 for x, s in ((80, 0.9), (12, 0.8)))
        >>> evaluate_voc(truth, wrong + right)["cell"]  # the second detection is right: precision 1/2 at recall 1
        VocPrecision(eleven_point=0.5, every_point=0.5)

    References:
        Everingham et al. 2010, The Pascal Visual Object Classes (VOC) Challenge, section 4.2.
    """
    names = {category["id"]: category["name"] for category in ground_truth["categories"]}
    objects: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in ground_truth["annotations"]:
        objects[annotation["category_id"]].append(annotation)
    return {
        names[category]: _precision(members, [r for r in results if r["category_id"] == category], iou_threshold)
        for category, members in sorted(objects.items())
        if not all(member.get("iscrowd") for member in members)
    }


def _precision(
    objects: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]], iou_threshold: float
) -> VocPrecision:
    in_image: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for one in objects:
        in_image[one["image_id"]].append(one)
    found: set[tuple[Any, int]] = set()
    right = []
    for result in sorted(results, key=lambda r: -r["score"]):
        candidates = in_image[result["image_id"]]
        ious = [_iou(result["bbox"], candidate["bbox"]) for candidate in candidates]
        best = int(np.argmax(ious)) if ious else -1
        overlaps = bool(ious) and ious[best] >= iou_threshold
        if overlaps and candidates[best].get("iscrowd"):
            continue
        key = (result["image_id"], best)
        right.append(overlaps and key not in found)
        if overlaps:
            found.add(key)
    return _interpolate(np.array(right, dtype=bool), sum(not one.get("iscrowd") for one in objects))


def _interpolate(right: Bool[np.ndarray, " N"], count: int) -> VocPrecision:
    true_positives = np.cumsum(right)
    recall = true_positives / count
    precision = true_positives / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # at this recall or more
    at = np.searchsorted(recall, ELEVEN)
    eleven = np.append(best, 0.0)[at]  # 0 at recalls that are not reached
    return VocPrecision(float(eleven.mean()), float((np.diff(recall, prepend=0.0) * best).sum()))


def _iou(a_ltwh: Sequence[float | int], b_ltwh: Sequence[float | int]) -> float:
    """IoU of boxes whose corners are pixels that belong to them."""
    a, b = (np.array([left, top, left + w + 1, top + h + 1]) for left, top, w, h in (a_ltwh, b_ltwh))
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    intersection = sides.prod()
    return float(intersection / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - intersection))
