"""Examples -> items: decoded, resized, augmented; each item depends on its key alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import torch
import torch.utils.data
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from setpiece.data.augmentation.paper import train_transform
from setpiece.data.augmentation.random import below
from setpiece.data.dataset import Dataset, Example
from setpiece.data.fitting import SHARP, fitted
from setpiece.data.images import read_image
from setpiece.data.sampler import Key, stable_seed
from setpiece.errors import DataError
from setpiece.records import InputSize
from setpiece.setloss.boxes import xyxy_to_cxcywh

__all__ = ["EvalImages", "Item", "Orientations", "TrainImages", "oriented", "read_example"]

CACHE_LIMIT = 2 * 2**30  # bytes; the same on every machine, so that equal seeds give equal items
GREY = 128  # in the place of an image whose file broke
DETAIL = 1.5  # augmentation enlarges parts of an image by about this factor; kept images are larger so that none blurs

Transform = Callable[[tv_tensors.Image, dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]
Orientations = Literal["all", "mirrored", "upright"]


@dataclass(frozen=True)
class Item:
    """One image, resized and augmented, with the boxes to be found in it (no crowds).

    Attributes:
        image: RGB, [0, 255].
        boxes_cxcywh: fractions of this image.
        original_size: (height, width) of the image file.
    """

    image: UInt8[Tensor, "3 H W"]
    boxes_cxcywh: Float32[Tensor, "T 4"]
    labels: Int64[Tensor, "T"]
    image_id: int
    original_size: tuple[int, int]


class TrainImages(torch.utils.data.Dataset[Item]):
    """Augmented images for training, by key (epoch, image index, scale, copy).

    Random numbers depend only on (seed, epoch, image index, copy), not on the process and not on earlier draws. Global
    generators are not changed. The scale is the size of the augmented image as a share of the input size, see
    `InputSize.scaled`.

    Args:
        dataset: crowds are left out.
        size: the input size at scale 1.
        seed: of the augmentation.
        augmentation: an input size -> a transform over (image, {"boxes", "labels"}), which draws from torch's
            generator alone.
        orientations: see `oriented`.

    Attributes:
        broken: which images could be read when the data set was opened, and not since; shared with the processes that
            load them.
    """

    def __init__(
        self,
        dataset: Dataset,
        size: InputSize,
        *,
        seed: int = 0,
        augmentation: Callable[[InputSize], Transform] = train_transform,
        orientations: Orientations = "mirrored",
    ) -> None:
        self.examples = dataset.examples
        self.weights = dataset.weights
        self.size = size
        self.seed = seed
        self.augmentation = augmentation
        self.orientations = orientations
        self.broken = torch.zeros(len(dataset.examples), dtype=torch.bool).share_memory_()
        self._transforms: dict[InputSize, Transform] = {}
        self._cache: list[Tensor] = []

    def prepare(self, progress: Callable[[int, int], None] | None = None, *, limit: int | None = None) -> bool:
        """Decode every image once, and keep it at `DETAIL` times the input size (never enlarged).

        Args:
            progress: called with (images done, images in all) after each.
            limit: bytes that the images may take, `CACHE_LIMIT` where None; if they would take more, none is kept and
                each is decoded whenever it is asked for.

        Returns:
            Whether the images were kept.
        """
        size = sum(3 * height * width for height, width in map(self._kept_size, self.examples))
        if size > (CACHE_LIMIT if limit is None else limit):
            return False
        images, examples = [], []
        for index, example in enumerate(self.examples):
            image, shown = self._decode(index)
            images.append(F.resize(image, list(self._kept_size(example)), antialias=True))
            examples.append(shown)
            if progress is not None:
                progress(len(images), len(self.examples))
        self._cache, self.examples = images, tuple(examples)
        return True

    def _decode(self, index: int) -> tuple[UInt8[Tensor, "3 H W"], Example]:
        known = self.examples[index]
        pixels, example = read_example(known, max(self._kept_size(known)))
        self.broken[index] = example is not known
        return _channels_first(pixels), example

    def _kept_size(self, example: Example) -> tuple[int, int]:
        fitted = self.size.fit(example.height, example.width, DETAIL)
        return min(fitted, (example.height, example.width))

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: Key | tuple[int, int, float]) -> Item:
        epoch, index, scale, copy = Key(*key)
        size = self.size.scaled(scale)
        if size not in self._transforms:
            self._transforms[size] = self.augmentation(size)
        image, example = (self._cache[index], self.examples[index]) if self._cache else self._decode(index)
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which would seed the accelerator's generators too.
            torch.default_generator.manual_seed(stable_seed(self.seed, epoch, index, *([copy] if copy else [])))
            return oriented(_item(example, image, self._transforms[size]), self.orientations)


class EvalImages(torch.utils.data.Dataset[Item]):
    """Images resized for evaluation, in the order of the data set, with their boxes (no crowds).

    Args:
        examples: of a data set.
        size: the input size of the model.
    """

    def __init__(self, examples: Sequence[Example], size: InputSize) -> None:
        self.examples = examples
        self.size = size

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Item:
        pixels, example = read_example(self.examples[index], SHARP * self.size.longest)
        image = fitted(pixels, self.size, (example.height, example.width))
        return _item(example, _channels_first(image), lambda *unchanged: unchanged)


def oriented(item: Item, orientations: Orientations) -> Item:
    """An item in one of some orientations, drawn from torch's global generator.

    Args:
        orientations: "all" eight (four rotations, each mirrored or not), "mirrored" (mirrored or not), or "upright" (as
            the item is).
    """
    image, (x, y, width, height) = item.image, item.boxes_cxcywh.unbind(1)
    if orientations != "upright" and below(2):
        image, x = image.flip(-1), 1 - x
    if orientations == "all" and below(2):
        image, y = image.flip(-2), 1 - y
    if orientations == "all" and below(2):
        image, x, y, width, height = image.mT, y, x, height, width
    return replace(item, image=image, boxes_cxcywh=torch.stack([x, y, width, height], 1))


def read_example(example: Example, least: int | None = None) -> tuple[UInt8[np.ndarray, "H W 3"], Example]:
    """An image of a data set, and the example; grey and without objects where the file broke since it was checked.

    What a run has learned must not be lost to one file. It is said once.

    Args:
        example: of a data set.
        least: pixels of each side that are needed, see `read_image`.
    """
    try:
        return read_image(example.path, upright=example.upright, least=least), example
    except DataError as error:
        _warn(str(error))
    nothing = np.zeros(0, np.bool_)
    empty = replace(
        example, boxes_xyxy=example.boxes_xyxy[:0], labels=example.labels[:0], crowd=nothing, areas=example.areas[:0]
    )
    return np.full((example.height, example.width, 3), GREY, np.uint8), empty


@cache
def _warn(message: str) -> None:
    logging.getLogger(__name__).warning("%s It could be read before; a grey image takes its place.", message)


def _channels_first(pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[Tensor, "3 H W"]:
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def _item(example: Example, image: Tensor, transform: Transform) -> Item:
    """Transform an image, which may have been resized since its boxes were drawn, and its boxes with it."""
    height, width = image.shape[-2:]
    wanted = ~example.crowd
    boxes_xyxy = torch.from_numpy(example.boxes_xyxy[wanted])
    boxes_xyxy = boxes_xyxy * _corner_scale(height / example.height, width / example.width)
    image, target = transform(
        tv_tensors.Image(image),
        {
            "boxes": tv_tensors.BoundingBoxes(boxes_xyxy, format="XYXY", canvas_size=(height, width)),
            "labels": torch.from_numpy(example.labels[wanted]),
        },
    )
    height, width = image.shape[-2:]
    boxes_xyxy = target["boxes"].as_subclass(Tensor) * _corner_scale(1 / height, 1 / width)
    return Item(
        image=image.as_subclass(Tensor),
        boxes_cxcywh=xyxy_to_cxcywh(boxes_xyxy).clamp(0, 1),
        labels=target["labels"],
        image_id=example.image_id,
        original_size=(example.height, example.width),
    )


def _corner_scale(vertical: float, horizontal: float) -> Float32[Tensor, "4"]:
    return torch.tensor([horizontal, vertical, horizontal, vertical], dtype=torch.float32)
