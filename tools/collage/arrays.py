"""The kinds of arrays that all files share, and what is done to them everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image, ImageFilter

__all__ = ["Colours", "Grey", "Picture", "Pixels", "Points", "Random", "blurred", "blurred_grey", "grey", "one_of"]

Points = Float[np.ndarray, "_ 2"]  # x, y
Colours = Float[np.ndarray, "_ 3"]  # RGB, in [0, 255]
Grey = Float32[np.ndarray, "H W"]  # in [0, 1]: opacity, or how to mix two colours
Pixels = Float32[np.ndarray, "H W 3"]  # RGB, in [0, 255] or a little beyond, until the picture is complete
Picture = UInt8[np.ndarray, "H W 3"]  # RGB, in [0, 255]
Random = np.random.Generator

T = TypeVar("T")


def one_of(random: Random, options: Sequence[T]) -> T:
    """Choose one of several things, each as likely as the others."""
    return options[int(random.integers(len(options)))]


def grey(image: Image.Image) -> Grey:
    """An image of one channel in [0, 255], as numbers in [0, 1]."""
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def blurred(pixels: Float32[np.ndarray, "H W *channels"], radius: float) -> Float32[np.ndarray, "H W *channels"]:
    """Average over squares that reach `radius` pixels to each side; values are in [0, 255]."""
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.BoxBlur(radius)), dtype=np.float32)


def blurred_grey(values: Grey, radius: float) -> Grey:
    """The same for values in [0, 1]."""
    return blurred(values * 255, radius) / np.float32(255)
