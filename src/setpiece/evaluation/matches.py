"""COCO's greedy matching, kept detection by detection: what curves, intervals and errors are computed from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from setpiece.evaluation.coco import check_images, numbered

__all__ = ["LIMIT", "SAME", "THRESHOLDS", "ClassMatches", "class_matches", "iou_with", "on_crowds", "take", "xyxy"]

SAME = 0.5  # IoU from which on a detection is of an object
THRESHOLDS = np.linspace(SAME, 0.95, 10)  # of IoU, COCO's
LIMIT = 100  # detections of a class in an image, COCO's


@dataclass(frozen=True)
class ClassMatches:
    """All detections of one class over all images, the most confident first, and what they found.

    Attributes:
        name: of the class.
        scores: confidence of each detection.
        images: index of the image of each detection.
        found: whether it is matched with an object, at each of the IoU `THRESHOLDS`.
        ignored: whether it lies on a crowd and has no object, likewise: it counts neither way.
        objects: how many objects of the class each image has, without crowds.
    """

    name: str
    scores: Float[np.ndarray, "N"]
    images: Int64[np.ndarray, "N"]
    found: Bool[np.ndarray, "T N"]
    ignored: Bool[np.ndarray, "T N"]
    objects: Int64[np.ndarray, "I"]


def class_matches(
    ground_truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    thresholds: Float[np.ndarray, " T"] = THRESHOLDS,
) -> list[ClassMatches]:
    """Match the results of every class with its objects, as COCO does.

    In each image the detections of a class take an object each, the most confident first: of the objects that are free,
    the one with the largest IoU, if that reaches the threshold. A detection that finds none is ignored where it lies on
    a crowd, by the share of its own area.

    Args:
        ground_truth: a COCO dictionary, see `evaluate_coco`.
        results: COCO results.
        thresholds: of IoU, the lowest first; `THRESHOLDS`, or some of them where no others are needed.

    Returns:
        One record for each category, in the order of the ground truth.

    Raises:
        DataError: a result belongs to an image that the ground truth does not have.

    Example:
        >>> truth = {
        ...     "images": [{"id": 1}],
        ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50]}],
        ...     "categories": [{"id": 1, "name": "cell"}],
        ... }
        >>> found = [{"image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 40], "score": s} for s in (0.9, 0.8)]
        >>> [cell] = class_matches(truth, found)  # IoU 0.8: found at 0.5 to 0.8, by the first of the two
        >>> cell.found.sum(1).tolist()
        [1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    """
    check_images(ground_truth, results)
    index = {image["id"]: i for i, image in enumerate(ground_truth["images"])}
    objects: dict[tuple[int, int], list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in numbered(ground_truth.get("annotations", [])):
        objects[annotation["category_id"], annotation["image_id"]].append(annotation)
    detections: dict[tuple[int, int], list[Mapping[str, Any]]] = defaultdict(list)
    for result in results:
        detections[result["category_id"], result["image_id"]].append(result)
    return [_of_class(category, index, objects, detections, thresholds) for category in ground_truth["categories"]]


def _of_class(
    category: Mapping[str, Any],
    index: Mapping[int, int],
    objects: Mapping[tuple[int, int], list[Mapping[str, Any]]],
    detections: Mapping[tuple[int, int], list[Mapping[str, Any]]],
    thresholds: Float[np.ndarray, " T"],
) -> ClassMatches:
    scores: list[np.ndarray] = []
    images: list[np.ndarray] = []
    found: list[np.ndarray] = []
    ignored: list[np.ndarray] = []
    counts = np.zeros(len(index), np.int64)
    for image_id, i in index.items():
        there = objects.get((category["id"], image_id), [])
        crowd = np.array([bool(each["iscrowd"]) for each in there], np.bool_)
        counts[i] = (~crowd).sum()
        ranked = sorted(detections.get((category["id"], image_id), []), key=lambda each: -each["score"])[:LIMIT]
        if not ranked:
            continue
        matched, on_crowd = _match(xyxy(ranked), xyxy(there), crowd, thresholds)
        scores.append(np.array([each["score"] for each in ranked], np.float64))
        images.append(np.full(len(ranked), i, np.int64))
        found.append(matched)
        ignored.append(on_crowd)
    if not scores:
        nothing = np.zeros((len(thresholds), 0), np.bool_)
        return ClassMatches(category["name"], np.zeros(0), np.zeros(0, np.int64), nothing, nothing, counts)
    every = np.concatenate(scores)
    order = np.argsort(-every, kind="stable")
    return ClassMatches(
        category["name"],
        every[order],
        np.concatenate(images)[order],
        np.concatenate(found, 1)[:, order],
        np.concatenate(ignored, 1)[:, order],
        counts,
    )


def _match(
    detections: Float[np.ndarray, "N 4"],
    objects: Float[np.ndarray, "M 4"],
    crowd: Bool[np.ndarray, " M"],
    thresholds: Float[np.ndarray, " T"],
) -> tuple[Bool[np.ndarray, "T N"], Bool[np.ndarray, "T N"]]:
    """Which detections, the most confident first, find an object at each threshold; and which lie on a crowd."""
    least = np.minimum(thresholds, 1 - 1e-10)  # as COCO compares with them
    found = np.zeros((len(least), len(detections)), np.bool_)
    single = iou_with(detections, objects[~crowd])
    for t, threshold in enumerate(least):
        found[t] = take(single, threshold) >= 0
    on_crowd = iou_with(detections, objects[crowd], of_first=True).max(1, initial=0.0)
    return found, ~found & (on_crowd >= least[:, None])


def take(iou: Float[np.ndarray, "N M"], threshold: float) -> Int64[np.ndarray, " N"]:
    """The object that each detection takes, the most confident first; -1 where none is free with enough IoU.

    Example:
        >>> take(np.array([[0.6, 0.7], [0.1, 0.9], [0.8, 0.0]]), 0.5).tolist()
        [1, -1, 0]
    """
    taken = np.full(len(iou), -1)
    free = np.ones(iou.shape[1], np.bool_)
    for d in np.flatnonzero(iou.max(1, initial=0.0) >= threshold):  # the others, most of all, find nothing
        open_ious = np.where(free, iou[d], -1.0)
        best = len(open_ious) - 1 - int(open_ious[::-1].argmax())  # of equal ones COCO takes the last
        if open_ious[best] >= threshold:
            free[best], taken[d] = False, best
    return taken


def on_crowds(detections: Sequence[Mapping[str, Any]], crowds: Sequence[Mapping[str, Any]]) -> Bool[np.ndarray, " N"]:
    """Which results lie on a crowd of their class in the same image, with half of their area or more."""
    share = iou_with(xyxy(detections), xyxy(crowds), of_first=True)
    classes, of_crowds = (np.array([each["category_id"] for each in of], np.int64) for of in (detections, crowds))
    return ((share >= SAME) & (classes[:, None] == of_crowds[None])).any(1)


def iou_with(
    first: Float[np.ndarray, "N 4"], second: Float[np.ndarray, "M 4"], *, of_first: bool = False
) -> Float[np.ndarray, "N M"]:
    """IoU of every pair of boxes, xyxy; with `of_first` the intersection as a share of the first, COCO's for crowds."""
    sides = np.minimum(first[:, None, 2:], second[None, :, 2:]) - np.maximum(first[:, None, :2], second[None, :, :2])
    intersection = sides.clip(0).prod(-1)
    areas, others = ((of[:, 2:] - of[:, :2]).prod(1) for of in (first, second))
    union = areas[:, None] + (0 if of_first else others[None] - intersection)
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def xyxy(boxes: Sequence[Mapping[str, Any]]) -> Float[np.ndarray, "N 4"]:
    """The corners of annotations or results, whose `bbox` is [left, top, width, height]."""
    boxes_xywh = np.array([each["bbox"] for each in boxes], np.float64).reshape(-1, 4)
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], 1)
