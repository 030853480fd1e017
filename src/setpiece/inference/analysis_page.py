"""An evaluation as the payload of a page (`web/pages/evaluation`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from setpiece.data.checks.page import small_jpeg
from setpiece.data.dataset import Dataset, Example
from setpiece.data.items import read_example
from setpiece.evaluation.analysis import Analysis
from setpiece.evaluation.errors import KINDS, Shown
from setpiece.evaluation.thresholds import DEFAULT, Curve

__all__ = ["analysis_payload"]

EXAMPLES = 12  # of a kind of error, and of objects that some threshold would miss
STEPS = 100  # of the threshold slider, from 0 to 1
POINTS = 200  # of precision over recall


def analysis_payload(analysis: Analysis, dataset: Dataset, title: str, steps: Sequence[str]) -> dict[str, Any]:
    """For `web.render`.

    Args:
        analysis: of the results on `dataset`.
        dataset: the images, which are read again for the pictures.
        title: of the page.
        steps: what to do next, see `next_steps`.
    """
    numbers = analysis.to_dict()
    least = dict(zip(dataset.category_ids, (_least(of) for of in analysis.curves), strict=True))
    steps_of = [dict.fromkeys(least, step / STEPS) for step in range(STEPS + 1)]
    *at, at_best = analysis.breakdown.counts_at([*steps_of, least])
    return {
        "kind": "evaluation",
        "title": title,
        "sentence": analysis.sentence(),
        "steps": list(steps),
        "images": len(dataset.examples),
        "metrics": {name: numbers[name] for name in ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")},
        "classes": [_of_class(of, numbers) for of in analysis.curves],
        "errors": [
            {
                "kind": kind,
                "is": what,
                "at": [counts[kind] for counts in at],
                "at_best": at_best[kind],
                "cost": numbers["errors"][kind]["AP50"],
            }
            for kind, what in KINDS.items()
        ],
        "pictures": list(_pictures(analysis, dataset)),
        "confusion": numbers["confusion"],
        "calibration": {
            "error": numbers["calibration_error"],
            "confidence": [_finite(value) for value in analysis.calibration.confidence],
            "precision": [_finite(value) for value in analysis.calibration.precision],
            "count": analysis.calibration.count.tolist(),
        },
    }


def _of_class(of: Curve, numbers: dict[str, Any]) -> dict[str, Any]:
    """A class: what each threshold of the slider gives, and precision over recall at points evenly over recall."""
    kept = np.unique(np.searchsorted(of.recall, np.linspace(0, of.recall.max(initial=0), POINTS)))
    kept = kept[kept < len(of.recall)]
    return {
        "name": of.name,
        "objects": of.objects,
        "AP": numbers["per_class"].get(of.name, {}).get("AP"),
        "best": _finite(of.best),
        "at_best": numbers["at_best_threshold"][of.name],
        "at": [[_finite(value) for value in of.at(step / STEPS)] for step in range(STEPS + 1)],
        "recall": [_finite(of.recall[i]) for i in kept],
        "precision": [_finite(of.precision[i]) for i in kept],
    }


def _least(of: Curve) -> float:
    """The threshold of a class at which its errors are counted at first."""
    return DEFAULT if math.isnan(of.best) else of.best


def _pictures(analysis: Analysis, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Images of wrong detections, the most confident ones of each kind, and of objects that are missed.

    An object is missed at any threshold, or from some on: of the latter, the last that are missed as a threshold falls.
    """
    breakdown = analysis.breakdown
    examples = {example.image_id: example for example in dataset.examples}
    index = {category: number for number, category in enumerate(dataset.category_ids)}
    on = {of.object["id"]: of for of in breakdown.objects}
    wrong = [
        error
        for kind in KINDS
        for error in [each for each in breakdown.errors if each.kind == kind and kind != "missed"][:EXAMPLES]
    ]
    for error in wrong:
        yield _picture(error.kind, examples[error.image_id], error.detection, error.object, on, index)
    shown = {error.object["id"] for error in wrong if error.object is not None}
    left = sorted((of for of in breakdown.objects if of.object["id"] not in shown), key=_seen)
    never = [of for of in left if not of.detections]
    for of in [*never[:EXAMPLES], *[of for of in left if of.detections][:EXAMPLES]]:
        yield _picture("missed", examples[of.image_id], None, of.object, on, index)


def _seen(of: Shown) -> float:
    """The confidence from which on an object is missed."""
    return max((each["score"] for each in of.detections), default=0.0)


def _picture(
    kind: str,
    example: Example,
    detection: Mapping[str, Any] | None,
    about: Mapping[str, Any] | None,
    on: Mapping[int, Shown],
    index: Mapping[int, int],
) -> dict[str, Any]:
    """An image of an error, with the detection and the object that it is about; classes by their index."""
    pixels, _ = read_example(example)
    return {
        "kind": kind,
        "name": example.path.name,
        "src": small_jpeg(Image.fromarray(pixels)),
        "width": example.width,
        "height": example.height,
        "detection": None
        if detection is None
        else {
            "class": index[detection["category_id"]],
            "score": float(detection["score"]),
            "box": list(map(float, detection["bbox"])),
        },
        "object": None
        if about is None
        else {
            "id": int(about["id"]),
            "class": index[about["category_id"]],
            "box": list(map(float, about["bbox"])),
            "on": [
                {"class": index[each["category_id"]], "score": float(each["score"])}
                for each in on[about["id"]].detections
            ],
        },
    }


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
