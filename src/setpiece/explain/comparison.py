"""Models side by side on the images that changed most: the payload of a page (`web/pages/comparison`).

```
{ "models": [str],                   # the first is the old one
  "rows": [{"model", "AP", "AP50": number|null, "AP_interval": [low, high],
      "difference": number|null, "interval": [low, high]|null}],
  "images": [{"model": int, "change": int, "name", "width", "height", "src",
      "targets": [{"class": str, "box": [cx, cy, w, h]}],
      "sides": [{"model": int,
          "pairs": [null | {"query": int, "class": str, "score", "iou", "cost", "box"}],   # of each target
          "others": [{"query": int, "class": str, "score", "box"}]}]}] }                  # confident, without a target
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from setpiece.data.dataset import Dataset
from setpiece.evaluation.comparison import Changed, Compared
from setpiece.evaluation.thresholds import DEFAULT
from setpiece.explain.arrays import rounded
from setpiece.explain.facts import ImageFacts
from setpiece.explain.report_image import make_report_image
from setpiece.explain.sample import read_sample
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
    sides = []
    for number in (0, one.model):
        predictor = predictors[number]
        classes, model = predictor.checkpoint.classes, predictor.checkpoint.model
        of = read_sample(example, dataset.classes, classes)
        outputs = predictor.outputs(predictor.preprocess([of.pixels]))
        shown = make_report_image(of.name, of.image_id, of.pixels, outputs, of.targets, training_criterion(model.form))
        sides.append({"model": number, **_side(shown.facts, classes, thresholds[number])})
    facts = shown.facts
    targets = [
        {"class": classes[label], "box": box}
        for label, box in zip(facts.labels.tolist(), facts.target_boxes.tolist(), strict=True)
    ]
    picture = {"name": shown.name, "width": shown.width, "height": shown.height, "src": shown.src}
    return {"model": one.model, "change": one.change, **picture, "targets": targets, "sides": sides}


def _side(facts: ImageFacts, classes: Sequence[str], thresholds: Mapping[str, float]) -> dict[str, Any]:
    """The last layer's match, and the confident queries without a target."""

    def query(number: int) -> dict[str, Any]:
        return {
            "query": number,
            "class": classes[int(facts.best_label[-1, number])],
            "score": facts.best_score[-1, number].item(),
            "box": facts.boxes[-1, number].tolist(),
        }

    match = facts.match[-1].tolist()
    pairs = [
        None
        if number < 0
        else query(number)
        | {"iou": facts.iou[-1, target, number].item(), "cost": facts.total[-1, target, number].item()}
        for target, number in enumerate(match)
    ]
    left = (query(number) for number in range(facts.boxes.shape[1]) if number not in set(match))
    return {"pairs": pairs, "others": [one for one in left if one["score"] >= thresholds.get(one["class"], DEFAULT)]}
