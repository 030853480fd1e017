"""All that an evaluation says: COCO's metrics, how sure they are, thresholds, errors, confusions, calibration."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64
from rich.table import Table

from setpiece.evaluation.calibration import Calibration, calibration
from setpiece.evaluation.coco import CocoMetrics, evaluate_coco, numbered
from setpiece.evaluation.errors import KINDS, Breakdown, error_breakdown
from setpiece.evaluation.matches import class_matches, iou_with, xyxy
from setpiece.evaluation.precision import Interval, bootstrap
from setpiece.evaluation.thresholds import DEFAULT, Curve, curve

__all__ = ["Analysis", "analyse", "confusion_matrix"]

SAME = 0.5  # IoU of a detection and its object


@dataclass(frozen=True)
class Analysis:
    """What an evaluation says.

    Attributes:
        metrics: COCO's.
        ap: the interval of AP, see `precision.bootstrap`.
        ap50: likewise.
        curves: of every class.
        breakdown: of the errors.
        calibration: of the confidences.
        confusion: see `confusion_matrix`, with the best threshold of each class.
    """

    metrics: CocoMetrics
    ap: Interval
    ap50: Interval
    curves: tuple[Curve, ...]
    breakdown: Breakdown
    calibration: Calibration
    confusion: Int64[np.ndarray, "C1 C1"]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; COCO's numbers under their own names, and None for what cannot be measured."""
        at_best = {of.name: of.at(of.best) if not math.isnan(of.best) else (math.nan,) * 3 for of in self.curves}
        return self.metrics.to_dict() | {
            "intervals": {
                name: [_or_none(of.low), _or_none(of.high)] for name, of in (("AP", self.ap), ("AP50", self.ap50))
            },
            "thresholds": {of.name: _or_none(of.best) for of in self.curves},
            "at_best_threshold": {
                name: {part: _or_none(value) for part, value in zip(("precision", "recall", "F1"), of, strict=True)}
                for name, of in at_best.items()
            },
            "errors": {
                kind: {"count": count, "AP50": _or_none(self.breakdown.costs[kind])}
                for kind, count in self.breakdown.counts().items()
            },
            "confusion": self.confusion.tolist(),
            "calibration_error": _or_none(self.calibration.error),
        }

    def tables(self) -> list[Table]:
        """For a terminal: classes with their best thresholds, and the kinds of errors."""
        classes = Table("class", title="per class, with the threshold of the best F1")
        for column in ("objects", "AP", "threshold", "precision", "recall", "F1"):
            classes.add_column(column, justify="right")
        for of in self.curves:
            found = of.at(of.best) if not math.isnan(of.best) else (math.nan,) * 3
            ap = self.metrics.per_class.get(of.name, {}).get("AP", math.nan)
            classes.add_row(of.name, str(of.objects), *map(_number, (ap, of.best, *found)))
        errors = Table("error", "is", title="what is wrong, and what AP50 would gain without it")
        for column in ("count", "AP50"):
            errors.add_column(column, justify="right")
        for kind, count in self.breakdown.counts().items():
            errors.add_row(kind, KINDS[kind], str(count), f"+{_number(self.breakdown.costs[kind])}")
        return [classes, errors]

    def sentence(self) -> str:
        """How sure AP is."""
        if math.isnan(self.ap.low):
            return "There are no objects to measure AP on."
        return (
            f"AP {self.metrics.AP:.3f} with a 95 % confidence interval from {self.ap}, AP50 {self.metrics.AP50:.3f} "
            f"from {self.ap50} (bootstrap over these images)."
        )


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
    best = (DEFAULT if math.isnan(of.best) else of.best for of in curves)
    thresholds = dict(zip(categories, best, strict=True))
    above = [one for one in results if one["score"] >= thresholds.get(one["category_id"], math.inf)]
    return Analysis(
        evaluate_coco(ground_truth, results),
        ap,
        ap50,
        curves,
        error_breakdown(ground_truth, results),
        calibration(matches),
        confusion_matrix(ground_truth, above),
    )


def confusion_matrix(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]]
) -> Int64[np.ndarray, "C1 C1"]:
    """What objects of each class are taken for: rows are classes, columns what is detected; the last is nothing.

    In each image detections and objects are paired whatever their classes, the pair with the largest IoU first, down to
    0.5. What is left over is a detection of nothing, or an object that is taken for nothing. Crowds are left out.

    Args:
        ground_truth: a COCO dictionary, see `evaluate_coco`.
        results: COCO results above whatever threshold is of interest.
    """
    index = {category["id"]: i for i, category in enumerate(ground_truth["categories"])}
    nothing = len(index)
    matrix = np.zeros((nothing + 1, nothing + 1), np.int64)
    objects: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    detections: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in numbered(ground_truth.get("annotations", [])):
        if not annotation["iscrowd"]:
            objects[annotation["image_id"]].append(annotation)
    for result in results:
        detections[result["image_id"]].append(result)
    for image in ground_truth["images"]:
        there, found = objects[image["id"]], detections[image["id"]]
        iou = iou_with(xyxy(found), xyxy(there))
        paired: set[tuple[str, int]] = set()
        for flat in np.argsort(-iou, axis=None, kind="stable"):
            d, m = divmod(int(flat), iou.shape[1])
            if iou[d, m] < SAME:
                break
            if ("found", d) not in paired and ("object", m) not in paired:
                paired |= {("found", d), ("object", m)}
                matrix[index[there[m]["category_id"]], index[found[d]["category_id"]]] += 1
        for d, each in enumerate(found):
            matrix[nothing, index[each["category_id"]]] += ("found", d) not in paired
        for m, each in enumerate(there):
            matrix[index[each["category_id"]], nothing] += ("object", m) not in paired
    return matrix


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"
