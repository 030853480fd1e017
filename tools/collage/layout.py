"""How large the picture is, how large its objects are, and where they go."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from .arrays import Points, Random
from .cutouts import Cutout

__all__ = ["MOST_OBJECTS", "corners_to_try", "random_places", "random_size"]

LONGER_SIDE = (256, 288)  # pixels of a picture, from and to
MOST_OBJECTS = 60
ATTEMPTS = 6  # at placing an object


def random_size(random: Random) -> tuple[int, int]:
    """A height and a width in pixels, from 3:4 to 4:3."""
    longer = int(random.integers(LONGER_SIDE[0], LONGER_SIDE[1] + 1))
    shorter = round(longer * random.uniform(0.75, 1))
    return (longer, shorter) if random.random() < 0.5 else (shorter, longer)


def random_places(random: Random, height: int, width: int) -> list[tuple[Float[np.ndarray, "2"], float]]:
    """The centre (x, y) and the side of 1 to 60 objects in pixels; the more there are, the smaller they tend to be."""
    count = int(np.exp(random.uniform(0, np.log(MOST_OBJECTS + 0.99))))
    covered = np.exp(random.uniform(np.log(0.04), np.log(1.5)))  # share of the picture, if nothing overlapped
    side = np.sqrt(covered * height * width / count)
    sides = side * np.exp(random.uniform(0.05, 0.5) * random.standard_normal(count))
    sides = np.clip(sides, 5, 0.95 * np.sqrt(height * width))
    return list(zip(_centres(random, count, height, width) * (width, height), sides.tolist(), strict=True))


def _centres(random: Random, count: int, height: int, width: int) -> Points:
    """Anywhere, in clusters, or on a loose grid; in units of the picture's width and height."""
    layout = random.random()
    centres = random.random((count, 2))
    if layout < 0.25:
        middles = random.uniform(0.2, 0.8, (random.integers(1, 4), 2))
        return middles[random.integers(len(middles), size=count)] + 0.13 * random.standard_normal((count, 2))
    if layout < 0.45:
        columns = int(np.ceil(np.sqrt(count * width / height)))
        rows = -(-count // columns)
        cells = random.permutation(columns * rows)[:count]
        jitter = random.uniform(0, 0.6) * (centres - 0.5)
        return (np.stack([cells % columns, cells // columns], axis=1) + 0.5 + jitter) / (columns, rows)
    return centres


def corners_to_try(
    random: Random, cutout: Cutout, centre: Float[np.ndarray, "2"], height: int, width: int
) -> Iterator[tuple[int, int]]:
    """Where to put the upper left corner (x, y) of a cutout's canvas: first around `centre`, then anywhere.

    Three objects of four have to lie inside the picture, as far as they fit; the others may reach out of it.
    """
    rows, columns = cutout.alpha.shape
    free = np.array([width - columns, height - rows])
    within = random.random() < 0.75
    for attempt in range(ATTEMPTS):
        middle = centre if attempt == 0 else random.random(2) * (width, height)
        corner = middle - np.array([columns, rows]) / 2
        if within:
            corner = np.clip(corner, np.minimum(free, 0) * 0.5, np.maximum(free, 0))
        yield int(corner[0]), int(corner[1])
