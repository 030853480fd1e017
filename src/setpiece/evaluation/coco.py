"""COCO's twelve detection metrics, over all classes and per class."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from rich.box import SIMPLE
from rich.table import Table

from setpiece.errors import DataError
from setpiece.evaluation.numbers import in_words, or_none

__all__ = ["MEANINGS", "CocoMetrics", "check_images", "evaluate_coco", "numbered"]

MEANINGS = {
    "AP": "IoU 0.50 to 0.95, all sizes",
    "AP50": "IoU 0.50",
    "AP75": "IoU 0.75",
    "APs": "small, area below 32² pixels",
    "APm": "medium, 32² to 96²",
    "APl": "large, above 96²",
    "AR1": "recall with 1 detection per image",
    "AR10": "recall with 10",
    "AR100": "recall with 100",
    "ARs": "recall of small objects",
    "ARm": "recall of medium objects",
    "ARl": "recall of large objects",
}


@dataclass(frozen=True)
class CocoMetrics:
    """COCO's twelve numbers, each in [0, 1], or NaN where there is no object to measure it on.

    Average precision is the mean, over IoU thresholds t in {0.50, 0.55, ..., 0.95} and 101 recalls r, of the
    best precision at recall r or more; average recall is the mean over t of the highest recall reached.

    Attributes:
        AP, AP50, AP75: average precision over all t, at t = 0.50, at t = 0.75.
        APs, APm, APl: average precision of small (area < 32² pixels), medium and large (> 96²) objects.
        AR1, AR10, AR100: average recall with at most 1, 10, 100 detections per image and class.
        ARs, ARm, ARl: AR100 of small, medium and large objects.
        per_class: class name -> `{"AP": ..., "AP50": ..., "AR100": ...}`.
    """

    AP: float
    AP50: float
    AP75: float
    APs: float
    APm: float
    APl: float
    AR1: float
    AR10: float
    AR100: float
    ARs: float
    ARm: float
    ARl: float
    per_class: dict[str, dict[str, float]]

    def to_dict(self) -> dict[str, Any]:
        """The same names and numbers, ready for JSON: what has no objects to measure is None."""
        numbers = asdict(self)
        per_class = {name: _none_for_nan(values) for name, values in numbers.pop("per_class").items()}
        return {**_none_for_nan(numbers), "per_class": per_class}

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> CocoMetrics:
        """The inverse of `to_dict`.

        Example:
            >>> nothing = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cell"}]}
            >>> metrics = evaluate_coco(nothing, [])
            >>> CocoMetrics.from_dict(metrics.to_dict()).to_dict() == metrics.to_dict()
            True
        """
        per_class = {name: _nan_where_none(values) for name, values in numbers["per_class"].items()}
        return cls(**_nan_where_none({name: numbers[name] for name in MEANINGS}), per_class=per_class)

    def table(self) -> Table:
        """The twelve numbers, for a terminal."""
        table = Table("metric", "meaning", title="COCO metrics", box=SIMPLE)
        table.add_column("value", justify="right")
        for name, meaning in MEANINGS.items():
            table.add_row(name, meaning, in_words(getattr(self, name)), end_section=name == "APl")
        return table


def evaluate_coco(ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> CocoMetrics:
    """Measure results against a COCO ground truth, as pycocotools does.

    Neither argument is changed. Annotations are numbered anew from 1, because the reference implementation
    takes id 0 for "unmatched" and counts that object as missed.

    Args:
        ground_truth: a COCO dictionary with `images`, `annotations` and `categories`; boxes are
            [left, top, width, height] in pixels; an annotation without `area` has its box's area.
        results: COCO results, `{"image_id", "category_id", "bbox", "score"}` each.

    Returns:
        The twelve numbers, and AP, AP50 and AR100 of every category.

    Raises:
        DataError: a result belongs to an image that the ground truth does not have.

    Example:
        >>> truth = {
        ...     "images": [{"id": 1, "width": 100, "height": 100}],
        ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50]}],
        ...     "categories": [{"id": 1, "name": "cell"}],
        ... }
        >>> found = [{"image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 40], "score": 0.9}]
        >>> metrics = evaluate_coco(truth, found)  # the boxes' IoU is 0.8
        >>> round(metrics.AP50, 3), round(metrics.AP, 3), round(metrics.per_class["cell"]["AP"], 3)
        (1.0, 0.7, 0.7)

    References:
        https://cocodataset.org/#detection-eval; Lin et al. 2014, arXiv 1405.0312.
    """
    check_images(ground_truth, results)
    truth = COCO({**ground_truth, "annotations": numbered(ground_truth.get("annotations", []))})
    evaluation = COCOeval_faster(truth, truth.loadRes([dict(result) for result in results]), "bbox")
    evaluation.run()
    # The library appends recall at two more thresholds to COCO's twelve.
    twelve = zip(MEANINGS, evaluation.stats, strict=False)
    return CocoMetrics(**{name: _nan_for_none(v) for name, v in twelve}, per_class=_per_class(evaluation))


def check_images(ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> None:
    """Every result belongs to an image of the ground truth.

    Raises:
        DataError: one does not.
    """
    image_ids = {image["id"] for image in ground_truth["images"]}
    strangers = [result["image_id"] for result in results if result["image_id"] not in image_ids]
    if strangers:
        raise DataError(
            f"{len(strangers)} results belong to images that the ground truth does not have, the first to image "
            f"id {strangers[0]}; evaluate the results on the annotation file they were predicted for"
        )


def numbered(annotations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Annotations with ids from 1; where they do not say, their area is that of the box, and they are no crowds."""
    return [
        {"area": a["bbox"][2] * a["bbox"][3], "iscrowd": 0, **a, "id": number}
        for number, a in enumerate(annotations, start=1)
    ]


def _per_class(evaluation: COCOeval_faster) -> dict[str, dict[str, float]]:
    precision = evaluation.eval["precision"]  # (IoU thresholds, recalls, classes, areas, detection limits)
    recall = evaluation.eval["recall"]  # (IoU thresholds, classes, areas, detection limits)
    categories = evaluation.cocoGt.loadCats(evaluation.params.catIds)
    shared = {name for name, count in Counter(c["name"] for c in categories).items() if count > 1}
    return {
        f"{c['name']} ({c['id']})" if c["name"] in shared else c["name"]: {
            "AP": _mean_where_measured(precision[:, :, k, 0, -1]),
            "AP50": _mean_where_measured(precision[0, :, k, 0, -1]),
            "AR100": _mean_where_measured(recall[:, k, 0, -1]),
        }
        for k, c in enumerate(categories)
    }


def _mean_where_measured(values: np.ndarray) -> float:
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else math.nan


def _nan_for_none(stat: float) -> float:
    """COCO writes -1 where there is nothing to measure."""
    return math.nan if stat == -1 else float(stat)


def _none_for_nan(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: or_none(value) for name, value in numbers.items()}


def _nan_where_none(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in numbers.items()}
