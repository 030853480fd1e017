"""What a checkpoint and an exported model have in common: pictures -> detections, in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from setpiece.data.dataset import Dataset
from setpiece.data.fitting import alike
from setpiece.errors import UsageError
from setpiece.evaluation import sv
from setpiece.inference.pictures import Channels, Picture, to_input
from setpiece.inference.thresholds import DEFAULT, HasThresholds, Threshold, class_thresholds
from setpiece.input_size import InputSize

__all__ = ["BATCH_SIZE", "Detecting"]

BATCH_SIZE = 8

T = TypeVar("T")
R = TypeVar("R")


@runtime_checkable
class Described(HasThresholds, Protocol):
    """What is used of a checkpoint or of an exported model's `ModelInfo`."""

    @property
    def size(self) -> InputSize: ...


class Detecting(ABC):
    """Something that detects objects in pictures.

    Args:
        described: a checkpoint, or what an exported model says of itself.

    Attributes:
        classes: the name of each class, by index.
        thresholds: for each class the least confidence that counts, which gave the best F1 on the validation images.
        size: how large an image enters the model.
        fixed_batch: the only number of images that an exported model looks at together, None where it takes any.
    """

    fixed_batch: int | None = None

    def __init__(self, described: Described) -> None:
        self.classes = described.classes
        self.thresholds = described.thresholds
        self.size = described.size

    @abstractmethod
    def detect(
        self,
        dataset: Dataset,
        *,
        threshold: float = 0.0,
        batch_size: int = BATCH_SIZE,
        workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> Iterator[tuple[int, sv.Detections]]:
        """Detect objects in the images of a data set, at most COCO's hundred in each.

        Args:
            threshold: the least confidence, in [0, 1].
            batch_size: images per forward pass.
            workers: processes that load images ahead.
            rank: which process this is; each takes every `world_size`-th image.
            world_size: how many processes there are.

        Yields:
            (image id, detections in pixels of the original image), in any order.
        """

    @abstractmethod
    def _found(
        self,
        pixels: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        originals: Sequence[tuple[int, int]],
        threshold: Float[np.ndarray, " C"],
    ) -> list[sv.Detections]:
        """What is in images at the input size that have one padded size, in pixels of images of (height, width)."""

    @abstractmethod
    def _mapped(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """`map(function, items)`, as this computes fastest."""

    def predict(
        self,
        pictures: Iterable[Picture],
        *,
        threshold: Threshold = DEFAULT,
        channels: Channels = "rgb",
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[sv.Detections]:
        """Detect objects in pictures, in batches; as many as the model finds, not COCO's hundred at most.

        Args:
            pictures: as `to_input` takes them, of any sizes; each is read when its batch is due.
            threshold: the least confidence, in [0, 1], see `inference.thresholds`.
            channels: the order of the colours of arrays and tensors, see `to_input`.
            batch_size: pictures that are read together; those of one padded size are looked at together.

        Raises:
            UsageError: the threshold is not understood or outside [0, 1], or the pictures are none.
        """
        if not isinstance(pictures, Iterable):
            raise UsageError(f"{type(pictures).__name__} is no image: give a path, an image, or a list of them.")
        iterator = iter(pictures)
        detect = partial(self._of_batch, threshold=class_thresholds(threshold, self), channels=channels)
        return self._one_by_one(detect, iter(lambda: list(islice(iterator, batch_size)), []))

    def _one_by_one(
        self, detect: Callable[[list[Picture]], list[sv.Detections]], batches: Iterator[list[Picture]]
    ) -> Iterator[sv.Detections]:
        for found in self._mapped(detect, batches):
            yield from found

    def _of_batch(
        self, batch: list[Picture], threshold: Float[np.ndarray, " C"], channels: Channels
    ) -> list[sv.Detections]:
        inputs = [to_input(picture, self.size, channels) for picture in batch]
        found: dict[int, sv.Detections] = {}
        for group in alike([original for _, original in inputs], self.size):
            pixels, originals = zip(*(inputs[i] for i in group), strict=True)
            found.update(zip(group, self._found(pixels, originals, threshold), strict=True))
        return [found[i] for i in range(len(batch))]
