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
from setpiece.data.images import read_image, to_rgb
from setpiece.data.resize import FitSize
from setpiece.errors import DataError, UsageError
from setpiece.model.checkpoint import Checkpoint
from setpiece.records import Images

__all__ = ["Picture", "preprocess", "to_pixels"]

Picture = str | Path | Image.Image | np.ndarray | Tensor

ARRAY = "An image array is height x width, or height x width x 1, 3 (RGB) or 4 (RGBA), of uint8"
TENSOR = "An image tensor is 1 or 3 (RGB) x height x width, of uint8 or of floating-point numbers in [0, 1]"


def to_pixels(picture: Picture) -> UInt8[np.ndarray, "H W 3"]:
    """The pixels of a file, a PIL image, an array or a tensor: RGB, [0, 255].

    All go one way, so a file and what Pillow reads from it give the same pixels: turned upright by its EXIF
    orientation, transparency laid over white, see `setpiece.data.images.to_rgb`.

    Args:
        picture: an array H x W x 3 of uint8 in RGB (not OpenCV's BGR), or x 4 with transparency, or grey; or a tensor
            as torchvision has it, 3 x H x W, of uint8 or of floating-point numbers in [0, 1].

    Raises:
        DataError: the file cannot be read, or the PIL image cannot be decoded.
        UsageError: it is no image, or an array or a tensor of another kind.
    """
    if isinstance(picture, (str, Path)):
        return read_image(picture)
    if isinstance(picture, Tensor):
        return to_pixels(_channels_last(picture))
    if isinstance(picture, np.ndarray):
        picture = _pil(picture)
    if not isinstance(picture, Image.Image):
        kind = type(picture).__name__
        raise UsageError(f"{kind} is no image: give a path, a PIL image, an array or a tensor, or a list of them.")
    try:
        return to_rgb(picture)
    except Exception as error:  # Pillow's readers raise all kinds of errors
        raise DataError(f"A PIL image cannot be decoded ({error}): is its file closed or truncated?") from error


def _pil(array: np.ndarray) -> Image.Image:
    grey = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    usable = grey.ndim == 2 or (grey.ndim == 3 and grey.shape[2] in (3, 4))
    if not usable or not grey.size or grey.dtype not in (np.uint8, *([np.uint16] if grey.ndim == 2 else [])):
        shape = " x ".join(map(str, array.shape))
        first = array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3, 4)
        fractions = np.issubdtype(array.dtype, np.floating)
        hint = " Put the channels last." if first else " Multiply values in [0, 1] by 255." if fractions else ""
        raise UsageError(f"{ARRAY}, not {shape} of {array.dtype}.{hint}")
    return Image.fromarray(grey)


def _channels_last(tensor: Tensor) -> UInt8[np.ndarray, "H W C"]:
    pixels = tensor.detach().cpu()
    if pixels.is_floating_point():
        if pixels.numel() and not (pixels.min() >= 0 and pixels.max() <= 1):
            raise UsageError(f"{TENSOR}, not from {pixels.min():.3g} to {pixels.max():.3g}: was it normalised?")
        pixels = (pixels.float() * 255).round().to(torch.uint8)
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or pixels.dtype != torch.uint8 or not pixels.numel():
        raise UsageError(f"{TENSOR}, not {' x '.join(map(str, tensor.shape))} of {tensor.dtype}.")
    return pixels.permute(1, 2, 0).numpy()


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
