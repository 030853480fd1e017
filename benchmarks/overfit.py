"""Overfit a few images, without augmentation, to show that the whole path is right.

    python benchmarks/overfit.py DATA [--images 8] [--minutes 10] [--model detr-tiny]

Trains and evaluates on the same images, and prints when AP50 first passed 0.9.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console

from setpiece.data.batching import TrainImages
from setpiece.data.resize import FitSize
from setpiece.data.sources import open_dataset
from setpiece.model.checkpoint import create
from setpiece.runs.layout import RunFolder
from setpiece.training.allocator import keep_freed_memory
from setpiece.training.config import resolve
from setpiece.training.display import Display
from setpiece.training.loop import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--model", default="detr-tiny")
    options = parser.parse_args()

    keep_freed_memory()
    dataset = open_dataset(options.data, "train")
    dataset = replace(dataset, examples=dataset.examples[: options.images])
    torch.manual_seed(0)
    checkpoint = create(options.model, dataset.classes)
    size = checkpoint.size
    images = TrainImages(dataset, size, augmentation=FitSize)
    images.prepare()
    config = resolve(
        options.data,
        options.model,
        minutes=options.minutes,
        evaluations=20,
        batch_size=options.images,
        ema_decay=0.99,
        first_scale=1.0,
    )
    with tempfile.TemporaryDirectory() as folder, Display(Console()) as display:
        run = RunFolder(Path(folder) / "run")
        run.create(config.to_dict(), {}, resume=False)
        Trainer(config, Accelerator(mixed_precision="no"), checkpoint, images, dataset, run, display).run()
        lines = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
    evaluated = [line for line in lines if "AP50" in line]
    passed = next((line for line in evaluated if line["AP50"] > 0.9), None)
    last = evaluated[-1]
    print(f"at the end, {last['seconds']:.0f} s and {last['step']} steps: AP {last['AP']:.3f} AP50 {last['AP50']:.3f}")
    if passed is None:
        raise SystemExit("AP50 never passed 0.9")
    print(f"AP50 passed 0.9 by {passed['seconds']:.0f} s ({passed['step']} steps)")


if __name__ == "__main__":
    main()
