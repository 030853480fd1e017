"""What labelling costs a person, and from which confidence on suggestions spare the most of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

from setpiece.evaluation.matches import iou_with, take

__all__ = ["CHOOSE", "CONFIRM", "DRAW", "FITS", "NEAR", "best_threshold", "spared"]

CONFIRM = 1.6  # seconds, to accept or to reject a suggestion: Papadopoulos et al., CVPR 2016
DRAW = 7.0  # seconds, of a box, by extreme clicking: the same, ICCV 2017
CHOOSE = 1.0  # second, of a class, where there are several
FITS = 0.7  # IoU from which on a person leaves a suggestion as it is
NEAR = 0.3  # IoU from which on it is corrected, which takes as long as to draw the box, and is rejected below
THRESHOLDS = np.arange(10, 91, 5) / 100


def spared(
    boxes: Float[np.ndarray, "N 4"],
    classes: Int64[np.ndarray, " N"],
    labels: Float[np.ndarray, "M 4"],
    label_classes: Int64[np.ndarray, " M"],
    *,
    several: bool,
) -> Float[np.ndarray, " N"]:
    """How many seconds each suggestion of a photo spares a person; negative where it has to be rejected.

    Args:
        boxes: the suggestions, the most confident first, xyxy.
        classes: theirs.
        labels: what the person labelled, xyxy.
        label_classes: theirs.
        several: whether there are several classes, of which one has to be chosen.

    Example:
        >>> box, half, other = [0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 5.0], [50.0, 0.0, 60.0, 10.0]
        >>> labels = np.array([box, [20.0, 0.0, 30.0, 10.0]])
        >>> spared(np.array([box, other, half]), np.zeros(3, int), labels, np.zeros(2, int), several=True).tolist()
        [6.4, -1.6, 1.0]
    """
    iou = iou_with(boxes, labels)
    taken = take(iou, NEAR)
    fits = np.take_along_axis(np.pad(iou, ((0, 0), (0, 1))), taken[:, None], 1)[:, 0] >= FITS
    chosen = CHOOSE * several * (np.append(label_classes, -1)[taken] == classes)
    return np.select([taken < 0, fits], [-CONFIRM, DRAW - CONFIRM + chosen], chosen)


def best_threshold(scores: Float[np.ndarray, " N"], seconds: Float[np.ndarray, " N"], usual: float) -> float:
    """The confidence, of 0.1, 0.15 to 0.9, from which on suggestions would have spared the most.

    Args:
        scores: confidences.
        seconds: what each suggestion would have spared, see `spared`.
        usual: of equally good ones the nearest to this is taken.

    Example:
        >>> best_threshold(np.array([0.8, 0.5, 0.2]), np.array([6.4, 6.4, -1.6]), 0.4)
        0.4
    """
    totals = [seconds[scores >= threshold].sum() for threshold in THRESHOLDS]
    best = np.isclose(totals, max(totals))
    return float(min(THRESHOLDS[best], key=lambda threshold: abs(threshold - usual)))
