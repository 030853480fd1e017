"""Whether a confidence of 0.8 means that 8 of 10 such detections are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from setpiece.evaluation.matches import ClassMatches

__all__ = ["Calibration", "calibration"]

BINS = 10
LEAST = 0.05  # confidence: below it are the detections of which nobody asks whether they are right


@dataclass(frozen=True)
class Calibration:
    """Detections of all classes by their confidence, in ten bins of one width; a bin without any is NaN.

    Attributes:
        confidence: mean of each bin.
        precision: share of those in it that are right, at an IoU of 0.5.
        count: how many they are.
        error: mean of |confidence - precision| over the detections (the expected calibration error), in [0, 1].
    """

    confidence: Float[np.ndarray, "10"]
    precision: Float[np.ndarray, "10"]
    count: Int64[np.ndarray, "10"]
    error: float


def calibration(matches: Sequence[ClassMatches]) -> Calibration:
    """The calibration of a detector.

    Args:
        matches: of all classes.

    References:
        Guo et al., On Calibration of Modern Neural Networks, arXiv 1706.04599, section 2.
    """
    kept = [~of.ignored[0] & (of.scores >= LEAST) for of in matches]
    scores = np.concatenate([np.zeros(0), *(of.scores[k] for of, k in zip(matches, kept, strict=True))])
    found = np.concatenate([np.zeros(0), *(of.found[0][k] for of, k in zip(matches, kept, strict=True))])
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(bins, scores, BINS) / count
        precision = np.bincount(bins, found, BINS) / count
    gap = np.abs(confidence - precision)
    error = float(np.nansum(gap * count) / count.sum()) if len(scores) else float("nan")
    return Calibration(confidence, precision, count, error)
