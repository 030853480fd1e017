"""What to do next, in words: from an evaluation's errors to a change of data or settings."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from setpiece.data.dataset import Dataset
from setpiece.errors import UsageError
from setpiece.evaluation.analysis import Analysis
from setpiece.evaluation.errors import DetectionError
from setpiece.evaluation.numbers import listed
from setpiece.evaluation.thresholds import DEFAULT
from setpiece.records import InputSize

__all__ = ["Outlook", "next_steps"]

SMALL = 12  # pixels of the shorter side at the input size
WORTH = 0.02  # of AP50, from which on a kind of error is spoken of
OFTEN = 0.2  # share of the objects of a class that are taken for another one
FEW = 3  # confusions
MUCH = 0.5  # share of the missed objects that are small
WIDE = 0.1  # of AP, between the ends of its interval
NONE = 0.05  # AP, below which errors say nothing yet
RISING = 0.01  # of AP, from the evaluation before the last one to the last, which is the best
PAIRS = 3  # of classes that are named, and so many classes without objects


@dataclass(frozen=True)
class Outlook:
    """What AP would be with more images, if it goes on as it went: see `setpiece curve`.

    Attributes:
        images: those that there are.
        more: so many more.
        ap: with those that there are.
        low, high: between which AP would lie with more.
        rises: whether AP grew with the images.
    """

    images: int
    more: int
    ap: float
    low: float
    high: float
    rises: bool

    @classmethod
    def read(cls, file: Path, measured_on: str) -> Outlook | None:
        """What `setpiece curve --json` wrote; None where that says nothing of more images.

        Args:
            file: of JSON.
            measured_on: the hash of the images that are evaluated, see `setpiece.data.fingerprint`.

        Raises:
            UsageError: it is no such file, or of other images.
        """
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            outlook = None if content["outlook"] is None else cls(**content["outlook"])
            same = content["measured_on"] == measured_on
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{file} is not a file that setpiece curve --json has written.") from error
        if not same:
            raise UsageError(f"{file} was measured on other images than these: take the curve of this data.")
        return outlook

    def sentence(self) -> str:
        """The gain of more images, in words."""
        if not self.rises:
            return "AP did not grow with the images: these trainings may be too short to use more. Take more --minutes."
        low, high = self.low - self.ap, self.high - self.ap
        if low <= 0:
            return f"It is not sure that {self.more} more images raise AP: it may change by {low:+.2f} to {high:+.2f}."
        return f"The curve still rises: {self.more} more images should bring {low:.2f} to {high:.2f} of AP."


def next_steps(
    analysis: Analysis,
    dataset: Dataset,
    size: InputSize,
    outlook: Outlook | None = None,
    history: Sequence[float] = (),
) -> list[str]:
    """Sentences: whether the training is long enough and these images say enough, then those that promise most first.

    Args:
        analysis: of the results on `dataset`.
        dataset: the images that were evaluated.
        size: the input size of the model.
        outlook: what more images would bring, where that is known.
        history: AP of each evaluation of the training, in order, where it is known.
    """
    if math.isnan(analysis.metrics.AP):
        return ["There is nothing to measure: label objects in these images."]
    steps = list(_steps(analysis, dataset, size))
    if outlook is not None:
        steps.append(((outlook.low + outlook.high) / 2 - outlook.ap, outlook.sentence()))
    promised = [text for _, text in sorted(steps, key=lambda step: -step[0])]
    said = [*_too_short(analysis.metrics.AP, history), *_too_few(analysis, len(dataset.examples)), *promised]
    return said or ["Nothing stands out: more images and longer training help most."]


def _too_short(ap: float, history: Sequence[float]) -> Iterator[str]:
    """Where a longer training may change all that follows."""
    if ap < NONE:
        yield "AP is near 0, so the errors say little yet: train longer first."
    elif len(history) > 1 and history[-1] == max(history) and history[-1] - history[-2] >= RISING:
        yield f"AP still rose at the end of the training ({history[-2]:.3f}, {history[-1]:.3f}): train longer first."


def _too_few(analysis: Analysis, images: int) -> Iterator[str]:
    """Where these images say little."""
    if images == 1:
        yield "1 image says next to nothing of how good this is: label more validation images."
    if unseen := [of.name for of in analysis.curves if not of.objects]:
        known = f"so nothing is known of {'it' if len(unseen) == 1 else 'them'}"
        yield f"There is no object of {listed(unseen, PAIRS)} in these images, {known}: label some."


def _steps(analysis: Analysis, dataset: Dataset, size: InputSize) -> Iterator[tuple[float, str]]:
    costs = analysis.breakdown.costs
    if costs["missed"] >= WORTH:
        yield costs["missed"], _missed(analysis, dataset, size)
    if costs["classification"] >= WORTH:
        yield from _taken_for_others(analysis, dataset)
    if costs["background"] >= WORTH:
        sure = sum(1 for error in analysis.breakdown.errors if error.kind == "background" and _score(error) >= DEFAULT)
        text = f"Detections of nothing cost {costs['background']:.2f} of AP50"
        if sure:
            text += f"; {sure} with a confidence of 0.5 or more: are these objects that nobody has labelled?"
            yield costs["background"], f"{text} (setpiece doctor DATA --model RUN)"
        else:
            text += ", all below a confidence of 0.5: train longer, or add images without objects to the training."
            yield costs["background"], text
    if costs["localisation"] >= WORTH:
        yield (
            costs["localisation"],
            f"Boxes that are too loose or too tight cost {costs['localisation']:.2f} of AP50: train longer, and look "
            "whether the labels are drawn in one way.",
        )
    if costs["duplicate"] >= WORTH:
        text = f"Objects that are found twice cost {costs['duplicate']:.2f} of AP50: train longer."
        yield costs["duplicate"], text
    width = analysis.ap.high - analysis.ap.low
    if width >= WIDE:
        images = len(dataset.examples)
        yield (
            0.0,
            f"AP is known to about {width / 2:.2f} either way: {images} images are few to measure on, and four times "
            "as many would halve that.",
        )


def _missed(analysis: Analysis, dataset: Dataset, size: InputSize) -> str:
    scale = {e.image_id: size.fit(e.height, e.width)[0] / e.height for e in dataset.examples}
    sides = np.array(
        [
            min(error.object["bbox"][2:]) * scale[error.image_id]
            for error in analysis.breakdown.errors
            if error.kind == "missed" and error.object is not None
        ]
    )
    small = float((sides < SMALL).mean())
    cost = analysis.breakdown.costs["missed"]
    missed = "1 object is" if len(sides) == 1 else f"{len(sides)} objects are"
    text = f"{missed} missed at every threshold, which costs {cost:.2f} of AP50"
    if small < MUCH:
        return f"{text}: train longer, or add images with such objects."
    larger = -(-int(size.shortest * 1.5) // 32) * 32
    return f"{text}, and {small:.0%} of them are under {SMALL} px at {size.shortest}: train with --size {larger}."


def _taken_for_others(analysis: Analysis, dataset: Dataset) -> Iterator[tuple[float, str]]:
    """Pairs of classes that are often confused; where there are none, that classes are confused all the same."""
    cost = analysis.breakdown.costs["classification"]
    pairs = list(_confusions(analysis, dataset))
    often = [pair for pair in pairs if pair[2] >= FEW and pair[2] >= OFTEN * pair[3]]
    for first, second, count, of in often:
        text = f"{first} is taken for {second} in {count} of {of} cases: look whether the labels of both are right"
        yield cost * count / of, f"{text}, and add images that show the difference."
    if not often:
        most = ", ".join(f"{first} for {second} ({count})" for first, second, count, _ in pairs[:PAIRS])
        named = f", most often {most}" if most else ", all below the best thresholds"
        yield (
            cost,
            f"Objects that are taken for another class cost {cost:.2f} of AP50{named}: train longer, or add images.",
        )


def _confusions(analysis: Analysis, dataset: Dataset) -> Iterator[tuple[str, str, int, int]]:
    """Pairs of classes of which the first is taken for the second, and in how many of its objects; most first."""
    taken: Counter[tuple[int, int]] = Counter()
    for row, counts in enumerate(analysis.confusion[:-1]):
        for column, count in enumerate(counts[:-1]):
            if row != column:
                taken[row, column] = int(count)
    for (row, column), count in taken.most_common():
        if count:
            yield dataset.classes[row], dataset.classes[column], count, int(analysis.confusion[row].sum())


def _score(error: DetectionError) -> float:
    return 0.0 if error.detection is None else float(error.detection["score"])
