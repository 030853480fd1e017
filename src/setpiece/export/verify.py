"""Whether an exported model detects what the model detects: by boxes on real images, not by tensors on noise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from setpiece.evaluation import beside, sv
from setpiece.inference.detects import Detects
from setpiece.setloss import assign

__all__ = ["Agreement", "Tolerance", "compare"]

OTHER_CLASS = 1e4  # pixels that a detection of another class is away


@dataclass(frozen=True)
class Tolerance:
    """How far detections may be apart.

    Attributes:
        pixels: of the original image, for every side of a box.
        score: difference of the scores.
        least: confidence of the detections that are compared.
    """

    pixels: float
    score: float
    least: float


@dataclass(frozen=True)
class Agreement:
    """How far the detections of two models are apart, at their worst.

    Attributes:
        images: that were compared.
        detections: of the model that was exported, with the least confidence or more.
        pixels: the farthest side of a box from that of its pair.
        score: the largest difference of scores in a pair.
        alone: detections of either without a pair of their class.
        worst: the name of the image with the worst pair.
        picture: that image with the detections of both side by side.
    """

    images: int
    detections: int
    pixels: float
    score: float
    alone: int
    worst: str
    picture: Image.Image | None

    def within(self, tolerance: Tolerance) -> bool:
        """Whether nothing is alone or farther apart."""
        return not self.alone and self.pixels <= tolerance.pixels and self.score <= tolerance.score

    def with_worst_of(self, other: Agreement) -> Agreement:
        """This one with the distances of another comparison of the same images, where those are larger."""
        return replace(self, pixels=max(self.pixels, other.pixels), score=max(self.score, other.score))

    def __str__(self) -> str:
        """One sentence.

        Example:
            >>> print(Agreement(2, 9, 0.0123, 0.00004, 0, "a.jpg", None))
            9 detections in 2 images: boxes differ by up to 0.0123 px, scores by up to 4e-05.
        """
        alone = f", and {self.alone} have no pair" if self.alone else ""
        return (
            f"{self.detections} detection{'s' if self.detections != 1 else ''} in {self.images} "
            f"image{'s' if self.images != 1 else ''}: boxes differ by up to {self.pixels:.3g} px, scores by up to "
            f"{self.score:.2g}{alone}."
        )


def compare(
    model: Detects,
    exported: Detects,
    pictures: Iterable[tuple[str, UInt8[np.ndarray, "_ _ 3"]]],
    tolerance: Tolerance,
    *,
    together: bool = False,
) -> Agreement:
    """Bring the detections of two models together by the optimal assignment, image by image.

    The cost of a pair is how far apart its boxes are in pixels, plus a hundred times how far its scores are, so that
    each detection with the least confidence finds its own counterpart among all those of the other model.

    Args:
        model: the reference.
        pictures: names and RGB pixels.
        together: the exported model looks at all of them in one call, which makes batches; the reference at each alone.
        tolerance: a detection without a pair is alone if its confidence is above the least by the score's tolerance.
    """
    images = detections = alone = 0
    pixels = score = badness = 0.0
    worst, picture = "", None
    named = list(pictures)
    batches = [[image for _, image in named]] if together else [[image] for _, image in named]
    exported_found = (found for batch in batches for found in exported.predict(batch, threshold=0.0))
    for (name, image), of_exported in zip(named, exported_found, strict=True):
        of_model = next(model.predict([image], threshold=0.0))
        confident, shown = (_at_least(each, tolerance.least) for each in (of_model, of_exported))
        apart, differs, left = _pairs(confident, of_exported, tolerance)
        images += 1
        detections += len(confident)
        alone += left
        pixels, score = max(pixels, apart), max(score, differs)
        bad = left + apart / tolerance.pixels + differs / tolerance.score
        if bad >= badness:
            badness, worst = bad, name
            picture = Image.fromarray(beside(image, confident, shown, ("PyTorch", "exported")))
    return Agreement(images, detections, pixels, score, alone, worst, picture)


def _pairs(confident: sv.Detections, others: sv.Detections, tolerance: Tolerance) -> tuple[float, float, int]:
    """The largest distances of boxes and of scores, and how many detections are alone."""
    distances = _distances(confident.xyxy, others.xyxy)
    differences = np.abs(_column(confident.confidence) - _row(others.confidence))
    other_class = _column(confident.class_id) != _row(others.class_id)
    cost = distances + 100 * differences + OTHER_CLASS * other_class
    match = assign(torch.from_numpy(cost.astype(np.float64)), torch.tensor(len(confident))).numpy()
    rows = np.flatnonzero(match >= 0)
    rows = rows[~other_class[rows, match[rows]]]
    pairs = rows, match[rows]
    unpaired = np.setdiff1d(np.arange(len(others)), match[rows])
    alone = len(confident) - len(rows)
    alone += int((np.asarray(others.confidence)[unpaired] >= tolerance.least + tolerance.score).sum())
    return float(distances[pairs].max(initial=0)), float(differences[pairs].max(initial=0)), alone


def _at_least(found: sv.Detections, confidence: float) -> sv.Detections:
    kept = found[np.asarray(found.confidence) >= confidence]
    assert isinstance(kept, sv.Detections)
    return kept


def _distances(a: Float[np.ndarray, "N 4"], b: Float[np.ndarray, "M 4"]) -> Float[np.ndarray, "N M"]:
    """The farthest side of every pair of boxes, in pixels."""
    return np.abs(a[:, None] - b[None]).max(-1, initial=0)


def _column(values: Sequence[float] | np.ndarray | None) -> np.ndarray:
    return np.asarray(values)[:, None]


def _row(values: Sequence[float] | np.ndarray | None) -> np.ndarray:
    return np.asarray(values)[None]
