"""Train `transformers`' D-FINE-N from scratch on a data set for some minutes: what a peer learns in the same time.

    python benchmarks/peer.py DATA --minutes 10 [--size 320] [--batch 16] [--learning-rate 8e-4] [--seed 0]

The images and their evaluation are those of `sprint-n`, and the augmentation is like its own. Model, loss and optimiser
are the peer's: AdamW with the learning rates of its authors (8e-4, half of it for the CNN), gradients clipped at 0.1,
and a linear warm-up. Its public weights are not used. Printed: AP, AP50 and steps.

Reference: Peng et al., D-FINE, arXiv 2410.13842.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from setpiece.data.augmentation.canvas import RandomCanvas
from setpiece.data.batching import EpochSampler, TrainImages, eval_loader, train_loader
from setpiece.data.dataset import Dataset
from setpiece.evaluation import CocoMetrics, evaluate_coco, to_coco_results
from setpiece.inference.detections import to_detections
from setpiece.inference.precision import autocast, uses_bf16
from setpiece.model.backbones.single_scale import IMAGENET_MEAN, IMAGENET_STD
from setpiece.records import InputSize, Outputs
from setpiece.training.allocator import keep_freed_memory
from setpiece.training.choices import choose_orientations
from setpiece.training.start import open_data
from training import d_fine_n

CPU = torch.device("cpu")
WARMUP = 200  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=8e-4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    keep_freed_memory()
    torch.manual_seed(options.seed)
    dataset, valid = open_data(options.data)
    if valid is None:
        parser.error(f"{options.data} has no valid and no test split to measure on.")
    model = d_fine_n(len(dataset.classes))
    steps = train(model, dataset, options)
    metrics = evaluate(model, valid, options.size)
    print(f"{options.data.name}: AP {metrics.AP:.3f} AP50 {metrics.AP50:.3f} in {steps} steps")


def train(model: nn.Module, dataset: Dataset, options: argparse.Namespace) -> int:
    """Train for the minutes that are asked for; the number of steps."""
    size = InputSize(options.size, options.size)
    orientations, _ = choose_orientations(dataset)
    images = TrainImages(dataset, size, seed=options.seed, augmentation=RandomCanvas, orientations=orientations)
    images.prepare()
    sampler = EpochSampler(len(images), options.batch, seed=options.seed)
    loader = train_loader(images, sampler, IMAGENET_MEAN, IMAGENET_STD)
    named = list(model.named_parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for name, p in named if ("backbone" in name) == in_cnn], "lr": options.learning_rate * factor}
        for in_cnn, factor in ((False, 1.0), (True, 0.5))
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=1e-4, fused=True)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / WARMUP))
    steps, epoch, end = 0, 0, time.perf_counter() + 60 * options.minutes
    while time.perf_counter() < end:
        sampler.set_epoch(epoch)
        epoch += 1
        for batch in loader:
            counts = zip(batch.targets.labels, batch.targets.boxes, batch.targets.count.tolist(), strict=True)
            labels = [{"class_labels": each[:count], "boxes": boxes[:count]} for each, boxes, count in counts]
            with autocast(CPU, uses_bf16("auto", CPU)):
                loss = model(pixel_values=batch.images.pixels, labels=labels).loss
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimiser.step()
            optimiser.zero_grad()
            warmup.step()
            steps += 1
            if time.perf_counter() >= end:
                break
    return steps


@torch.inference_mode()
def evaluate(model: nn.Module, valid: Dataset, side: int) -> CocoMetrics:
    """COCO metrics of the peer; images lie in the upper left corner of a square of `side` pixels."""
    model.eval()
    results: list[dict[str, Any]] = []
    for batch in eval_loader(valid, InputSize(side, side), IMAGENET_MEAN, IMAGENET_STD, batch_size=8):
        pixels, padding = batch.images.pixels, batch.images.padding
        square = nn.functional.pad(pixels, (0, side - pixels.shape[3], 0, side - pixels.shape[2]))
        found = model(pixel_values=square)
        height, width = (~padding).sum(1).amax(1), (~padding).sum(2).amax(1)  # of each image without its padding
        share: Tensor = torch.stack([width, height, width, height], 1) / side
        outputs = Outputs(found.logits[None], (found.pred_boxes / share[:, None])[None])
        detections = to_detections(outputs, batch.images.original_sizes, valid.classes, "sigmoid")
        results += to_coco_results(detections, batch.image_ids.tolist(), valid.category_ids)
    return evaluate_coco(valid.to_coco(), results)


if __name__ == "__main__":
    main()
