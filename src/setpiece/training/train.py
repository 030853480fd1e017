"""Train a checkpoint on a data set."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator

from setpiece.data.augmentation.canvas import RandomCanvas
from setpiece.data.augmentation.paper import train_transform
from setpiece.data.batching import Orientations, TrainImages
from setpiece.data.checks import Settings
from setpiece.data.checks.brief import brief
from setpiece.data.dataset import Dataset
from setpiece.data.fingerprint import fingerprint
from setpiece.errors import SetpieceError, UsageError
from setpiece.model.checkpoint import Checkpoint
from setpiece.model.presets import presets
from setpiece.runs.layout import RunFolder
from setpiece.training.allocator import keep_freed_memory
from setpiece.training.choices import common_aspect, fit_to_data
from setpiece.training.config import TrainConfig
from setpiece.training.display import Display
from setpiece.training.loop import Trainer
from setpiece.training.result import TrainingResult

__all__ = ["train"]


def train(
    checkpoint: Checkpoint,
    dataset: Dataset,
    valid: Dataset | None,
    config: TrainConfig,
    output: Path,
    *,
    resume: bool = False,
    display: Display | None = None,
) -> TrainingResult:
    """Train a checkpoint, evaluating it as it goes. `start.start_training` makes one from the settings alone.

    Args:
        checkpoint: what to start from, with the classes of the data set; it stays as it is.
        dataset: the images to train on.
        valid: the images to evaluate on; nothing is evaluated where None.
        config: the settings. `model`, `backbone` and `size` have to be those of the checkpoint. `data` and `pretrained`
            are recorded and not read: a checkpoint does not say what its weights started from. What is left open is
            decided by the data, see `choices.fit_to_data`.
        output: the run folder, see `setpiece.runs.layout`.
        resume: continue the run in `output`, if there is one.
        display: where progress is shown; nowhere where None.

    Returns:
        The best checkpoint, or the last where there were no images to evaluate on.

    Raises:
        UsageError: the settings are of another checkpoint, or `output` cannot be used.
        SetpieceError: see the packages `data`, `model` and `setloss`. A new run that fails before its first state
            leaves nothing of its own.
    """
    _require_settings_of(checkpoint, config)
    config, checkpoint, dataset, choices = fit_to_data(config, checkpoint, dataset)
    keep_freed_memory()
    on_cpu = not torch.accelerator.is_available()  # with several processes Accelerate does not detect this itself
    accelerator = Accelerator(cpu=on_cpu, mixed_precision="no")  # we use our own autocast, in evaluation too
    if display is None or not accelerator.is_main_process:
        display = Display()
    run = RunFolder(output)
    orientations = cast(Orientations, config.orientations)  # no longer "auto"
    size = checkpoint.size.scaled(config.train_scale)
    on_canvas = partial(
        RandomCanvas,
        strength=config.augmentation_strength,
        margin=checkpoint.mean,
        aspect=common_aspect(dataset, orientations),
    )
    augmentation = on_canvas if config.augmentation == "canvas" else train_transform
    images = TrainImages(dataset, size, seed=config.seed, augmentation=augmentation, orientations=orientations)
    with display:
        _say_defects(checkpoint, dataset, valid, display)
        for choice in choices:
            display.say(choice)
        kept = images.prepare(lambda done, total: display.show("decoding", done / total, f"{done} images"))
        run.refuse_other_use()
        with run.locked() if accelerator.is_main_process else nullcontext():
            if accelerator.is_main_process:
                splits = {part.split: fingerprint(part) for part in (dataset, valid) if part is not None}
                if differs := run.create(config.to_dict(), splits, resume=resume):
                    display.say(f"This run goes on with other software or on another machine: {differs}.")
                if not run.is_new and not run.begun():
                    display.say(f"{output} has no saved state: the run begins again.")
            accelerator.wait_for_everyone()
            classes = f"{len(dataset.classes)} class{'es' if len(dataset.classes) != 1 else ''}"
            shown = f"{', '.join(dataset.classes[:8])}{' …' if len(dataset.classes) > 8 else ''}"
            display.say(
                f"Training {config.model} on {len(dataset.examples)} images with {classes} ({shown}), images at up to "
                f"{size.longest} px in training and {checkpoint.size.longest} px in evaluation and prediction."
            )
            display.say(
                "Training time includes augmentation, but not "
                + ("decoding the images once at the start, and not " if kept else "")
                + "evaluation."
            )
            try:
                return Trainer(config, accelerator, checkpoint, images, valid, run, display).run()
            except SetpieceError:
                if accelerator.is_main_process:
                    run.forget()
                raise


def _require_settings_of(checkpoint: Checkpoint, config: TrainConfig) -> None:
    """Raise where `run.json` would record another model than the one that is trained."""
    preset = presets().get(config.model)
    recorded = {
        "model": (config.model if preset else checkpoint.preset, checkpoint.preset),
        "backbone": (config.backbone or (None if preset else checkpoint.backbone), checkpoint.backbone),
        "size": (config.size or (preset or checkpoint).size.shortest, checkpoint.size.shortest),
    }
    for name, (setting, actual) in recorded.items():
        if setting != actual:
            raise UsageError(f"The settings say {name} = {setting}, and the checkpoint has {actual}: make them equal.")


def _say_defects(checkpoint: Checkpoint, dataset: Dataset, valid: Dataset | None, display: Display) -> None:
    """Say what is wrong with the data or unusual, and whether there is nothing to evaluate on."""
    settings = Settings(checkpoint.size, checkpoint.model.num_queries)
    for line in brief([dataset] if valid is None else [dataset, valid], settings):
        display.say(line)
    if valid is None:
        display.say(f"{dataset.root} has no images in a valid or test split: nothing will be evaluated.")
    elif all(example.crowd.all() for example in valid.examples):
        display.say(
            f"{valid.root.name}/{valid.split} has no objects: there is nothing to measure, and the latest checkpoint "
            "will count as the best."
        )
