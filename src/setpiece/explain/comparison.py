"""Models side by side on the images that changed most: the payload of a page (`web/pages/comparison`).

```
{ "models": [str],                   # the first is the old one
  "rows": [{"model", "AP", "AP50": number|null, "AP_interval": [low, high],
      "difference": number|null, "interval": [low, high]|null}],
  "images": [{"model": int, "change": int, "name", "width", "height", "src",
      "targets": [{"class": str, "box": [cx, cy, w, h]}],
      "sides": [{"model": int,
          "detections": [{"class": str, "score", "box", "right": bool}],                   # those that `change` counts
          "pairs": [null | {"query": int, "class": str, "score", "iou", "cost", "box"}]}]}] }      # of each target
```

A detection is a query with a class. So a query of the sigmoid form may be several, and `change` counts each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from setpiece.data.dataset import Dataset
from setpiece.evaluation.comparison import Changed, Compared
from setpiece.evaluation.matches import LIMIT, class_matches
from setpiece.explain.arrays import rounded
from setpiece.explain.facts import ImageFacts
from setpiece.explain.report_image import make_report_image
from setpiece.explain.sample import read_sample
from setpiece.inference.evaluation import results_of
from setpiece.inference.predictor import Predictor
from setpiece.setloss import training_criterion

__all__ = ["comparison_payload"]


def comparison_payload(
    models: Sequence[Compared],
    predictors: Sequence[Predictor],
    changed: Sequence[Changed],
    dataset: Dataset,
    title: str,
) -> dict[str, Any]:
    """For `web.render`.

    Args:
        models: the first is the old one.
        predictors: of each model.
        changed: the images to show, each beside the first model.
        dataset: that holds them.
        title: of the page.

    Raises:
        DataError: an image cannot be read.
        NonFiniteCostError: a model predicts NaN or infinity for an image.
    """
    rows = [
        {
            "model": of.name,
            "AP": of.metrics.AP,
            "AP_interval": of.ap.to_list(),
            "AP50": of.metrics.AP50,
            "difference": of.difference,
            "interval": None if of.interval is None else of.interval.to_list(),
        }
        for of in models
    ]
    thresholds = [of.thresholds() for of in models]
    return {
        "kind": "comparison",
        "title": title,
        "models": [of.name for of in models],
        "rows": rounded(rows),
        "images": [rounded(_image(one, predictors, thresholds, dataset)) for one in changed],
    }


def _image(
    one: Changed, predictors: Sequence[Predictor], thresholds: Sequence[Mapping[str, float]], dataset: Dataset
) -> dict[str, Any]:
    example = dataset.examples[one.image]
    sides: list[dict[str, Any]] = []
    for number in (0, one.model):
        predictor = predictors[number]
        classes, model = predictor.checkpoint.classes, predictor.checkpoint.model
        of = read_sample(example, dataset.classes, classes)
        outputs = predictor.outputs(predictor.preprocess([of.pixels]))
        shown = make_report_image(of.name, of.image_id, of.pixels, outputs, of.targets, training_criterion(model.form))
        detections = _counted(replace(dataset, examples=(example,)), predictor, thresholds[number])
        sides.append({"model": number, "detections": detections, "pairs": _pairs(shown.facts, classes)})
    facts = shown.facts
    targets = [
        {"class": classes[label], "box": box}
        for label, box in zip(facts.labels.tolist(), facts.target_boxes.tolist(), strict=True)
    ]
    old, new = (sum(1 if each["right"] else -1 for each in side["detections"]) for side in sides)
    picture = {"name": shown.name, "width": shown.width, "height": shown.height, "src": shown.src}
    return {"model": one.model, "change": new - old, **picture, "targets": targets, "sides": sides}


def _counted(alone: Dataset, predictor: Predictor, thresholds: Mapping[str, float]) -> list[dict[str, Any]]:
    """The detections that `right_per_image` counts in the only image of a data set, the most confident first."""
    (example,) = alone.examples
    results, ranked = results_of(predictor, alone), defaultdict(list)
    for result in sorted(results, key=lambda each: -each["score"]):
        ranked[result["category_id"]].append(result)
    counted = []
    for category, of in zip(alone.category_ids, class_matches(alone.to_coco(), results), strict=True):
        of_class = zip(ranked[category][:LIMIT], of.found[0], of.ignored[0], strict=True)
        for result, found, ignored in of_class:
            if result["score"] >= thresholds[of.name] and not ignored:
                box = _fractions(result["bbox"], example.width, example.height)
                counted.append({"class": of.name, "score": result["score"], "box": box, "right": bool(found)})
    return sorted(counted, key=lambda each: -each["score"])


def _fractions(bbox: Sequence[float], width: int, height: int) -> list[float]:
    """[left, top, width, height] in pixels -> cxcywh in fractions of the image."""
    left, top, w, h = bbox
    return [(left + w / 2) / width, (top + h / 2) / height, w / width, h / height]


def _pairs(facts: ImageFacts, classes: Sequence[str]) -> list[dict[str, Any] | None]:
    """The last layer's match."""

    def pair(target: int, query: int) -> dict[str, Any]:
        return {
            "query": query,
            "class": classes[int(facts.best_label[-1, query])],
            "score": facts.best_score[-1, query].item(),
            "box": facts.boxes[-1, query].tolist(),
            "iou": facts.iou[-1, target, query].item(),
            "cost": facts.total[-1, target, query].item(),
        }

    match = facts.match[-1].tolist()
    return [None if query < 0 else pair(target, query) for target, query in enumerate(match)]
