"""All that an evaluation says: COCO's metrics, how sure they are, thresholds, errors, confusions, calibration."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64
from rich.box import SIMPLE
from rich.table import Column, Table

from setpiece.evaluation.calibration import Calibration, calibration
from setpiece.evaluation.coco import CocoMetrics, evaluate_coco, numbered
from setpiece.evaluation.errors import KINDS, Breakdown, Kind, error_breakdown
from setpiece.evaluation.matches import SAME, class_matches, iou_with, on_crowds, xyxy
from setpiece.evaluation.numbers import in_words, listed, or_none
from setpiece.evaluation.precision import Interval, bootstrap
from setpiece.evaluation.thresholds import DEFAULT, Curve, curve

__all__ = ["Analysis", "analyse", "confusion_matrix", "few_images"]

NAMED = 8  # classes in a line
FEW = 60  # images: with fewer the intervals are too narrow


@dataclass(frozen=True)
class Analysis:
    """What an evaluation says.

    Attributes:
        metrics: COCO's.
        images: how many were evaluated.
        ap: the interval of AP, see `precision.bootstrap`.
        ap50: likewise.
        curves: of every class.
        breakdown: of the errors, at any confidence.
        errors: how many there are of each kind at the best threshold of each class.
        calibration: of the confidences.
        confusion: see `confusion_matrix`, with the best threshold of each class.
    """

    metrics: CocoMetrics
    images: int
    ap: Interval
    ap50: Interval
    curves: tuple[Curve, ...]
    breakdown: Breakdown
    errors: dict[Kind, int]
    calibration: Calibration
    confusion: Int64[np.ndarray, "C1 C1"]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; COCO's numbers under their own names, and None for what cannot be measured."""
        return self.metrics.to_dict() | {
            "images": self.images,
            "intervals": {"AP": self.ap.to_list(), "AP50": self.ap50.to_list()},
            "thresholds": {of.name: or_none(of.best) for of in self.curves},
            "at_best_threshold": {
                of.name: dict(zip(("precision", "recall", "F1"), map(or_none, of.at(of.best)), strict=True))
                for of in self.curves
            },
            "errors": {
                kind: {"count": count, "AP50": or_none(self.breakdown.costs[kind])}
                for kind, count in self.errors.items()
            },
            "confusion": self.confusion.tolist(),
            "calibration_error": or_none(self.calibration.error),
        }

    def tables(self) -> list[Table]:
        """For a terminal: COCO's numbers, classes with their best thresholds, and the kinds of errors."""
        name = Column("class", overflow="fold", min_width=8)
        classes = Table(name, title="per class, with the threshold of the best F1", box=SIMPLE, padding=0)
        for column in ("objects", "AP", "AP50", "AR100", "threshold", "precision", "recall", "F1"):
            classes.add_column(column, justify="right", no_wrap=True)
        for of, numbers in zip(self.curves, self.metrics.per_class.values(), strict=True):
            classes.add_row(of.name, str(of.objects), *map(in_words, (*numbers.values(), of.best, *of.at(of.best))))
        errors = Table(
            "error", "is", title="errors at these thresholds, and what AP50 gains without all of a kind", box=SIMPLE
        )
        for column in ("count", "AP50"):
            errors.add_column(column, justify="right")
        for kind, count in self.errors.items():
            errors.add_row(kind, KINDS[kind], str(count), in_words(self.breakdown.costs[kind], "+.3f"))
        return [self.metrics.table(), classes, errors]

    def lines(self) -> list[str]:
        """In a few lines: how sure AP is, the threshold of each class, and the kinds of errors by what they cost."""
        costs = sorted(self.breakdown.costs.items(), key=lambda each: -each[1])
        errors = ", ".join(f"{kind} {self.errors[kind]} ({in_words(cost, '+.2f')})" for kind, cost in costs)
        return [
            self.sentence(),
            self._thresholds(),
            f"Errors at these thresholds, and what AP50 would gain without all of a kind: {errors}.",
        ]

    def _thresholds(self) -> str:
        known = [of for of in self.curves if not math.isnan(of.best)]
        shown = [f"{of.name} {of.best:.2f}" for of in known]
        unknown = [of.name for of in self.curves if math.isnan(of.best)]
        said = f"Thresholds of the best F1: {listed(shown, NAMED)}." if known else ""
        if unknown:
            said += f" {listed(unknown, NAMED)} {'has' if len(unknown) == 1 else 'have'} none, so {DEFAULT} is taken."
        return said.strip()

    def sentence(self) -> str:
        """How sure AP is."""
        if math.isnan(self.metrics.AP):
            return "There are no objects to measure AP on."
        ap, ap50 = f"AP {self.metrics.AP:.3f}", f"AP50 {self.metrics.AP50:.3f}"
        if math.isnan(self.ap.low):
            return f"{ap}, {ap50}. How sure that is cannot be said from one image."
        said = f"{ap} with a 95 % confidence interval from {self.ap}, {ap50} from {self.ap50} (bootstrap over images)."
        return " ".join([said, *few_images(self.images)])


