"""Models on the same images: how sure the difference is, and on which images they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from setpiece.evaluation.coco import CocoMetrics, evaluate_coco
from setpiece.evaluation.matches import ClassMatches, class_matches
from setpiece.evaluation.precision import Interval, bootstrap, paired_bootstrap, right_per_image
from setpiece.evaluation.thresholds import curve

__all__ = ["Changed", "Compared", "changed_images", "compare"]


@dataclass(frozen=True)
class Compared:
    """A model of a comparison.

    Attributes:
        name: what the user calls it.
        metrics: COCO's.
        ap: the interval of its AP.
        difference: of AP, less the first model's; None for the first.
        interval: of that difference; likewise.
        matches: of every class.
    """

    name: str
    metrics: CocoMetrics
    ap: Interval
    difference: float | None
    interval: Interval | None
    matches: Sequence[ClassMatches]

    def thresholds(self) -> dict[str, float]:
        """The best threshold of each class, by its name."""
        return {of.name: curve(of).threshold for of in self.matches}


@dataclass(frozen=True)
class Changed:
    """An image on which a model is better or worse than the first.

    Attributes:
        model: its index, from 1.
        image: index in the data set.
        change: right detections less wrong ones, less the same of the first model.
    """

    model: int
    image: int
    change: int


def compare(
    ground_truth: Mapping[str, Any], results: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]
) -> list[Compared]:
    """Compare the results of several models with those of the first.

    Args:
        ground_truth: a COCO dictionary, see `evaluate_coco`.
        results: the name of each model, and its COCO results.

    Raises:
        DataError: a result belongs to an image that the ground truth does not have.
    """
    compared: list[Compared] = []
    for name, of_model in results:
        matches, metrics = class_matches(ground_truth, of_model), evaluate_coco(ground_truth, of_model)
        difference = interval = None
        if compared:
            difference = metrics.AP - compared[0].metrics.AP
            interval = paired_bootstrap(compared[0].matches, matches)
        compared.append(Compared(name, metrics, bootstrap(matches)[0], difference, interval, matches))
    return compared


def changed_images(compared: Sequence[Compared], most: int) -> list[Changed]:
    """The images on which each later model is better than the first, those that changed most first; then the worse.

    Args:
        compared: the first is the old one.
        most: images of a model that are better, and as many that are worse.
    """
    old, changed = right_per_image(compared[0].matches), []
    for number, of in enumerate(compared[1:], 1):
        change = right_per_image(of.matches) - old
        order = change.argsort(kind="stable")
        better = [int(i) for i in order[::-1][:most] if change[i] > 0]
        worse = [int(i) for i in order[:most] if change[i] < 0]
        changed += [Changed(number, i, int(change[i])) for i in [*better, *worse]]
    return changed
