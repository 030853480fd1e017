"""An evaluation as the payload of a page (`web/pages/evaluation`)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from setpiece.data.checks.page import small_jpeg
from setpiece.data.dataset import Dataset, Example
from setpiece.data.items import read_example
from setpiece.evaluation.analysis import Analysis
from setpiece.evaluation.errors import KINDS, DetectionError, Shown
from setpiece.evaluation.numbers import or_none
from setpiece.evaluation.thresholds import Curve

__all__ = ["analysis_payload"]

SIDE = 480  # pixels of a picture, which can be shown large
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
    least = dict(zip(dataset.category_ids, (of.threshold for of in analysis.curves), strict=True))
    steps_of = [dict.fromkeys(least, step / STEPS) for step in range(STEPS + 1)]
    at = analysis.breakdown.counts_at(steps_of)
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
                "at_best": analysis.errors[kind],
                "cost": numbers["errors"][kind]["AP50"],
            }
            for kind, what in KINDS.items()
        ],
        "pictures": list(_pictures(analysis, dataset, least)),
        "confusion": numbers["confusion"],
        "calibration": {
            "error": numbers["calibration_error"],
            "confidence": [or_none(value) for value in analysis.calibration.confidence],
            "precision": [or_none(value) for value in analysis.calibration.precision],
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
        "AR100": numbers["per_class"].get(of.name, {}).get("AR100"),
        "best": or_none(of.best),
        "threshold": of.threshold,
        "at_best": numbers["at_best_threshold"][of.name],
        "at": [[or_none(value) for value in of.at(step / STEPS)] for step in range(STEPS + 1)],
        "f1": _steps_of_f1(of),
        "recall": [or_none(of.recall[i]) for i in kept],
        "precision": [or_none(of.precision[i]) for i in kept],
    }


def _steps_of_f1(of: Curve) -> list[list[float]]:
    """The corners of F1 over the threshold, [threshold, F1] each: it stays the same down to the next confidence."""
    last = len(of.thresholds) - 1
    if last < 0 or not of.objects:
        return []
    best = int(of.f1.argmax())
    kept = np.unique([*np.linspace(0, last, POINTS).astype(np.int64), best, min(best + 1, last)])
    ends = np.repeat(np.append(of.thresholds[kept], 0.0), 2)[1:-1]
    return np.stack([ends, np.repeat(of.f1[kept], 2)], 1).tolist()


def _pictures(analysis: Analysis, dataset: Dataset, least: Mapping[int, float]) -> Iterator[dict[str, Any]]:
    """Images of wrong detections, and of objects that are missed: enough of each kind for any threshold of the slider,
    and for the least confidence of each category with which the page begins.

    At one threshold for all these are the most confident detections, and the objects that are the last to be found as
    the threshold falls. Of those that count at first, different objects come before one object again.
    """
    breakdown = analysis.breakdown
    examples = {example.image_id: example for example in dataset.examples}
    index = {category: number for number, category in enumerate(dataset.category_ids)}
    on = {of.object["id"]: of for of in breakdown.objects}
    shown = set()
    for kind in KINDS:
        wrong = [each for each in breakdown.errors if each.kind == kind and each.detection is not None]
        at_first = _different([each for each in wrong if _counts(each.detection, least)])[:EXAMPLES]
        for error in [*at_first, *(each for each in wrong[:EXAMPLES] if each not in at_first)]:
            shown.add(error.object["id"] if error.object is not None else None)
            yield _picture(error.kind, examples[error.image_id], error.detection, error.object, on, index)
    left = sorted((of for of in breakdown.objects if of.object["id"] not in shown), key=_seen)
    missed = [of for of in left if not any(_counts(each, least) for each in of.detections)]
    seen = [of for of in left if of.detections]
    chosen = {of.object["id"]: of for of in [*missed[:EXAMPLES], *seen[:EXAMPLES]]}
    for of in chosen.values():
        yield _picture("missed", examples[of.image_id], None, of.object, on, index)


def _counts(detection: Mapping[str, Any] | None, least: Mapping[int, float]) -> bool:
    return detection is not None and detection["score"] >= least.get(detection["category_id"], math.inf)


def _different(errors: Sequence[DetectionError]) -> list[DetectionError]:
    """The first error on each object, then the second ones, and so on; otherwise in the same order."""
    times: Counter[int] = Counter()
    rounds = []
    for error in errors:
        if error.object is not None:
            times[error.object["id"]] += 1
        rounds.append(times[error.object["id"]] if error.object is not None else 1)
    return [errors[i] for i in np.argsort(rounds, kind="stable")]


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
        "src": small_jpeg(Image.fromarray(pixels), SIDE),
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
