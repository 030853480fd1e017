"""Several trainings that answer one question: how much is chance, and what would more images bring."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy.stats import t

from setpiece.data.dataset import Dataset
from setpiece.data.formats.splits import photo_name
from setpiece.errors import DataError, NonFiniteError, StoppedError, UsageError
from setpiece.evaluation import CocoMetrics
from setpiece.inference.evaluation import evaluate
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import Checkpoint
from setpiece.training.config import TrainConfig
from setpiece.training.display import Display
from setpiece.training.start import starting_checkpoint
from setpiece.training.train import train

__all__ = ["Measured", "Outlook", "by_fold", "by_seed", "by_share", "extrapolate", "join", "out_of_fold", "outlook"]

SHARES = (0.25, 0.5, 0.75, 1.0)  # of the training images


@dataclass(frozen=True)
class Measured:
    """One training and its metrics on images that it has not seen.

    Attributes:
        name: what distinguishes it, as "fold 2".
        images: that it was trained on.
        metrics: COCO's.
    """

    name: str
    images: int
    metrics: CocoMetrics


@dataclass(frozen=True)
class Outlook:
    """What AP would be with more images, if it goes on as it went.

    Attributes:
        images: twice those that there are.
        low, high: between which AP would lie: the 95 % prediction interval of the line through AP over log2(images).
    """

    images: int
    low: float
    high: float


class _Quiet(Display):
    """Shows progress, and says nothing: such a training is no run of the user's."""

    def say(self, text: str) -> None:
        """Not of such a training."""


def out_of_fold(
    config: TrainConfig, dataset: Dataset, folds: int = 2, console: Console | None = None
) -> Iterator[tuple[Checkpoint, Dataset, int]]:
    """Divide the images into parts, and train one detector for each part on all others.

    Versions of one photo, by Roboflow's names, come into one part.

    Args:
        config: of each run; its length is that of one run.
        dataset: to be divided.
        folds: how many parts, at least 2.
        console: where progress is shown; nowhere where None.

    Yields:
        The detector, the part that it has not seen, and how many images it was trained on. The runs are not kept.

    Raises:
        UsageError: there are fewer photos than parts.
        DataError: there is no object to learn from outside a part.
        StoppedError: Ctrl-C or SIGTERM came.
        NonFiniteError: a training diverged.
    """
    photos = _photos(dataset)
    order = sorted(set(photos))
    if not 2 <= folds <= len(order):
        count = "1 photo" if len(order) == 1 else f"{len(order)} photos"
        hint = "add images" if len(order) < 2 else f"take from 2 to {len(order)}"
        raise UsageError(f"{count} cannot be divided into {folds} parts: {hint}.")
    random.Random(config.seed).shuffle(order)
    pairs = list(zip(dataset.examples, photos, strict=True))
    for fold in range(folds):
        held_out = set(order[fold::folds])
        seen = replace(dataset, examples=tuple(example for example, photo in pairs if photo not in held_out))
        unseen = replace(dataset, examples=tuple(example for example, photo in pairs if photo in held_out))
        yield _trained(config, seen, console), unseen, len(seen.examples)


def by_fold(config: TrainConfig, dataset: Dataset, folds: int, console: Console | None = None) -> Iterator[Measured]:
    """Cross-validation: every image is evaluated once, by a detector that has not seen it. See `out_of_fold`."""
    for fold, (checkpoint, unseen, images) in enumerate(out_of_fold(config, dataset, folds, console), 1):
        yield Measured(f"fold {fold}", images, evaluate(Predictor(checkpoint), unseen))


def by_seed(
    config: TrainConfig, dataset: Dataset, valid: Dataset, seeds: int, console: Console | None = None
) -> Iterator[Measured]:
    """The same training with other seeds, from that of `config` on; raises what `out_of_fold` raises."""
    for seed in range(config.seed, config.seed + seeds):
        checkpoint = _trained(config.model_copy(update={"seed": seed}), dataset, console)
        yield Measured(f"seed {seed}", len(dataset.examples), evaluate(Predictor(checkpoint), valid))


def by_share(
    config: TrainConfig, dataset: Dataset, valid: Dataset, console: Console | None = None
) -> Iterator[Measured]:
    """The same training on a quarter, a half, three quarters and all of the images; raises what `out_of_fold` raises.

    The images of a smaller share are among those of a larger one. Versions of one photo come together.
    """
    photos = _photos(dataset)
    order = sorted(set(photos))
    random.Random(config.seed).shuffle(order)
    for share in SHARES:
        kept = set(order[: max(1, round(share * len(order)))])
        pairs = zip(dataset.examples, photos, strict=True)
        part = replace(dataset, examples=tuple(example for example, photo in pairs if photo in kept))
        metrics = evaluate(Predictor(_trained(config, part, console)), valid)
        yield Measured(f"{share:.0%}", len(part.examples), metrics)


def outlook(measured: Sequence[Measured]) -> Outlook | None:
    """What twice the images would bring; None where AP cannot be measured or fewer than three points say it.

    AP is taken to grow by the same amount with every doubling. That is true for a while: close to the best that the
    model can do it grows less.
    """
    images = [one.images for one in measured]
    twice = 2 * max(images, default=0)
    reached = extrapolate(images, [one.metrics.AP for one in measured], twice)
    return None if reached is None else Outlook(twice, max(0.0, reached[0]), min(1.0, reached[1]))


def extrapolate(images: Sequence[int], measured: Sequence[float], to: int) -> tuple[float, float] | None:
    """Between which values AP would lie with `to` images: the 95 % prediction interval of the line through AP over
    log2(images); None where AP cannot be measured or fewer than three points say it.

    Example:
        >>> [round(each, 3) for each in extrapolate([100, 200, 400], [0.2, 0.3, 0.4], 800)]
        [0.5, 0.5]
    """
    ap = np.array(measured)
    if len(ap) < 3 or not np.isfinite(ap).all() or len(set(images)) < 3:
        return None
    x = np.log2(images)
    slope, start = np.polyfit(x, ap, 1)
    at = np.log2(to)
    left = ap - (start + slope * x)
    spread = np.sqrt((left**2).sum() / (len(x) - 2))
    error = spread * np.sqrt(1 + 1 / len(x) + (at - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    middle = start + slope * at
    reach = float(t.ppf(0.975, len(x) - 2) * error)
    return float(middle) - reach, float(middle) + reach


def _photos(dataset: Dataset) -> list[str]:
    """What tells the photo of each image: versions of one have one name."""
    return [photo_name(example.path) or str(example.path) for example in dataset.examples]


def join(first: Dataset, second: Dataset | None) -> Dataset:
    """The images of two splits as one, numbered anew."""
    examples = (*first.examples, *(second.examples if second is not None else ()))
    return replace(first, examples=tuple(replace(example, image_id=i) for i, example in enumerate(examples)))


def _trained(config: TrainConfig, dataset: Dataset, console: Console | None) -> Checkpoint:
    """A detector; its run is not kept."""
    if all(example.crowd.all() for example in dataset.examples):
        raise DataError(f"A part of the images of {dataset.root} has no object to learn from: they are too few.")
    with tempfile.TemporaryDirectory() as folder:
        start = starting_checkpoint(config, dataset.classes)
        try:
            return train(start, dataset, None, config, Path(folder) / "run", display=_Quiet(console)).checkpoint
        except StoppedError as error:
            raise StoppedError("Stopped; nothing of it is kept.", error.exit_code - 128) from error
        except NonFiniteError as error:
            raise NonFiniteError("A training on a part of the images diverged.", ()) from error
