"""Pictures of any kind -> what a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors

from setpiece.data.batching import pad_images
from setpiece.data.images import read_image
from setpiece.data.resize import FitSize
from setpiece.errors import UsageError
from setpiece.model.checkpoint import Checkpoint
from setpiece.records import Images

__all__ = ["Picture", "preprocess", "to_pixels"]

Picture = str | Path | Image.Image | np.ndarray


def to_pixels(picture: Picture) -> UInt8[np.ndarray, "H W 3"]:
    """The pixels of a file, a PIL image or an array: RGB, [0, 255].

    Raises:
        DataError: the file cannot be read.
        UsageError: the array is not H x W x 3 uint8.
    """
    if isinstance(picture, (str, Path)):
        return read_image(picture)
    pixels = np.asarray(picture.convert("RGB") if isinstance(picture, Image.Image) else picture)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise UsageError(
            f"An image array has to be height x width x 3 uint8 (RGB), not {'x'.join(map(str, pixels.shape))} "
            f"{pixels.dtype}."
        )
    return pixels


def preprocess(pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], checkpoint: Checkpoint) -> Images:
    """Resize pictures to the checkpoint's input size, pad them to one size and normalise them, as evaluation does.

    Args:
        pictures: RGB, [0, 255], of any sizes.
    """
    resize = FitSize(checkpoint.size)
    resized = [resize(tv_tensors.Image(_channels_first(pixels))).as_subclass(Tensor) for pixels in pictures]
    sizes = [(pixels.shape[0], pixels.shape[1]) for pixels in pictures]
    return pad_images(resized, sizes, checkpoint.mean, checkpoint.std)


def _channels_first(pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[Tensor, "3 H W"]:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous()
