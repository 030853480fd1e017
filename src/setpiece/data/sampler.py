"""Which images form which batch: it depends only on (seed, epoch), so a run can be resumed and split over processes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch.utils.data import Sampler

from setpiece.errors import UsageError

__all__ = ["EpochSampler", "Key", "full_size", "stable_seed"]


class Key(NamedTuple):
    """What an item of a batch depends on.

    Attributes:
        epoch: from 0.
        image: its index in the data set.
        scale: share of the input size, in (0, 1].
        copy: how often the image came earlier in this epoch.
    """

    epoch: int
    image: int
    scale: float = 1.0
    copy: int = 0


def stable_seed(*numbers: int) -> int:
    """A seed in [0, 2^63) that is the same on every machine and in every run.

    Example:
        >>> stable_seed(0, 1, 2) == stable_seed(0, 1, 2) != stable_seed(0, 12)
        True
    """
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def full_size(batch: int) -> float:  # noqa: ARG001 (it is that of every batch)
    """Full size for every batch: a scale of 1."""
    return 1.0


class EpochSampler(Sampler[list[Key]]):
    """Batches of keys, every image at most once in an epoch, unless some weigh more than others.

    The images are permuted by (seed, epoch) and cut into batches of `batch_size`, of which each of `world_size`
    processes takes its share. Images left over are not used in this epoch. A data set smaller than a batch makes
    one smaller batch (without the remainder that the processes cannot share equally).

    Args:
        length: images in the data set.
        batch_size: images per step over all processes.
        seed: of the permutation.
        rank: which process this is, in [0, world_size).
        world_size: processes that train together.
        weights: how often each image is drawn, in proportion, above 0; all equally often where None. An epoch has
            `length` draws: an image that weighs w times the mean comes w times in it, rounded up or down at random.

    Raises:
        UsageError: the batch size is no multiple of the processes, or there are fewer images than processes.

    Example:
        >>> sampler = EpochSampler(length=5, batch_size=2)
        >>> sampler.set_epoch(3, start_batch=1)
        >>> [len(batch) for batch in sampler], next(iter(sampler))[0][::2]
        ([2], (3, 1.0))
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        weights: Sequence[float] | None = None,
    ) -> None:
        if batch_size < 1 or batch_size % world_size:
            raise UsageError(
                f"The batch size {batch_size} has to be a positive multiple of the {world_size} processes."
            )
        if length < world_size:
            raise UsageError(f"{length} images are too few for {world_size} processes; start fewer.")
        self.length = length
        self.batch_size = min(batch_size, length // world_size * world_size)
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.weights = None if weights is None else torch.tensor(weights, dtype=torch.float64)
        self.set_epoch(0)

    @property
    def batches_per_epoch(self) -> int:
        """Batches of a whole epoch."""
        return self.length // self.batch_size

    def set_epoch(self, epoch: int, start_batch: int = 0, scale: Callable[[int], float] = full_size) -> None:
        """Choose the epoch to iterate over next, how many of its batches to skip, and the size of its images.

        Args:
            epoch: from 0.
            start_batch: from 0.
            scale: number of a batch in the epoch -> share of the input size that its images have, in (0, 1]; asked
                when the batch is drawn, which with workers is a few steps before it is trained on.
        """
        self.epoch = epoch
        self.start_batch = start_batch
        self.scale = scale

    def __iter__(self) -> Iterator[list[Key]]:
        generator = torch.Generator().manual_seed(stable_seed(self.seed, self.epoch))
        order = self._drawn(generator)
        # Fixed here, since a loader that fetches ahead may outlive the next set_epoch.
        epoch, scale = self.epoch, self.scale
        for batch in range(self.start_batch, self.batches_per_epoch):
            indices = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            share = scale(batch)
            yield [Key(epoch, index, share, copy) for index, copy in indices[self.rank :: self.world_size]]

    def _drawn(self, generator: torch.Generator) -> list[tuple[int, int]]:
        """(image index, how often it came before) in the order of this epoch."""
        order = torch.randperm(self.length, generator=generator)
        if self.weights is None:
            return [(index, 0) for index in order.tolist()]
        # Systematic resampling: a comb of `length` teeth over the images, each as wide as it weighs.
        ends = (self.weights / self.weights.mean()).cumsum(0)
        teeth = torch.arange(self.length) + torch.rand((), dtype=torch.float64, generator=generator)
        drawn = torch.searchsorted(ends, teeth, right=True).clamp_(max=self.length - 1)[order]
        seen: Counter[int] = Counter()
        result = []
        for index in drawn.tolist():
            result.append((index, seen[index]))
            seen[index] += 1
        return result

    def __len__(self) -> int:
        """Batches that are left of the epoch."""
        return max(0, self.batches_per_epoch - self.start_batch)
