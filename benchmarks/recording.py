"""What recording costs: training steps of sprint-n with and without it, in turn, on random images and targets.

    python benchmarks/recording.py [--steps 64] [--batch-size 16] [--images 205] [--objects 13] [--model sprint-n]

Every step runs forward, loss, backward, clipping, the optimisers and the moving average, and then the recorder or not.
Printed: the mean steps; what recording a step takes by itself (timed around the recorder alone, since the difference of
the steps is smaller than their spread; the mean, since it counts several steps at a time); the median snapshot of the
probes and file of an epoch, and all of it as a share of the steps. By default an epoch is that of a small data set: its
end is then reached, and paid for, most often.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image

from setpiece.data.dataset import Example
from setpiece.inference.precision import autocast, uses_bf16
from setpiece.inference.predictor import Predictor
from setpiece.model.base import SetModel
from setpiece.model.checkpoint import create
from setpiece.records import Batch, Images, Losses, Outputs, Targets
from setpiece.setloss import training_criterion
from setpiece.training.allocator import keep_freed_memory
from setpiece.training.config import resolve
from setpiece.training.optimiser import EMA_EVERY, Ema, make_optimisers, update_ema
from setpiece.training.recorder import JOINED, PER_PROBE, Recorder


class Run:
    """A model in training on random batches, and what records it."""

    def __init__(self, model: str, images: int, objects: int, batch_size: int, folder: Path) -> None:
        torch.manual_seed(0)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        config = resolve("random", model, batch_size=batch_size)
        checkpoint = create(model, ["a", "b", "c"])
        self.model = checkpoint.model.to(self.device).to(memory_format=torch.channels_last).train()
        self.ema, self.steps = Ema(self.model, config.ema_decay), itertools.count()
        self.criterion = training_criterion(self.model.form)
        self.bf16 = uses_bf16("auto", self.device)
        self.optimisers = make_optimisers(self.model, config)
        size = checkpoint.size.scaled(config.train_scale)
        self.size, self.batch_size = size.longest, batch_size
        picture = folder / "random.png"  # of all images: only the probes are read
        noise = torch.randint(0, 256, (self.size, self.size, 3), dtype=torch.uint8).numpy()
        Image.fromarray(noise).save(picture)
        self.examples = [self._example(index, objects, picture) for index in range(images)]
        averaged = replace(checkpoint, model=cast(SetModel, self.ema.module))
        self.recorder = Recorder.of_run(
            folder / "recording",
            Predictor(averaged),
            self.criterion,
            self.examples,
            None,
            seed=0,
            steps_per_epoch=images // batch_size,
        )
        self.recorder.begin(0, 0, 0.0)

    def _example(self, index: int, objects: int, path: Path) -> Example:
        corners = torch.rand(objects, 2) * 0.7
        boxes_xyxy = torch.cat([corners, corners + 0.05 + torch.rand(objects, 2) * 0.2], 1) * self.size
        labels = torch.randint(0, 3, (objects,))
        crowd = np.zeros(objects, bool)
        areas = np.ones(objects, np.float32)
        return Example(index, path, self.size, self.size, boxes_xyxy.numpy(), labels.numpy(), crowd, areas)

    def batch(self) -> Batch:
        """Random pixels, with the objects of images drawn at random."""
        chosen = [self.examples[index] for index in torch.randperm(len(self.examples))[: self.batch_size].tolist()]
        B, side = len(chosen), self.size
        targets = []
        for example in chosen:
            corners = torch.from_numpy(example.boxes_xyxy) / side
            boxes = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
            targets.append({"labels": torch.from_numpy(example.labels), "boxes": boxes})
        return Batch(
            images=Images(
                pixels=torch.randn(B, 3, side, side),
                padding=torch.zeros(B, side, side, dtype=torch.bool),
                original_sizes=torch.full((B, 2), side),
            ),
            targets=Targets.from_list(targets),
            image_ids=torch.tensor([example.image_id for example in chosen]),
        ).to(self.device)

    def step(self, batch: Batch) -> tuple[Outputs, Losses]:
        """What the loop does but for recording."""
        with autocast(self.device, self.bf16):
            pixels = batch.images.pixels.contiguous(memory_format=torch.channels_last)
            outputs = self.model(pixels, batch.images.padding)
        losses = self.criterion(outputs, batch.targets)
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        update_ema(self.ema, self.model, next(self.steps))
        losses.total.item()  # the loop reads its losses here
        return outputs, losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=64, help="of each kind")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--images", type=int, default=205, help="of an epoch")
    parser.add_argument("--objects", type=int, default=13, help="in each image")
    parser.add_argument("--model", default="sprint-n")
    options = parser.parse_args()

    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(options.model, options.images, options.objects, options.batch_size, Path(folder))
        for _ in range(2 * EMA_EVERY):
            run.step(run.batch())  # warm-up
        plain, recorded, alone, snapshots, files = [], [], [], [], []
        for index in range(2 * options.steps):
            batch = run.batch()
            start = time.perf_counter()
            outputs, losses = run.step(batch)
            stepped = time.perf_counter()
            if index // EMA_EVERY % 2:  # in blocks, so that both kinds average equally often
                run.recorder.step(outputs, batch, losses)
                recorded.append(time.perf_counter() - start)
                alone.append(time.perf_counter() - stepped)
            else:
                plain.append(stepped - start)
            if index % (4 * JOINED) == 4 * JOINED - 1:  # all steps until here are counted
                snapshots.append(seconds_of(lambda: run.recorder.end_epoch(1, 1, 0.0, final=True)))
                files.append(seconds_of(lambda: run.recorder.end_epoch(2, 1, 0.0, final=False)))  # no snapshot is due
    steps = options.images // options.batch_size
    between = PER_PROBE * len(run.recorder.probes.examples) / options.batch_size
    median = statistics.median
    report(
        steps,
        max(steps, between),
        statistics.fmean(plain),
        statistics.fmean(recorded),
        statistics.fmean(alone),
        median(snapshots),
        median(files),
    )


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def report(
    steps: int, between: float, plain: float, recorded: float, alone: float, snapshot: float, file: float
) -> None:
    """Print milliseconds, and shares of the steps: those of an epoch, and those between two snapshots."""
    recording, writing, snapshots = alone / plain, file / plain / steps, (snapshot - file) / plain / between
    print(f"step without recording {plain * 1e3:.1f} ms, with it {recorded * 1e3:.1f} ms")
    print(f"recording a step {alone * 1e3:.2f} ms: {recording:.2%} of the step")
    print(f"an epoch's file {file * 1e3:.1f} ms: {writing:.2%} of {steps} steps")
    print(f"a snapshot of the probes {(snapshot - file) * 1e3:.0f} ms: {snapshots:.2%} of {between:.0f} steps")
    print(f"in all {recording + writing + snapshots:.2%} of the step")


if __name__ == "__main__":
    main()
