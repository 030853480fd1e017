"""Detectors for every image of a data set that have not seen that image in training."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from setpiece.data.dataset import Dataset
from setpiece.model.checkpoint import Checkpoint
from setpiece.training.config import TrainConfig
from setpiece.training.display import Display
from setpiece.training.start import starting_checkpoint
from setpiece.training.train import train

__all__ = ["FOLDS", "out_of_fold"]

FOLDS = 2


def out_of_fold(
    config: TrainConfig, dataset: Dataset, display: Display | None = None
) -> Iterator[tuple[Checkpoint, Dataset]]:
    """Train one detector for each of two halves of the images, on the other half.

    Args:
        config: of each run; its length is that of one run.
        dataset: at least two images with objects.
        display: where progress is shown; nowhere where None.

    Yields:
        The detector, and the half that it has not seen. The runs themselves are not kept.
    """
    order = list(range(len(dataset.examples)))
    random.Random(config.seed).shuffle(order)
    for fold in range(FOLDS):
        held_out = set(order[fold::FOLDS])
        seen, unseen = (
            replace(
                dataset,
                examples=tuple(e for i, e in enumerate(dataset.examples) if (i in held_out) == held),
            )
            for held in (False, True)
        )
        with tempfile.TemporaryDirectory() as folder:
            start = starting_checkpoint(config, dataset.classes)
            result = train(start, seen, None, config, Path(folder) / "run", display=display)
        yield result.checkpoint, unseen
