"""Items of different sizes, padded into one batch; and the loaders of training and evaluation."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader

from setpiece.data.dataset import Dataset
from setpiece.data.fitting import alike
from setpiece.data.items import EvalImages, Item, Orientations, TrainImages
from setpiece.data.resize import normalise
from setpiece.data.sampler import EpochSampler
from setpiece.errors import LoadingError
from setpiece.records import STRIDE, Batch, Images, InputSize, Targets

__all__ = [
    "EpochSampler",
    "EvalImages",
    "Item",
    "Orientations",
    "TrainImages",
    "batches_of",
    "collate",
    "eval_loader",
    "load_ahead",
    "loading_processes",
    "pad_images",
    "train_loader",
]

Colour = tuple[float, float, float]
T = TypeVar("T")


def pad_images(
    images: Sequence[UInt8[Tensor, "3 _ _"]], original_sizes: Sequence[tuple[int, int]], mean: Colour, std: Colour
) -> Images:
    """Pad images at the right and bottom to one size, a multiple of 32 pixels a side, and normalise them.

    Args:
        images: RGB, [0, 255], as large as they enter the model.
        original_sizes: (height, width) of each before it was resized.
        mean: of each colour channel, in [0, 1].
        std: likewise.
    """
    height, width = (-(-max(image.shape[side] for image in images) // STRIDE) * STRIDE for side in (1, 2))
    pixels = torch.zeros(len(images), 3, height, width, dtype=torch.uint8)
    padding = torch.ones(len(images), height, width, dtype=torch.bool)
    for b, image in enumerate(images):
        _, h, w = image.shape
        pixels[b, :, :h, :w] = image
        padding[b, :h, :w] = False
    return Images(
        pixels=normalise(pixels, mean, std).masked_fill_(padding[:, None], 0.0),
        padding=padding,
        original_sizes=torch.tensor(original_sizes),
    )


def collate(items: Sequence[Item], mean: Colour, std: Colour) -> Batch:
    """Pad the images of a data set to one size (`pad_images`), and their targets to one number."""
    return Batch(
        images=pad_images([item.image for item in items], [item.original_size for item in items], mean, std),
        targets=Targets.from_list([{"labels": item.labels, "boxes": item.boxes_cxcywh} for item in items]),
        image_ids=torch.tensor([item.image_id for item in items]),
    )


def loading_processes(device: torch.device, world_size: int = 1) -> int:
    """Default number of loading processes: 0 on a CPU, because training needs its cores; up to 8 elsewhere.

    Args:
        world_size: number of training processes. They are assumed to share the cores of one machine.
    """
    return 0 if device.type == "cpu" else min(8, (os.cpu_count() or 1) // world_size)


def train_loader(
    images: TrainImages,
    sampler: EpochSampler,
    mean: Colour,
    std: Colour,
    *,
    workers: int = 0,
    pinned: bool = False,
) -> DataLoader[Item]:
    """Batches of augmented images, in the order of the sampler; the same for any number of workers.

    Call `sampler.set_epoch` before iterating over each epoch.

    Args:
        images: call its `prepare()` first, so that workers share what it keeps.
        workers: processes that load ahead; 0 loads in this one.
        pinned: put batches into memory that a GPU copies by itself, while Python goes on.
    """
    return DataLoader(
        images,
        batch_sampler=sampler,
        collate_fn=partial(collate, mean=mean, std=std),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pinned,
        worker_init_fn=_leave_interrupts_to_the_parent,
        generator=torch.Generator(),  # or each epoch would draw a number from the global one
    )


def batches_of(loader: DataLoader[Item]) -> Iterator[Batch]:
    """The batches of a loader.

    PyTorch raises an error wherever the program happens to be when a process of a loader dies. Here that is noticed
    only where a batch is waited for, so that a step or a file that is being written is not torn.

    Raises:
        LoadingError: one of its processes was killed.
    """
    try:
        iterator = iter(loader)
        if loader.num_workers and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        yield from iterator
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise LoadingError(
            "A process that loads images was killed, perhaps since memory ran out: fewer --workers take less."
        ) from error


def _leave_interrupts_to_the_parent(_: int) -> None:
    """Of a loading process: Ctrl-C reaches it too, and it is the training process that decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def load_ahead(batches: Iterable[T]) -> Iterator[T]:
    """The same batches, each loaded by a thread while the one before it is worked on.

    The thread computes every operation alone, as a replica does. It draws from the global generators of random numbers,
    so whoever works on a batch must not.
    """
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as thread:
        iterator = iter(batches)
        upcoming = thread.submit(next, iterator, None)
        while (batch := upcoming.result()) is not None:
            upcoming = thread.submit(next, iterator, None)
            yield batch


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
    """Every image once, resized for evaluation, in batches of one padded size, see `alike`.

    With several processes each takes every `world_size`-th image.

    Args:
        size: the input size of the model.
        mean: of each colour channel, in [0, 1].
        std: likewise.
        batch_size: images per batch of this process.
        workers: processes that load ahead; 0 loads in this one.
        rank: which process this is, in [0, world_size).
        world_size: processes that evaluate together.
    """
    examples = dataset.examples[rank::world_size]
    groups = alike([(example.height, example.width) for example in examples], size)
    batches = [group[i : i + batch_size] for group in groups for i in range(0, len(group), batch_size)]
    return DataLoader(
        EvalImages(examples, size),
        batch_sampler=batches,
        collate_fn=partial(collate, mean=mean, std=std),
        num_workers=workers,
        worker_init_fn=_leave_interrupts_to_the_parent,
        generator=torch.Generator(),
    )
