"""A configuration -> a run: opens the data, creates or loads the model, and trains it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console

from setpiece.data.augmentation.canvas import RandomCanvas
from setpiece.data.augmentation.paper import train_transform
from setpiece.data.batching import TrainImages
from setpiece.data.dataset import Dataset
from setpiece.data.sources import available_splits, open_dataset
from setpiece.errors import SetpieceError, UsageError
from setpiece.model.checkpoint import Checkpoint, create, load
from setpiece.model.presets import presets
from setpiece.runs.layout import RunFolder
from setpiece.training.allocator import keep_freed_memory
from setpiece.training.config import TrainConfig, starts_from_imagenet
from setpiece.training.display import Display
from setpiece.training.loop import Trainer


def train(config: TrainConfig, output: Path, *, resume: bool = False, console: Console | None = None) -> Path:
    """Train a model on a data set, evaluating it as it goes.

    Args:
        config: see `TrainConfig`.
        output: the run folder, see `setpiece.runs.layout`.
        resume: continue the run in `output`, if there is one.
        console: where progress is shown; nowhere where None.

    Returns:
        The folder of the best checkpoint, or of the last where there were no images to evaluate on.

    Raises:
        SetpieceError: see the rooms `data`, `model` and `setloss`. A run that ends before its first checkpoint
            leaves no folder.
    """
    keep_freed_memory()
    on_cpu = not torch.accelerator.is_available()  # which Accelerate does not find out in one of several processes
    accelerator = Accelerator(cpu=on_cpu, mixed_precision="no")  # autocast is ours, so that evaluation has the same
    if console is None or not accelerator.is_main_process:
        console = Console(quiet=True)
    display = Display(console)
    dataset, valid = _open(config.data, display)
    torch.manual_seed(config.seed)
    run = RunFolder(output)
    checkpoint = _start(config, dataset, resumed=resume and run.begun())
    size = checkpoint.size.scaled(config.train_scale)
    on_canvas = partial(RandomCanvas, margin=checkpoint.mean)
    augmentation = on_canvas if config.augmentation == "canvas" else train_transform
    images = TrainImages(dataset, size, seed=config.seed, augmentation=augmentation, orientations=config.orientations)
    with display:
        kept = images.prepare(lambda done, total: display.show("decoding", done / total, f"{done} images"))
        if accelerator.is_main_process:
            run.create(config, resume=resume)
        accelerator.wait_for_everyone()
        display.say(
            f"Training {config.model} on {len(dataset.examples)} images with {len(dataset.classes)} classes "
            f"({', '.join(dataset.classes[:8])}{' …' if len(dataset.classes) > 8 else ''}), images at up to "
            f"{size.longest} px, to be used at {checkpoint.size.longest} px."
        )
        display.say(
            "The clock runs from the first step: augmentation counts; "
            + ("decoding the images once beforehand and " if kept else "")
            + ("evaluation do not." if kept else "evaluation does not.")
        )
        try:
            return Trainer(config, accelerator, checkpoint, images, valid, run, display).run()
        except SetpieceError:
            if accelerator.is_main_process:
                run.forget()
            raise


def _open(data: Path, display: Display) -> tuple[Dataset, Dataset | None]:
    """The training split, and the one to evaluate on; says what is wrong with them."""
    splits = available_splits(data)
    dataset = open_dataset(data, "train")
    held_out = next((split for split in ("valid", "test") if split in splits), None)
    valid = open_dataset(data, held_out) if held_out else None
    for part in filter(None, (dataset, valid)):
        for line in part.defects.summary():
            display.say(f"{data.name}/{part.split}: {line}")
    if valid is None:
        display.say(f"{data} has no valid and no test split: nothing will be evaluated.")
    return dataset, valid


def _start(config: TrainConfig, dataset: Dataset, *, resumed: bool) -> Checkpoint:
    """The model to train; its ImageNet weights are not fetched where a saved state replaces them."""
    if config.model not in presets():
        if config.backbone is not None:
            raise UsageError(f"{config.model} has a backbone already: --backbone goes with a preset.")
        checkpoint = load(config.model, dataset.classes)
        if config.size is None:
            return checkpoint
        return replace(checkpoint, size=checkpoint.size.with_shortest(config.size))
    return create(
        config.model,
        dataset.classes,
        backbone=config.backbone,
        pretrained_backbone=not resumed and starts_from_imagenet(config.model, config.backbone, config.pretrained),
        shortest=config.size,
    )
