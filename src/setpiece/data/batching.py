"""Items of different sizes, padded into one batch; and the loaders of training and evaluation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

import torch
from torch.utils.data import DataLoader, Subset

from setpiece.data.augmentation.paper import STRIDE, InputSize, normalise
from setpiece.data.dataset import Dataset
from setpiece.data.items import EvalImages, Item, Orientations, TrainImages
from setpiece.data.sampler import EpochSampler
from setpiece.records import Batch, Targets

__all__ = [
    "EpochSampler",
    "EvalImages",
    "Item",
    "Orientations",
    "TrainImages",
    "collate",
    "eval_loader",
    "loading_processes",
    "train_loader",
]

Colour = tuple[float, float, float]


def collate(items: Sequence[Item], mean: Colour, std: Colour) -> Batch:
    """Pad images at the right and bottom to one size, normalise them, and stack their targets.

    Args:
        mean: of each colour channel, in [0, 1].
        std: likewise.
    """
    height, width = _padded_size(items)
    images = torch.zeros(len(items), 3, height, width, dtype=torch.uint8)
    padding = torch.ones(len(items), height, width, dtype=torch.bool)
    for b, item in enumerate(items):
        _, h, w = item.image.shape
        images[b, :, :h, :w] = item.image
        padding[b, :h, :w] = False
    return Batch(
        images=normalise(images, mean, std).masked_fill_(padding[:, None], 0.0),
        padding=padding,
        targets=Targets.from_list([{"labels": item.labels, "boxes": item.boxes_cxcywh} for item in items]),
        image_ids=torch.tensor([item.image_id for item in items]),
        original_sizes=torch.tensor([item.original_size for item in items]),
    )


def _padded_size(items: Sequence[Item]) -> tuple[int, int]:
    height, width = (max(item.image.shape[side] for item in items) for side in (1, 2))
    return -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE


def loading_processes(device: torch.device, world_size: int = 1) -> int:
    """How many processes load ahead, unless the user says: none on a CPU, whose cores the steps need, else up to 8.

    Args:
        world_size: processes that train together, taken to share one machine's cores.
    """
    return 0 if device.type == "cpu" else min(8, (os.cpu_count() or 1) // world_size)


def train_loader(
    images: TrainImages,
    sampler: EpochSampler,
    mean: Colour,
    std: Colour,
    *,
    workers: int = 0,
) -> DataLoader[Item]:
    """Batches of augmented images, in the order of the sampler; the same for any number of workers.

    Call `sampler.set_epoch` before iterating over each epoch.

    Args:
        images: call its `prepare()` first, so that workers share what it keeps.
        workers: processes that load ahead; 0 loads in this one.
    """
    return DataLoader(
        images,
        batch_sampler=sampler,
        collate_fn=partial(collate, mean=mean, std=std),
        num_workers=workers,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # or each epoch would draw a number from the global one
    )


def eval_loader(
    dataset: Dataset,
    size: InputSize,
    mean: Colour,
    std: Colour,
    *,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> DataLoader[Item]:
    """Every image once, resized for evaluation, in order; of several processes each takes every so many-th.

    Args:
        size: the input size of the model.
        mean: of each colour channel, in [0, 1].
        std: likewise.
        batch_size: images per batch of this process.
        workers: processes that load ahead; 0 loads in this one.
        rank: which process this is, in [0, world_size).
        world_size: processes that evaluate together.
    """
    images = EvalImages(dataset, size)
    return DataLoader(
        Subset(images, range(rank, len(images), world_size)),
        batch_size=batch_size,
        collate_fn=partial(collate, mean=mean, std=std),
        num_workers=workers,
        generator=torch.Generator(),
    )
