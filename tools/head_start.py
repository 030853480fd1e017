"""Make the weights that `sprint` starts from: many data sets -> one model -> a file for the package.

    python tools/head_start.py train OUT --data FOLDER ... --images 91000 [--model sprint-n | CHECKPOINT] [--resume]
    python tools/head_start.py pack CHECKPOINT TARGET

`train` trains on the training splits of all folders together. The classes of a folder stay apart from those of the
others ("chess/pawn"). Folders are drawn in proportion to the square root of their images, so that large ones do not
drown small ones. The run is an ordinary run folder: it logs, and `--resume` continues it. No validation image is read.

`pack` keeps what is common to all classes: the class heads become one row, the mean of all, for the class "object".
Weights are rounded to float16.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from setpiece.data.dataset import Dataset, Example
from setpiece.data.defects import Defects
from setpiece.data.sources import open_dataset
from setpiece.errors import UsageError
from setpiece.model.checkpoint import load, load_unless_preset, save, with_classes
from setpiece.model.presets import presets
from setpiece.training.config import resolve
from setpiece.training.display import Display
from setpiece.training.start import starting_checkpoint
from setpiece.training.train import train

SETTINGS = {
    "augmentation_strength": 1.0,
    "orientations": "mirrored",
    "balance": False,
    "queries": 100,
    "train_scale": 1.0,
    "first_scale": 0.75,
    "ema_decay": 0.9995,
    "evaluations": 1,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("train")
    training.add_argument("output", type=Path)
    training.add_argument("--data", type=Path, nargs="+", required=True, help="folders of data sets")
    training.add_argument("--images", type=int, required=True, help="shown in training, rounded to whole epochs")
    training.add_argument("--model", default="sprint-n", help="a preset, or a checkpoint to go on from")
    training.add_argument("--size", type=int, default=224, help="pixels of the images at the end")
    training.add_argument("--batch-size", type=int, default=16)
    training.add_argument("--learning-rate", type=float, help="that of the recipe by default")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--resume", action="store_true")
    training.set_defaults(run=train_together)
    packing = commands.add_parser("pack")
    packing.add_argument("checkpoint", type=Path)
    packing.add_argument("target", type=Path)
    packing.set_defaults(run=pack)
    options = parser.parse_args(arguments)
    options.run(options)


def train_together(options: argparse.Namespace) -> None:
    """Train one model on all folders."""
    dataset = merged([open_dataset(folder, "train") for folder in options.data])
    checkpoint = load_unless_preset(options.model)
    config = resolve(
        options.data[0],
        options.model,
        checkpoint,
        epochs=max(1, round(options.images / len(dataset.examples))),
        size=options.size,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
        pretrained=checkpoint is not None,
        **SETTINGS,
    )
    start = starting_checkpoint(config, dataset.classes, checkpoint)
    train(start, dataset, None, config, options.output, resume=options.resume, display=Display(Console()))


def merged(datasets: Sequence[Dataset]) -> Dataset:
    """One data set of several: their classes side by side, their images weighted by 1 / √n, n those of a data set."""
    names = [dataset.root.resolve().name for dataset in datasets]
    if len(set(names)) < len(names):
        raise UsageError(f"Two folders have the same name, and so would their classes: {', '.join(names)}.")
    classes: list[str] = []
    examples: list[Example] = []
    weights: list[float] = []
    for folder, dataset in zip(names, datasets, strict=True):
        for example in dataset.examples:
            labels = (example.labels + len(classes)).astype(np.int64)
            examples.append(replace(example, image_id=len(examples) + 1, labels=labels))
        weights += [1 / math.sqrt(len(dataset.examples))] * len(dataset.examples)
        classes += [f"{folder}/{name}" for name in dataset.classes]
    ids = tuple(range(1, len(classes) + 1))
    return Dataset(Path("merged"), "train", tuple(classes), ids, tuple(examples), Defects(), tuple(weights))


def pack(options: argparse.Namespace) -> None:
    """Write what the package holds, and print its size and SHA-256."""
    start = with_classes(load(options.checkpoint), ["object"], None)
    save(replace(start, model=start.model.half(), size=presets()[start.preset].size), options.target)
    file = options.target / "model.safetensors"
    print(file, f"{file.stat().st_size / 2**20:.2f} MiB", hashlib.sha256(file.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
