"""Average precision from matches, for any weights of the images; and its interval by resampling them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from scipy.stats import norm

from setpiece.evaluation.matches import ClassMatches
from setpiece.evaluation.numbers import or_none
from setpiece.evaluation.thresholds import curve

__all__ = ["Interval", "average_precision", "bootstrap", "paired_bootstrap", "right_per_image"]

RECALLS = np.linspace(0, 1, 101)  # at which precision is taken, COCO's
RESAMPLES = 400
FEWEST, WORK = 50, 40_000_000  # resamples, and detections that all of them together look at: about ten seconds
COVERED = 0.95


@dataclass(frozen=True)
class Interval:
    """Between which values a number lies in 95 of 100 resamples; NaN where that cannot be said.

    Attributes:
        low: the 2.5th percentile, corrected for bias.
        high: the 97.5th, likewise.
    """

    low: float
    high: float

    def to_list(self) -> list[float | None]:
        """Both ends, ready for JSON."""
        return [or_none(self.low), or_none(self.high)]

    def __str__(self) -> str:
        return "–" if math.isnan(self.low) else f"{self.low:.3f} to {self.high:.3f}"


def average_precision(matches: ClassMatches, weights: Float[np.ndarray, "I"] | None = None) -> Float[np.ndarray, " T"]:
    """AP of a class at each IoU threshold: the mean, over 101 recalls r, of the best precision at recall r or more.

    Args:
        matches: of the class.
        weights: how often each image counts, at least 0; once where None.

    Returns:
        NaN where no image that counts has an object of the class.
    """
    ones = np.ones(len(matches.objects)) if weights is None else weights
    positives = float(ones @ matches.objects)
    if positives == 0:
        return np.full(len(matches.found), np.nan)
    of_detection = ones[matches.images]
    true = np.cumsum(matches.found * of_detection, 1)
    false = np.cumsum((~matches.found & ~matches.ignored) * of_detection, 1)
    recall = true / positives
    precision = true / np.maximum(true + false, np.finfo(np.float64).eps)
    envelope = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    at = [np.searchsorted(of_threshold, RECALLS, side="left") for of_threshold in recall]
    padded = np.concatenate([envelope, np.zeros((len(envelope), 1))], 1)
    return np.array([row[index].mean() for row, index in zip(padded, at, strict=True)])


def _resampled(
    matches: Sequence[ClassMatches], weights: Sequence[Float[np.ndarray, "I"]]
) -> tuple[Float[np.ndarray, "R"], Float[np.ndarray, "R"]]:
    """AP and AP50 over the classes that have objects, for each of some weights of the images."""
    ap = np.full((len(weights), len(matches)), np.nan)
    ap50 = np.full_like(ap, np.nan)
    for r, of_images in enumerate(weights):
        for c, of_class in enumerate(matches):
            at = average_precision(of_class, of_images)
            ap[r, c], ap50[r, c] = at.mean(), at[0]
    return _mean_of_measured(ap), _mean_of_measured(ap50)


def _draws(matches: Sequence[ClassMatches], seed: int) -> list[Float[np.ndarray, " I"]]:
    """How often each image is drawn, with replacement, in some resamples of as many images; fewer of large data.

    None of one image, which says nothing of others.
    """
    images = len(matches[0].objects) if matches else 0
    if images < 2:
        return []
    detections = sum(len(of.scores) for of in matches)
    count = max(FEWEST, min(RESAMPLES, WORK // max(1, detections)))
    drawn = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), count)
    return list(drawn.astype(np.float64))


def bootstrap(matches: Sequence[ClassMatches], seed: int = 0) -> tuple[Interval, Interval]:
    """The intervals of AP and AP50 by resampling the images (bias-corrected percentile bootstrap).

    It says how much the number depends on which images the validation split happens to hold; not on the seed of a
    training. On few images it is too narrow: AP itself is too high there, since rare classes are often missing.

    References:
        Efron & Tibshirani, An Introduction to the Bootstrap, 1993, section 14.3, without acceleration.
    """
    of_all, of_all50 = _resampled(matches, [_once(matches)])
    ap, ap50 = _resampled(matches, _draws(matches, seed))
    return _interval(ap, of_all[0]), _interval(ap50, of_all50[0])


def paired_bootstrap(first: Sequence[ClassMatches], second: Sequence[ClassMatches], seed: int = 0) -> Interval:
    """The interval of the difference of two APs, second less first, each time on the same resample of the images."""
    weights = [_once(first), *_draws(first, seed)]
    change, *changes = _resampled(second, weights)[0] - _resampled(first, weights)[0]
    return _interval(np.array(changes), change)


def right_per_image(matches: Sequence[ClassMatches]) -> Int64[np.ndarray, " I"]:
    """Right detections less wrong ones in each image, at an IoU of 0.5 and with the best threshold of each class."""
    total = np.zeros(len(matches[0].objects) if matches else 0, np.int64)
    for of in matches:
        kept = ~of.ignored[0] & (of.scores >= curve(of).threshold)
        np.add.at(total, of.images[kept], np.where(of.found[0][kept], 1, -1))
    return total


def _once(matches: Sequence[ClassMatches]) -> Float[np.ndarray, " I"]:
    return np.ones(len(matches[0].objects) if matches else 0)


def _interval(values: Float[np.ndarray, "R"], of_all: float) -> Interval:
    """The percentiles of resampled values, moved by how far `of_all`, that of the images themselves, is off their
    median."""
    measured = values[~np.isnan(values)]
    if not len(measured):
        return Interval(np.nan, np.nan)
    below = ((measured < of_all).mean() + (measured <= of_all).mean()) / 2
    off = 2 * norm.ppf(np.clip(below, 1 / len(measured), 1 - 1 / len(measured)))
    reach = norm.ppf((1 + COVERED) / 2)
    low, high = np.quantile(measured, norm.cdf([off - reach, off + reach]))
    return Interval(float(low), float(high))


def _mean_of_measured(values: Float[np.ndarray, "R C"]) -> Float[np.ndarray, " R"]:
    measured = ~np.isnan(values)
    total = np.where(measured, values, 0).sum(1)
    return np.divide(total, measured.sum(1), out=np.full(len(values), np.nan), where=measured.any(1))
