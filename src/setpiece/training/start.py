"""Settings -> what a run starts from: the data set, and a new model or a checkpoint for its classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from setpiece.data.dataset import Dataset
from setpiece.data.sources import available_splits, open_dataset, read_split
from setpiece.errors import DataError
from setpiece.model.checkpoint import Checkpoint, create, with_classes
from setpiece.model.zoo import load_head_start
from setpiece.runs.layout import RunFolder
from setpiece.training.config import TrainConfig, origin_of
from setpiece.training.display import Display
from setpiece.training.result import TrainingResult
from setpiece.training.trackers import require_tracker
from setpiece.training.train import train

__all__ = ["open_data", "start_training", "starting_checkpoint"]


def start_training(
    config: TrainConfig,
    output: Path,
    checkpoint: Checkpoint | None = None,
    *,
    resume: bool = False,
    display: Display | None = None,
) -> TrainingResult:
    """Open the data set, make what the run starts from, and train it.

    Args:
        config: see `resolve`.
        output: the run folder, see `setpiece.runs.layout`.
        checkpoint: what to start from; None for a new model of the preset `config.model`.
        resume: continue the run in `output`, if there is one.
        display: where progress is shown; nowhere where None.

    Raises:
        SetpieceError: see `train`.
    """
    require_tracker(config.tracker)
    dataset, valid = open_data(config.data)
    resumed = resume and RunFolder(output).begun()
    start = starting_checkpoint(config, dataset.classes, checkpoint, resumed=resumed)
    if display is not None and not resumed and os.environ.get("RANK", "0") == "0":
        display.say(f"Starting from {_origin(config, checkpoint)}.")
    return train(start, dataset, valid, config, output, resume=resume, display=display)


def open_data(folder: Path) -> tuple[Dataset, Dataset | None]:
    """The images to train on, and those to evaluate on: the split "valid", or else "test", or else None.

    A split that lists no image counts as none.

    Raises:
        UsageError: there is no such folder.
        DataError: there is no data set, or it cannot be read, or there is nothing to learn in it.
    """
    splits = available_splits(folder)
    dataset = open_dataset(folder, "train")
    if all(example.crowd.all() for example in dataset.examples):
        found = "; ".join(dataset.defects.summary())
        raise DataError(f"No training image of {folder} has an object to learn from; check its annotations ({found}).")
    held_out = (read_split(folder, split) for split in ("valid", "test") if split in splits)
    return dataset, next((part for part in held_out if part.examples), None)


def starting_checkpoint(
    config: TrainConfig, classes: Sequence[str], checkpoint: Checkpoint | None = None, *, resumed: bool = False
) -> Checkpoint:
    """A new model of a preset, or a checkpoint made ready for other classes and another input size.

    Args:
        config: `seed` decides new weights, and `size` the input size.
        classes: of the data set. Where those of `checkpoint` differ, see `with_classes`.
        checkpoint: what to start from; None for a new model of the preset `config.model`. It stays as it is.
        resumed: a saved state will replace the weights, so ImageNet weights are not fetched.

    Raises:
        UsageError: there is no such preset or backbone.
        WeightsError: ImageNet weights cannot be fetched.
    """
    torch.manual_seed(config.seed)
    if checkpoint is not None:
        start = with_classes(checkpoint, classes, config.model)
    else:
        origin = origin_of(config.model, config.backbone, pretrained=config.pretrained)
        if origin == "head start":
            start = load_head_start(config.model, classes)
        else:
            imagenet = origin == "ImageNet" and not resumed
            start = create(config.model, classes, backbone=config.backbone, pretrained_backbone=imagenet)
    return start if config.size is None else replace(start, size=start.size.with_shortest(config.size))


def _origin(config: TrainConfig, checkpoint: Checkpoint | None) -> str:
    """What the weights of a run start from, in words."""
    if checkpoint is not None:
        return config.model
    match origin_of(config.model, config.backbone, pretrained=config.pretrained):
        case "head start":
            return "the packaged weights, which have seen many objects (--from-scratch does without)"
        case "ImageNet":
            return "random weights, but for a CNN with ImageNet weights"
        case _:
            return "random weights"
