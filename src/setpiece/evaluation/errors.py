"""What kinds of errors a detector makes, and what AP50 each costs: the breakdown of TIDE."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from setpiece.evaluation.coco import check_images, numbered
from setpiece.evaluation.matches import LIMIT, THRESHOLDS, ClassMatches, iou_with, xyxy
from setpiece.evaluation.precision import average_precision

__all__ = ["KINDS", "Breakdown", "DetectionError", "Shown", "error_breakdown"]

Kind = Literal["classification", "localisation", "both", "duplicate", "background", "missed"]
KINDS: dict[Kind, str] = {
    "classification": "on an object (IoU 0.5 or more), of another class",
    "localisation": "of the right class, with an IoU of 0.1 to 0.5",
    "both": "of another class, with an IoU of 0.1 to 0.5",
    "duplicate": "on an object that a more confident detection has found",
    "background": "on nothing (IoU below 0.1)",
    "missed": "an object that no detection is on, not even as one of the first two errors",
}

FOREGROUND, BACKGROUND = 0.5, 0.1  # IoU
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
    """The detections and objects of an image, matched class by class at an IoU of 0.5."""

    image_id: int
    detections: list[Annotation]  # the most confident first
    objects: list[Annotation]  # no crowds
    crowds: list[Annotation]
    iou: Float[np.ndarray, "N M"]
    taken: dict[int, int] = field(default_factory=dict)  # object -> detection


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
    by_image = [list(_errors(image)) for image in images]
    objects = tuple(shown for image, errors in zip(images, by_image, strict=True) for shown in _shown(image, errors))
    ap50 = _ap50(ground_truth, images, by_image, None)
    costs = {kind: _ap50(ground_truth, images, by_image, kind) - ap50 for kind in KINDS}
    every = [error for errors in by_image for error in errors]
    every.sort(key=lambda error: -error.detection["score"] if error.detection is not None else np.inf)
    return Breakdown(ap50, tuple(every), costs, objects)


def _shown(image: _Image, errors: Sequence[DetectionError]) -> Iterator[Shown]:
    on = {m: [image.detections[d]] for m, d in image.taken.items()}
    place = {each["id"]: m for m, each in enumerate(image.objects)}
    for error in errors:
        if error.kind in ("classification", "localisation") and error.object is not None:
            on.setdefault(place[error.object["id"]], []).append(error.detection or {})
    for m, each in enumerate(image.objects):
        yield Shown(image.image_id, each, tuple(on.get(m, ())))


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
        images.append(_Image(image["id"], found, single, crowds, iou_with(xyxy(found), xyxy(single))))
        _match(images[-1])
    return images


def _match(image: _Image) -> None:
    for d, detection in enumerate(image.detections):
        free = [
            m
            for m, each in enumerate(image.objects)
            if m not in image.taken and each["category_id"] == detection["category_id"]
        ]
        if free:
            best = max(free, key=lambda m: (image.iou[d, m], m))  # of equal ones COCO takes the last
            if image.iou[d, best] >= THRESHOLDS[0]:
                image.taken[best] = d


def _errors(image: _Image) -> Iterator[DetectionError]:
    right = set(image.taken.values())
    shown = set(image.taken)  # objects that a detection is on, if only by mistake
    classes = np.array([each["category_id"] for each in image.objects])
    hidden = iou_with(xyxy(image.detections), xyxy(image.crowds), of_first=True)
    for d, detection in enumerate(image.detections):
        on_crowd = any(
            hidden[d, k] >= FOREGROUND and crowd["category_id"] == detection["category_id"]
            for k, crowd in enumerate(image.crowds)
        )
        if d in right or on_crowd:
            continue
        kind, m = _kind(image, d, classes == detection["category_id"])
        if kind in ("classification", "localisation"):
            shown.add(m)
        about = None if kind == "background" else image.objects[m]
        yield DetectionError(kind, image.image_id, detection, about)
    for m, each in enumerate(image.objects):
        if m not in shown:
            yield DetectionError("missed", image.image_id, None, each)


def _kind(image: _Image, d: int, same: np.ndarray) -> tuple[Kind, int]:
    """The kind of a wrong detection, and the object that it is about."""
    if not len(image.objects):
        return "background", -1
    own = np.where(same, image.iou[d], 0)
    others = np.where(same, 0, image.iou[d])
    if BACKGROUND <= own.max() < FOREGROUND:
        return "localisation", int(own.argmax())
    if others.max() >= FOREGROUND:
        return "classification", int(others.argmax())
    if own.max() >= FOREGROUND:
        return "duplicate", int(own.argmax())
    if image.iou[d].max() < BACKGROUND:
        return "background", -1
    return "both", int(image.iou[d].argmax())


def _ap50(
    ground_truth: Mapping[str, Any],
    images: Sequence[_Image],
    by_image: Sequence[Sequence[DetectionError]],
    right: Kind | None,
) -> float:
    """The mean AP50 of the classes that have objects, with the errors of one kind put right."""
    rows: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    objects: dict[int, int] = defaultdict(int)
    for image, errors in zip(images, by_image, strict=True):
        for each in image.objects:
            objects[each["category_id"]] += 1
        for d in image.taken.values():
            rows[image.detections[d]["category_id"]].append((image.detections[d]["score"], True))
        found = {image.objects[m]["id"] for m in image.taken}
        for error in errors:
            if error.kind != right:
                if error.detection is not None:
                    rows[error.detection["category_id"]].append((error.detection["score"], False))
            elif error.kind == "missed" and error.object is not None:
                objects[error.object["category_id"]] -= 1
            elif right in ("classification", "localisation") and error.detection is not None:
                about = error.object or {}
                if about["id"] not in found:  # the errors of an image are the most confident first
                    found.add(about["id"])
                    rows[about["category_id"]].append((error.detection["score"], True))
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
