"""Detectors for every image of a data set that have not seen that image in training."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from setpiece.data.dataset import Dataset
from setpiece.data.formats.splits import photo_name
from setpiece.errors import DataError, NonFiniteError, StoppedError
from setpiece.model.checkpoint import Checkpoint
from setpiece.training.config import TrainConfig
from setpiece.training.display import Display
from setpiece.training.start import starting_checkpoint
from setpiece.training.train import train

__all__ = ["FOLDS", "out_of_fold"]

FOLDS = 2


class _Quiet(Display):
    """Shows progress, and says nothing: a fold is no run of the user's."""

    def say(self, text: str) -> None:
        """Not of a fold."""


def out_of_fold(
    config: TrainConfig, dataset: Dataset, console: Console | None = None
) -> Iterator[tuple[Checkpoint, Dataset]]:
    """Train one detector for each of two halves of the images, on the other half.

    Versions of one photo, by Roboflow's names, come into one half.

    Args:
        config: of each run; its length is that of one run.
        dataset: to be divided.
        console: where progress is shown; nowhere where None.

    Yields:
        The detector, and the half that it has not seen. The runs themselves are not kept.

    Raises:
        DataError: a half has no object to learn from.
        StoppedError: Ctrl-C or SIGTERM came.
        NonFiniteError: a training diverged.
    """
    photos = [photo_name(example.path) or str(example.path) for example in dataset.examples]
    order = sorted(set(photos))
    random.Random(config.seed).shuffle(order)
    for fold in range(FOLDS):
        held_out = set(order[fold::FOLDS])
        pairs = list(zip(dataset.examples, photos, strict=True))
        seen = replace(dataset, examples=tuple(example for example, photo in pairs if photo not in held_out))
        unseen = replace(dataset, examples=tuple(example for example, photo in pairs if photo in held_out))
        if all(example.crowd.all() for example in seen.examples):
            raise DataError(f"Half of the images of {dataset.root} have no object to learn from: they are too few.")
        with tempfile.TemporaryDirectory() as folder:
            start = starting_checkpoint(config, dataset.classes)
            try:
                result = train(start, seen, None, config, Path(folder) / "run", display=_Quiet(console))
            except StoppedError as error:
                raise StoppedError("Stopped; nothing of it is kept.", error.exit_code - 128) from error
            except NonFiniteError as error:
                raise NonFiniteError("Training on half of the images diverged: give a trained detector.", ()) from error
        yield result.checkpoint, unseen
