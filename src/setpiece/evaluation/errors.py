"""What kinds of errors a detector makes, and what AP50 each costs: the breakdown of TIDE."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from setpiece.evaluation.coco import check_images, numbered
from setpiece.evaluation.matches import LIMIT, SAME, ClassMatches, iou_with, on_crowds, take, xyxy
from setpiece.evaluation.precision import average_precision

__all__ = ["KINDS", "Breakdown", "DetectionError", "Kind", "Shown", "error_breakdown"]

Kind = Literal["classification", "localisation", "both", "duplicate", "background", "missed"]
KINDS: dict[Kind, str] = {
    "classification": "on an object (IoU 0.5 or more), of another class",
    "localisation": "of the right class, with an IoU of 0.1 to 0.5",
    "both": "of another class, with an IoU of 0.1 to 0.5",
    "duplicate": "on an object that a more confident detection has found",
    "background": "on nothing (IoU below 0.1)",
    "missed": "an object that no detection is on, not even as one of the first two errors",
}

ON_OBJECT = ("classification", "localisation")  # errors of which the object is not missed
BACKGROUND = 0.1  # IoU below which a detection is on nothing
Annotation = Mapping[str, Any]


@dataclass(frozen=True)
class DetectionError:
    """A detection that is wrong, or an object that is missed.

    Attributes:
        kind: of `KINDS`.
        image_id: of the data set.
        detection: the COCO result; None for a missed object.
        object: the annotation that it is about; None where it is on nothing.
    """

    kind: Kind
    image_id: int
    detection: Annotation | None
    object: Annotation | None


@dataclass(frozen=True)
class Shown:
    """An object, and the detections that are on it: the one that found it, and classification or localisation errors.

    Attributes:
        image_id: of the data set.
        object: the annotation.
        detections: COCO results; the object is missed where there is none.
    """

    image_id: int
    object: Annotation
    detections: tuple[Annotation, ...]


@dataclass(frozen=True)
class Breakdown:
    """All errors, and what they cost.

    Attributes:
        ap50: as it is.
        errors: the most confident first; missed objects last.
        costs: by kind, how much AP50 rises where only the errors of that kind are put right.
        objects: every object that is no crowd.
    """

    ap50: float
    errors: tuple[DetectionError, ...]
    costs: dict[Kind, float]
    objects: tuple[Shown, ...]

    def counts(self) -> dict[Kind, int]:
        """How many errors there are of each kind."""
        return self.counts_at([{}])[0]

    def counts_at(self, thresholds: Sequence[Mapping[int, float]]) -> list[dict[Kind, int]]:
        """How many errors there are of each kind where only detections with enough confidence are looked at.

        No detection is of another kind then, since the more confident ones take their objects first; but objects are
        missed whose detections are left out.

        Args:
            thresholds: several choices of the least confidence of each category, 0 where a category is not named.
        """
        names: list[Kind] = list(KINDS)
        wrong = [(error.detection, names.index(error.kind)) for error in self.errors if error.detection is not None]
        kinds = np.array([kind for _, kind in wrong], np.int64)
        scores, categories = _scored([detection for detection, _ in wrong])
        on = [(number, each) for number, of in enumerate(self.objects) for each in of.detections]
        places = np.array([number for number, _ in on], np.int64)
        scores_on, categories_on = _scored([each for _, each in on])
        counted = []
        for least in thresholds:
            kept = scores >= [least.get(category, 0.0) for category in categories]
            kept_on = scores_on >= [least.get(category, 0.0) for category in categories_on]
            counts = np.bincount(kinds[kept], minlength=len(names))
            counts[names.index("missed")] = len(self.objects) - len(np.unique(places[kept_on]))
            counted.append(dict(zip(names, counts.tolist(), strict=True)))
        return counted


def _scored(detections: Sequence[Annotation]) -> tuple[Float[np.ndarray, " N"], list[int]]:
    return np.array([each["score"] for each in detections], np.float64), [each["category_id"] for each in detections]


@dataclass
class _Image:
    """The detections and objects of an image, matched class by class at an IoU of 0.5.

    What is neither taken nor wrong lies on a crowd.
    """

    image_id: int
    detections: list[Annotation]  # the most confident first
    objects: list[Annotation]  # no crowds
    taken: dict[int, int]  # right detection -> object
    wrong: dict[int, tuple[Kind, int]]  # wrong detection -> kind, and the object that it is about or -1

    def shown(self) -> dict[int, list[int]]:
        """Of each object the detections that are on it: the right one, and classification or localisation errors."""
        on: dict[int, list[int]] = {m: [] for m in range(len(self.objects))}
        for d, m in self.taken.items():
            on[m].append(d)
        for d, (kind, m) in self.wrong.items():
            if kind in ON_OBJECT:
                on[m].append(d)
        return on


def error_breakdown(ground_truth: Mapping[str, Any], results: Sequence[Annotation]) -> Breakdown:
    """Say of every wrong detection why it is wrong, and what AP50 would be without the errors of each kind.

    A detection is wrong where it finds no object at an IoU of 0.5, see `class_matches`. It is put right so: a
    classification or localisation error becomes a right detection of its object, the most confident one of each object,
    where no other has found it; every other wrong detection is removed; a missed object is no longer counted. A class
    of which all are missed has an AP of 1 then, or of 0 where something wrong was detected. Costs do not add up to what
    is missing: errors hide each other.

    Args:
        ground_truth: a COCO dictionary, see `evaluate_coco`.
        results: COCO results.

    Raises:
        DataError: a result belongs to an image that the ground truth does not have.

    References:
        Bolya et al., TIDE: A General Toolbox for Identifying Object Detection Errors, arXiv 2008.08115, section 2.

    Example:
        >>> truth = {
        ...     "images": [{"id": 1}],
        ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}],
        ...     "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        ... }
        >>> found = [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 10, 10], "score": 0.9}]
        >>> breakdown = error_breakdown(truth, found)
        >>> breakdown.errors[0].kind, breakdown.ap50, round(breakdown.costs["classification"], 3)
        ('classification', 0.0, 1.0)
    """
    check_images(ground_truth, results)
    images = _images(ground_truth, results)
    ap50 = _ap50(ground_truth, images, None)
    costs = {kind: _ap50(ground_truth, images, kind) - ap50 for kind in KINDS}
    objects = [
        Shown(image.image_id, image.objects[m], tuple(image.detections[d] for d in on))
        for image in images
        for m, on in image.shown().items()
    ]
    wrong = [
        (image.detections[d]["score"], DetectionError(kind, image.image_id, image.detections[d], about))
        for image in images
        for d, (kind, m) in image.wrong.items()
        for about in [image.objects[m] if m >= 0 else None]
    ]
    wrong.sort(key=lambda each: -each[0])
    missed = [DetectionError("missed", of.image_id, None, of.object) for of in objects if not of.detections]
    return Breakdown(ap50, (*(error for _, error in wrong), *missed), costs, tuple(objects))


def _images(ground_truth: Mapping[str, Any], results: Sequence[Annotation]) -> list[_Image]:
    objects: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in numbered(ground_truth.get("annotations", [])):
        objects[annotation["image_id"]].append(annotation)
    detections: dict[int, list[Annotation]] = defaultdict(list)
    per_class: dict[tuple[int, int], int] = defaultdict(int)
    for result in sorted(results, key=lambda each: -each["score"]):
        key = result["image_id"], result["category_id"]
        per_class[key] += 1
        if per_class[key] <= LIMIT:
            detections[result["image_id"]].append(result)
    images = []
    for image in ground_truth["images"]:
        there = objects[image["id"]]
        single = [each for each in there if not each["iscrowd"]]
        crowds = [each for each in there if each["iscrowd"]]
        found = detections[image["id"]]
        images.append(_image(image["id"], found, single, crowds))
    return images


def _image(
    image_id: int, detections: list[Annotation], objects: list[Annotation], crowds: Sequence[Annotation]
) -> _Image:
    iou = iou_with(xyxy(detections), xyxy(objects))
    classes, of_objects = (np.array([each["category_id"] for each in of], np.int64) for of in (detections, objects))
    same = classes[:, None] == of_objects[None]
    taken = {d: int(m) for d, m in enumerate(take(np.where(same, iou, -1.0), SAME)) if m >= 0}
    hidden = on_crowds(detections, crowds)
    wrong = {d: _kind(iou[d], same[d]) for d in range(len(detections)) if d not in taken and not hidden[d]}
    return _Image(image_id, detections, objects, taken, wrong)


def _kind(iou: Float[np.ndarray, " M"], same: Bool[np.ndarray, " M"]) -> tuple[Kind, int]:
    """The kind of a wrong detection, and the object that it is about.

    Args:
        iou: with each object of the image.
        same: whether that is of the same class.
    """
    if iou.max(initial=0.0) < BACKGROUND:
        return "background", -1
    own, others = np.where(same, iou, 0), np.where(same, 0, iou)
    if BACKGROUND <= own.max() < SAME:
        return "localisation", int(own.argmax())
    if others.max() >= SAME:
        return "classification", int(others.argmax())
    if own.max() >= SAME:
        return "duplicate", int(own.argmax())
    return "both", int(iou.argmax())


def _ap50(ground_truth: Mapping[str, Any], images: Sequence[_Image], right: Kind | None) -> float:
    """The mean AP50 of the classes that have objects, with the errors of one kind put right."""
    rows: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    objects: dict[int, int] = defaultdict(int)
    for image in images:
        for m, on in image.shown().items():
            objects[image.objects[m]["category_id"]] += bool(on) or right != "missed"
        found = set(image.taken.values())
        for d, detection in enumerate(image.detections):  # in this order, on which AP depends where scores are alike
            kind, m = image.wrong.get(d, (None, -1))
            if d in image.taken:
                rows[detection["category_id"]].append((detection["score"], True))
            elif kind is not None and kind != right:
                rows[detection["category_id"]].append((detection["score"], False))
            elif kind in ON_OBJECT and m not in found:
                found.add(m)
                rows[image.objects[m]["category_id"]].append((detection["score"], True))
    had = {each["category_id"] for image in images for each in image.objects}
    values = []
    for category in ground_truth["categories"]:
        ranked = sorted(rows[category["id"]], key=lambda row: -row[0])
        true = np.array([[found for _, found in ranked]], np.bool_).reshape(1, -1)
        scores, nowhere = np.array([score for score, _ in ranked]), np.zeros(len(ranked), np.int64)
        count = np.array([objects[category["id"]]])
        of_class = ClassMatches(category["name"], scores, nowhere, true, np.zeros_like(true), count)
        emptied = not count[0] and category["id"] in had  # all of its objects were missed
        values.append(float(not ranked) if emptied else average_precision(of_class)[0])
    measured = [value for value in values if not np.isnan(value)]
    return float(np.mean(measured)) if measured else float("nan")
