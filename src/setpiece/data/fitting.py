"""Pixels at the input size of a model, for evaluation and prediction, with torch or without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from setpiece.data.images import read_with_size
from setpiece.input_size import InputSize, padded_size

__all__ = ["SHARP", "alike", "fitted", "padded", "read_fitted"]

SHARP = 2  # times the input size: of a JPEG no less is read, so that resizing hides how it was made smaller


def fitted(
    pixels: UInt8[np.ndarray, "H W 3"], size: InputSize, original: tuple[int, int] | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """An image resized to an input size: interpolated bilinearly, and averaged where it shrinks.

    Pillow does it in every backend. So an exported model sees the pixels that the model saw when it was evaluated.

    Args:
        pixels: RGB, [0, 255].
        size: the input size of a model.
        original: (height, width) of the whole image, where less of it was read.

    Example:
        >>> fitted(np.zeros((100, 200, 3), np.uint8), InputSize(64, 96)).shape
        (48, 96, 3)
    """
    height, width = size.fit(*(original or pixels.shape[:2]))
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


def read_fitted(
    path: str | Path, size: InputSize, *, upright: bool = True
) -> tuple[UInt8[np.ndarray, "h w 3"], tuple[int, int]]:
    """The pixels of an image file at an input size, and the (height, width) of the whole image.

    A JPEG is read at a half, a quarter or an eighth of its size where that is twice the input size or more: a photo of
    12 megapixels takes a fraction of the time. Evaluation, prediction and the server read so.

    Args:
        path: any format that Pillow reads.
        size: the input size of a model.
        upright: see `setpiece.data.images.read_image`.

    Raises:
        DataError: it cannot be read.
    """
    pixels, original = read_with_size(path, upright=upright, least=SHARP * size.longest)
    return fitted(pixels, size, original), original


def padded(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]], least_area: int = 1
) -> tuple[UInt8[np.ndarray, "B H W 3"], Int64[np.ndarray, "B 2"]]:
    """Images padded with 0 at the right and bottom to one size, a multiple of 32 pixels a side; and their sizes.

    Args:
        images: RGB, [0, 255].
        least_area: of a canvas, in square pixels; it is made higher where it is smaller.

    Returns:
        The canvases, and (height, width) of the image in each.

    Example:
        >>> canvases, sizes = padded([np.ones((48, 96, 3), np.uint8), np.ones((64, 60, 3), np.uint8)])
        >>> canvases.shape, sizes.tolist()
        ((2, 64, 96, 3), [[48, 96], [64, 60]])
    """
    sizes = np.array([image.shape[:2] for image in images], np.int64)
    highest, widest = sizes.max(0).tolist()
    canvases = np.zeros((len(images), *padded_size(highest, widest, least_area), 3), np.uint8)
    for canvas, image in zip(canvases, images, strict=True):
        canvas[: image.shape[0], : image.shape[1]] = image
    return canvases, sizes


def alike(sizes: Sequence[tuple[int, int]], size: InputSize) -> list[list[int]]:
    """The indices of images in groups of one padded size, in the order of their first images.

    Padding is not wholly inert: convolutions carry what is beside it across the border. In a batch of such a group no
    image has more of it than it would have alone, so what is found in an image does not depend on those beside it.

    Args:
        sizes: (height, width) of each image before it is resized.
        size: the input size of the model.

    Example:
        >>> alike([(480, 640), (640, 480), (460, 640)], InputSize(256, 256))
        [[0, 2], [1]]
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for index, (height, width) in enumerate(sizes):
        groups.setdefault(size.padded(height, width), []).append(index)
    return list(groups.values())
