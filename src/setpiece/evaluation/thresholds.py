"""Precision, recall and F1 of a class over the confidence threshold, and the threshold with the best F1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from setpiece.evaluation.matches import ClassMatches

__all__ = ["DEFAULT", "Curve", "curve"]

DEFAULT = 0.5  # threshold where nothing else is known of a class


@dataclass(frozen=True)
class Curve:
    """What each threshold on the confidence gives, at an IoU of 0.5; thresholds fall from left to right.

    Attributes:
        name: of the class.
        objects: of the class in all images.
        thresholds: the confidences of the detections, each once.
        precision: share of the detections at or above each that are matched with an object.
        recall: share of the objects that are found.
        f1: harmonic mean of the two.
        best: the threshold with the highest F1, halfway to the next lower confidence so that it does not depend on the
            last digit; NaN where nothing is found.
    """

    name: str
    objects: int
    thresholds: Float[np.ndarray, "K"]
    precision: Float[np.ndarray, "K"]
    recall: Float[np.ndarray, "K"]
    f1: Float[np.ndarray, "K"]
    best: float

    @property
    def threshold(self) -> float:
        """The best one; the usual one where nothing is found."""
        return DEFAULT if math.isnan(self.best) else self.best

    def at(self, threshold: float) -> tuple[float, float, float]:
        """Precision, recall and F1 of the detections at or above a threshold.

        Precision is NaN where there are no detections, and recall and F1 where there are no objects.
        """
        kept = int((self.thresholds >= threshold).sum())
        if not kept:
            return np.nan, *((0.0, 0.0) if self.objects else (np.nan, np.nan))
        return float(self.precision[kept - 1]), float(self.recall[kept - 1]), float(self.f1[kept - 1])


def curve(matches: ClassMatches) -> Curve:
    """The curve of a class.

    Example:
        >>> from setpiece.evaluation.matches import ClassMatches
        >>> found = np.array([[True, True, False, True]])
        >>> cell = ClassMatches("cell", np.array([0.9, 0.8, 0.4, 0.2]), np.zeros(4, int), found, ~found & found,
        ...     np.array([4]))
        >>> of = curve(cell)
        >>> of.precision.round(2).tolist(), of.recall.tolist(), round(of.best, 2)
        ([1.0, 1.0, 0.67, 0.75], [0.25, 0.5, 0.5, 0.75], 0.1)
    """
    counted = ~matches.ignored[0]
    scores, found = matches.scores[counted], matches.found[0][counted]
    objects = int(matches.objects.sum())
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True)) if len(scores) else np.zeros(0, np.int64)
    true = np.cumsum(found)[last] if len(scores) else np.zeros(0)
    precision = true / (last + 1)
    recall = true / objects if objects else np.full(len(last), np.nan)
    f1 = 2 * true / (last + 1 + objects) if objects else np.full(len(last), np.nan)
    best = np.nan
    if objects and len(f1) and f1.max() > 0:
        at = int(f1.argmax())
        below = scores[last[at + 1]] if at + 1 < len(last) else 0.0
        best = float((scores[last[at]] + below) / 2)
    return Curve(matches.name, objects, scores[last], precision, recall, f1, best)