def few_images(images: int) -> list[str]:
    """A sentence where intervals over so many images are too narrow."""
    return [f"{images} images are few: the true intervals are wider."] if images < FEW else []


def analyse(ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> Analysis:
    """Everything above, of one ground truth and its results.

    Args:
        ground_truth: a COCO dictionary, see `evaluate_coco`.
        results: COCO results.

    Raises:
        DataError: a result belongs to an image that the ground truth does not have.
    """
    matches = class_matches(ground_truth, results)
    curves = tuple(map(curve, matches))
    ap, ap50 = bootstrap(matches)
    categories = [category["id"] for category in ground_truth["categories"]]
    thresholds = dict(zip(categories, (of.threshold for of in curves), strict=True))
    above = [one for one in results if one["score"] >= thresholds.get(one["category_id"], math.inf)]
    breakdown = error_breakdown(ground_truth, results)
    return Analysis(
        evaluate_coco(ground_truth, results),
        len(ground_truth["images"]),
        ap,
        ap50,
        curves,
        breakdown,
        breakdown.counts_at([thresholds])[0],
        calibration(matches),
        confusion_matrix(ground_truth, above),
    )


def confusion_matrix(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]]
) -> Int64[np.ndarray, "C1 C1"]:
    """What objects of each class are taken for: rows are classes, columns what is detected; the last is nothing.

    In each image detections and objects are paired, those of one class first and then those of two, and of either the
    pair with the largest IoU first, down to 0.5. So the diagonal is what recall counts, also where one query has two
    classes on one box. What is left over is a detection of nothing, or an object that is taken for nothing. Crowds are
    left out, and so is a detection that is left over and lies on a crowd of its class.

    Args:
        ground_truth: a COCO dictionary, see `evaluate_coco`.
        results: COCO results above whatever threshold is of interest.
    """
    index = {category["id"]: i for i, category in enumerate(ground_truth["categories"])}
    nothing = len(index)
    matrix = np.zeros((nothing + 1, nothing + 1), np.int64)
    objects: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    detections: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    crowds: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in numbered(ground_truth.get("annotations", [])):
        (crowds if annotation["iscrowd"] else objects)[annotation["image_id"]].append(annotation)
    for result in results:
        detections[result["image_id"]].append(result)
    for image in ground_truth["images"]:
        there, found = objects[image["id"]], detections[image["id"]]
        iou = iou_with(xyxy(found), xyxy(there))
        other = _categories(found)[:, None] != _categories(there)
        paired: set[tuple[str, int]] = set()
        for flat in np.lexsort((-iou.ravel(), other.ravel())):
            d, m = divmod(int(flat), iou.shape[1])
            if iou[d, m] < SAME:
                continue
            if ("found", d) not in paired and ("object", m) not in paired:
                paired |= {("found", d), ("object", m)}
                matrix[index[there[m]["category_id"]], index[found[d]["category_id"]]] += 1
        hidden = on_crowds(found, crowds[image["id"]])
        for d, each in enumerate(found):
            matrix[nothing, index[each["category_id"]]] += ("found", d) not in paired and not hidden[d]
        for m, each in enumerate(there):
            matrix[index[each["category_id"]], nothing] += ("object", m) not in paired
    return matrix


def _categories(of: Sequence[Mapping[str, Any]]) -> Int64[np.ndarray, " N"]:
    return np.array([each["category_id"] for each in of], np.int64)
