"""Several trainings that answer one question: how much is chance, and what would more images bring."""

from __future__ import annotations

import hashlib
import math
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import t

from setpiece.data.dataset import Dataset
from setpiece.data.formats.splits import photo_name
from setpiece.errors import DataError, NonFiniteError, StoppedError, UsageError
from setpiece.evaluation import CocoMetrics
from setpiece.evaluation.numbers import in_words, or_none
from setpiece.inference.evaluation import evaluate
from setpiece.inference.next_steps import Outlook
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import Checkpoint
from setpiece.training.config import TrainConfig
from setpiece.training.display import Display
from setpiece.training.start import starting_checkpoint
from setpiece.training.train import train

__all__ = [
    "Measured",
    "by_fold",
    "by_seed",
    "by_share",
    "extrapolate",
    "join",
    "out_of_fold",
    "outlook",
    "spread",
    "spread_table",
]

SHARES = (0.25, 0.5, 0.75, 1.0)  # of the training images
POINTS = 3  # numbers of images, from which on a line says something
SPREAD = ("AP", "AP50")


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


class _Quiet(Display):
    """Shows progress, and says nothing: such a training is no run of the user's."""

    def say(self, text: str) -> None:
        """Not of such a training."""


def out_of_fold(
    config: TrainConfig, dataset: Dataset, folds: int = 2, console: Console | None = None
) -> Iterator[tuple[Checkpoint, Dataset, int]]:
    """Divide the images into parts, and train one detector for each part on all others.

    Equal files, and a photo and the versions of it by Roboflow's names, come into one part.

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
    held_out = [set(order[fold::folds]) for fold in range(folds)]
    seen = [_chosen(dataset, photos, set(order) - out) for out in held_out]
    _require_objects(seen)
    for part, out in zip(seen, held_out, strict=True):
        yield _trained(config, part, console), _chosen(dataset, photos, out), len(part.examples)


def by_fold(config: TrainConfig, dataset: Dataset, folds: int, console: Console | None = None) -> Iterator[Measured]:
    """Cross-validation: every image is evaluated once, by a detector that has not seen it. See `out_of_fold`."""
    for fold, (checkpoint, unseen, images) in enumerate(out_of_fold(config, dataset, folds, console), 1):
        yield Measured(f"fold {fold}", images, evaluate(Predictor(checkpoint), unseen))


def by_seed(
    config: TrainConfig, dataset: Dataset, valid: Dataset, seeds: int, console: Console | None = None
) -> Iterator[Measured]:
    """The same training with other seeds, from that of `config` on; raises what `out_of_fold` raises."""
    _require_objects([dataset])
    for seed in range(config.seed, config.seed + seeds):
        checkpoint = _trained(config.model_copy(update={"seed": seed}), dataset, console)
        yield Measured(f"seed {seed}", len(dataset.examples), evaluate(Predictor(checkpoint), valid))


def by_share(
    config: TrainConfig, dataset: Dataset, valid: Dataset, console: Console | None = None
) -> Iterator[Measured]:
    """The same training on a quarter, a half, three quarters and all of the images.

    The images of a smaller share are among those of a larger one. Versions of one photo come together.

    Raises:
        UsageError: there are too few photos for three shares that differ, or no objects to measure on.
        DataError, StoppedError, NonFiniteError: see `out_of_fold`.
    """
    photos = _photos(dataset)
    order = sorted(set(photos))
    random.Random(config.seed).shuffle(order)
    counts = [max(1, round(share * len(order))) for share in SHARES]
    if len(set(counts)) < POINTS:
        raise UsageError(f"{len(order)} photos are too few to train on shares of them: add images.")
    if all(example.crowd.all() for example in valid.examples):
        raise UsageError("There are no objects among the validation images to measure on.")
    parts = [_chosen(dataset, photos, set(order[:count])) for count in counts]
    _require_objects(parts)
    for share, part in zip(SHARES, parts, strict=True):
        metrics = evaluate(Predictor(_trained(config, part, console)), valid)
        yield Measured(f"{share:.0%}", len(part.examples), metrics)


def outlook(measured: Sequence[Measured]) -> Outlook | None:
    """What twice the images would bring; None where AP cannot be measured or fewer than three points say it.

    AP is taken to grow by the same amount with every doubling. That is true for a while: close to the best that the
    model can do it grows less.
    """
    images = [one.images for one in measured]
    most = max(images, default=0)
    reached = extrapolate(images, [one.metrics.AP for one in measured], 2 * most)
    if reached is None:
        return None
    low, high = np.clip(reached, 0.0, 1.0).tolist()
    first, last = (measured[images.index(count)].metrics.AP for count in (min(images), most))
    return Outlook(most, most, last, low, high, rises=last > first)


def spread(measured: Sequence[Measured]) -> dict[str, Any]:
    """Each training, and the mean and standard deviation of AP and AP50 over all classes and per class: for JSON.

    What cannot be measured, such as a deviation of one number, is None.
    """
    return {
        "trainings": [{"name": one.name, "images": one.images} | one.metrics.to_dict() for one in measured],
        "spread": {
            row: {
                metric: {"mean": or_none(mean), "standard_deviation": or_none(deviation)}
                for metric, (mean, deviation) in of.items()
            }
            for row, of in _spreads(measured).items()
        },
    }


def spread_table(measured: Sequence[Measured]) -> Table:
    """The same for a terminal: mean ± standard deviation."""
    table = Table("", title=f"mean ± standard deviation of {len(measured)} trainings")
    for metric in SPREAD:
        table.add_column(metric, justify="right")
    for number, (row, of) in enumerate(_spreads(measured).items()):
        cells = (f"{in_words(mean)} ± {in_words(deviation)}" for mean, deviation in of.values())
        table.add_row(row, *cells, end_section=not number)
    return table


def _spreads(measured: Sequence[Measured]) -> dict[str, dict[str, tuple[float, float]]]:
    """Of each metric of all classes and of every class, over the trainings that had objects to measure it on."""
    rows = {"all classes": [{name: getattr(one.metrics, name) for name in SPREAD} for one in measured]}
    rows |= {name: [one.metrics.per_class[name] for one in measured] for name in measured[0].metrics.per_class}
    return {
        row: {name: _mean_and_deviation([each[name] for each in of]) for name in SPREAD} for row, of in rows.items()
    }


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    known = [value for value in values if not math.isnan(value)]
    mean = statistics.mean(known) if known else math.nan
    return mean, statistics.stdev(known) if len(known) > 1 else math.nan


def extrapolate(images: Sequence[int], measured: Sequence[float], to: int) -> tuple[float, float] | None:
    """Between which values AP would lie with `to` images: the 95 % prediction interval of the line through AP over
    log2(images); None where AP cannot be measured or fewer than three points say it.

    Example:
        >>> [round(each, 3) for each in extrapolate([100, 200, 400], [0.2, 0.3, 0.4], 800)]
        [0.5, 0.5]
    """
    ap = np.array(measured)
    if not np.isfinite(ap).all() or len(set(images)) < POINTS:
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


def _photos(dataset: Dataset) -> list[int]:
    """A number for the photo of each image: equal files have one, and a file and the versions that Roboflow made."""
    files = [example.path for example in dataset.examples]
    versions = {photo_name(file) for file in files}
    # Roboflow's version of fish.jpg is fish_jpg.rf.0a1b2c.jpg.
    names = [photo_name(file) or f"{file.stem}_{file.suffix[1:]}" for file in files]
    of_name = [name if name in versions else str(file) for name, file in zip(names, files, strict=True)]
    parts = [np.unique(of, return_inverse=True)[1] for of in (of_name, [_content(file) for file in files])]
    links = coo_array((np.ones(len(files)), (parts[0], parts[1] + len(files))), shape=(2 * len(files),) * 2)
    return [int(photo) for photo in connected_components(links, directed=False)[1][parts[0]]]


def _content(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:  # it is gone, and shown as a grey image in training
        return str(file)


def _chosen(dataset: Dataset, photos: Sequence[int], kept: Set[int]) -> Dataset:
    pairs = zip(dataset.examples, photos, strict=True)
    return replace(dataset, examples=tuple(example for example, photo in pairs if photo in kept))


def _require_objects(parts: Sequence[Dataset]) -> None:
    for part in parts:
        if all(example.crowd.all() for example in part.examples):
            raise DataError(f"A part of the images of {part.root} has no object to learn from: they are too few.")


def join(first: Dataset, second: Dataset | None) -> Dataset:
    """The images of two splits as one, numbered anew."""
    examples = (*first.examples, *(second.examples if second is not None else ()))
    return replace(first, examples=tuple(replace(example, image_id=i) for i, example in enumerate(examples)))


def _trained(config: TrainConfig, dataset: Dataset, console: Console | None) -> Checkpoint:
    """A detector, where it can predict fast; its run is not kept."""
    with tempfile.TemporaryDirectory() as folder:
        start = starting_checkpoint(config, dataset.classes)
        try:
            checkpoint = train(start, dataset, None, config, Path(folder) / "run", display=_Quiet(console)).checkpoint
        except StoppedError as error:
            raise StoppedError("Stopped; nothing of it is kept.", error.exit_code - 128) from error
        except NonFiniteError as error:
            raise NonFiniteError("A training on a part of the images diverged.", ()) from error
    checkpoint.model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    return checkpoint
