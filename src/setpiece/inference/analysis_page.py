"""An evaluation as the payload of a page (`web/pages/evaluation`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from setpiece.data.checks.page import small_jpeg
from setpiece.data.dataset import Dataset, Example
from setpiece.data.items import read_example
from setpiece.evaluation.analysis import Analysis
from setpiece.evaluation.errors import KINDS, DetectionError
from setpiece.evaluation.thresholds import Curve

__all__ = ["analysis_payload"]

EXAMPLES = 12  # of a kind of error
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
    examples = {example.image_id: example for example in dataset.examples}
    names = dict(zip(dataset.category_ids, dataset.classes, strict=True))
    counts = analysis.breakdown.counts()
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
                "count": counts[kind],
                "cost": numbers["errors"][kind]["AP50"],
                "examples": [
                    _picture(error, examples[error.image_id], names)
                    for error in [each for each in analysis.breakdown.errors if each.kind == kind][:EXAMPLES]
                ],
            }
            for kind, what in KINDS.items()
        ],
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


def _picture(error: DetectionError, example: Example, names: dict[int, str]) -> dict[str, Any]:
    """An image of an error, with the detection and the object that it is about."""
    pixels, _ = read_example(example)
    said = []
    if error.detection is not None:
        said.append(f"{names[error.detection['category_id']]} {error.detection['score']:.2f}")
    if error.object is not None:
        said.append(f"labelled {names[error.object['category_id']]}")
    return {
        "text": f"{example.path.name}: {', '.join(said)}",
        "src": small_jpeg(Image.fromarray(pixels)),
        "width": example.width,
        "height": example.height,
        "detection": None if error.detection is None else list(map(float, error.detection["bbox"])),
        "object": None if error.object is None else list(map(float, error.object["bbox"])),
    }


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
