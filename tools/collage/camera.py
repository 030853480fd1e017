"""What a camera does to a picture."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
from jaxtyping import Float32
from PIL import Image, ImageFilter

from .arrays import Picture, Pixels, Random

__all__ = ["photographed"]


def photographed(random: Random, canvas: Pixels) -> Picture:
    """Darken the corners, add noise, change exposure, contrast and white balance, blur or sharpen, compress as JPEG.

    Each of these happens to some pictures only, but the exposure and JPEG to all. `canvas` is changed, too.
    """
    height, width = canvas.shape[:2]
    if random.random() < 0.3:
        y, x = (np.linspace(-1, 1, v, dtype=np.float32) ** 2 for v in (height, width))
        canvas *= 1 - np.float32(random.uniform(0.05, 0.3)) * (y[:, None] + x)[..., None]
    if random.random() < 0.7:
        canvas += np.float32(abs(random.normal(0, 6))) * _sensor_noise(random, height, width)
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    gains = np.exp(random.normal(0, 0.12) + random.normal(0, 0.05, (3, 1)))
    curves = 255 * (gains * np.linspace(0, 1, 256)) ** np.exp(random.normal(0, 0.15))  # (3, 256), one per channel
    image = image.point(np.clip(curves, 0, 255).astype(np.uint8).ravel().tolist())
    choice = random.random()
    if choice < 0.25:
        image = image.filter(ImageFilter.BoxBlur(random.uniform(0.2, 0.9)))
    elif choice < 0.4:
        k = random.uniform(0.1, 0.6)
        image = image.filter(ImageFilter.Kernel((3, 3), (0, -k, 0, -k, 1 + 4 * k, -k, 0, -k, 0), 1))
    file = BytesIO()
    image.save(file, "jpeg", quality=int(random.integers(40, 96)))
    return np.array(Image.open(file))


def _sensor_noise(random: Random, height: int, width: int) -> Float32[np.ndarray, "{height} {width} _"]:
    """A random number for each pixel, or one for each of its three channels."""
    numbers, count = _normal_numbers(), height * width
    start = random.integers(len(numbers) - 3 * count)
    channels = 1 if random.random() < 0.4 else 3
    return numbers[start : start + channels * count].reshape(height, width, channels)


@cache
def _normal_numbers() -> Float32[np.ndarray, "_"]:
    """Normal numbers with deviation 1, made once, since making them for every picture takes long."""
    return np.random.default_rng(0).standard_normal(600_000, dtype=np.float32)
