"""The 64 shapes that are drawn, and other curves that masks and clutter are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import curves
from .arrays import Points
from .curves import around, box, oval, path, regular

__all__ = ["BLOBS", "HOLE", "MASKS", "SHAPES", "Part"]

HOLE = -1


class Part(NamedTuple):
    """A polygon of a shape; later parts are drawn over earlier ones."""

    tone: int  # from 0, the shape's first colour, to 255, another; or `HOLE`, which cuts out what is beneath
    points: Points


def _dense(points: Points) -> Points:
    """The same outline with more corners, at most about 0.2 apart, so that straight edges can bend."""
    ahead = np.roll(points, -1, axis=0)
    steps = [max(1, int(length / 0.2)) for length in np.hypot(*(ahead - points).T)]
    return np.concatenate(
        [a + (b - a) * np.arange(n)[:, None] / n for a, b, n in zip(points, ahead, steps, strict=True)]
    )


def _parts(*parts: tuple[int, Points]) -> list[Part]:
    """A shape of several tones."""
    return [Part(tone, _dense(points)) for tone, points in parts]


def _whole(points: Points) -> list[Part]:
    """A shape of one part."""
    return _parts((0, points))


def _star(points: int, inner: float) -> list[Part]:
    """A star whose inner corners lie at the distance `inner` from its middle."""
    return _whole(around(np.tile([1, inner], points)))


_DISC, _TEETH = oval(0, 0, 1, 1), [1, 1, 0.75, 0.75]
_PETALS = [(0, oval(0.55 * np.cos(a), 0.55 * np.sin(a), 0.36, 0.36)) for a in np.arange(6) * np.pi / 3]
_LEAFLET = curves.lens(0.35, 0.15) @ np.array([(0, 1), (-1, 0.4)]) + (0.38, -0.72)

# The order is that of the class indices.
SHAPES = {
    "triangle": _whole(regular(3)),
    "square": _whole(regular(4)),
    "pentagon": _whole(regular(5)),
    "hexagon": _whole(regular(6)),
    "heptagon": _whole(regular(7)),
    "octagon": _whole(regular(8)),
    "star4": _star(4, 0.35),
    "star5": _star(5, 0.42),
    "star7": _star(7, 0.6),
    "plus": _whole(curves.plus()),
    "ring": _parts((0, _DISC), (HOLE, oval(0, 0, 0.55, 0.55))),
    "hoop": _parts((0, _DISC), (HOLE, oval(0, 0, 0.84, 0.84))),
    "frame": _parts((0, box(-1, -1, 1, 1)), (HOLE, box(-0.65, -0.65, 0.65, 0.65))),
    "crescent": _parts((0, _DISC), (HOLE, oval(0.5, 0, 0.85, 0.85))),
    "arc": _whole(curves.sector(0.7, 1, 1.7)),
    "pie": _whole(curves.pie(2.5)),
    "arrow": _whole(path(1, 0, 0.2, -0.6, 0.2, -0.2, -1, -0.2, -1, 0.2, 0.2, 0.2, 0.2, 0.6)),
    "chevron": _whole(path(0.5, 0, -0.3, -0.9, -0.75, -0.9, 0, 0, -0.75, 0.9, -0.3, 0.9)),
    "heart": _whole(curves.heart()),
    "gear": _whole(around(np.tile(_TEETH, 8))),
    "cog": _parts((0, around(np.tile(_TEETH, 14))), (HOLE, oval(0, 0, 0.45, 0.45))),
    "disc": _whole(_DISC),
    "squircle": _whole(curves.superellipse(4)),
    "astroid": _whole(curves.superellipse(0.7)),
    "rod": _whole(box(-1, -0.08, 1, 0.08)),
    "spike": _whole(path(-1, -0.2, 1, 0, -1, 0.2)),
    "ell": _whole(path(-0.6, -1, -0.1, -1, -0.1, 0.5, 0.7, 0.5, 0.7, 1, -0.6, 1)),
    "tee": _whole(path(-0.8, -0.9, 0.8, -0.9, 0.8, -0.4, 0.25, -0.4, 0.25, 1, -0.25, 1, -0.25, -0.4, -0.8, -0.4)),
    "you": _whole(path(-0.8, -1, -0.35, -1, -0.35, 0.5, 0.35, 0.5, 0.35, -1, 0.8, -1, 0.8, 0.95, -0.8, 0.95)),
    "capsule": _whole(curves.capsule()),
    "drop": _whole(curves.drop()),
    "leaf": _whole(curves.lens(1, 0.42)),
    **{f"blob{i:02}": _whole(curves.blob(i)) for i in range(18)},
    "fish": _parts(
        (200, path(0.4, 0, 1, -0.5, 0.85, 0, 1, 0.5)),
        (0, oval(-0.2, 0, 0.8, 0.42)),
        (255, oval(-0.65, -0.1, 0.07, 0.07)),
    ),
    "figure": _parts(
        (0, box(-0.12, -0.55, 0.12, 0.3)),
        (0, box(-0.6, -0.4, 0.6, -0.2)),
        (120, path(-0.12, 0.2, 0.12, 0.2, 0.5, 1, 0.25, 1, 0, 0.45, -0.25, 1, -0.5, 1)),
        (255, oval(0, -0.78, 0.24, 0.24)),
    ),
    "cup": _parts(
        (90, oval(0.55, 0, 0.4, 0.42)),
        (HOLE, oval(0.55, 0, 0.22, 0.25)),
        (0, path(-0.7, -0.7, 0.6, -0.7, 0.45, 0.75, -0.55, 0.75)),
        (220, oval(-0.05, -0.7, 0.65, 0.15)),
    ),
    "bottle": _parts(
        (0, path(-0.14, -0.8, 0.14, -0.8, 0.14, -0.4, 0.36, -0.1, 0.36, 1, -0.36, 1, -0.36, -0.1, -0.14, -0.4)),
        (255, box(-0.17, -1, 0.17, -0.8)),
        (180, box(-0.36, 0.1, 0.36, 0.6)),
    ),
    "apple": _parts(
        (0, oval(-0.3, 0.2, 0.55, 0.7)),
        (0, oval(0.3, 0.2, 0.55, 0.7)),
        (255, box(-0.05, -0.85, 0.06, -0.2)),
        (170, _LEAFLET),
    ),
    "car": _parts(
        (0, path(-1, 0.3, -1, -0.1, -0.6, -0.2, -0.35, -0.6, 0.4, -0.6, 0.65, -0.15, 1, -0.05, 1, 0.3)),
        (150, box(-0.3, -0.48, 0.35, -0.2)),
        (255, oval(-0.55, 0.3, 0.24, 0.24)),
        (255, oval(0.55, 0.3, 0.24, 0.24)),
    ),
    "bird": _parts(
        (120, path(0.4, -0.1, 1, -0.35, 0.95, 0.1)),
        (0, oval(0, 0.1, 0.6, 0.38)),
        (70, oval(-0.55, -0.3, 0.26, 0.26)),
        (255, path(-0.75, -0.35, -1.05, -0.2, -0.75, -0.18)),
    ),
    "mushroom": _parts((255, box(-0.22, 0, 0.22, 0.9)), (0, curves.dome())),
    "house": _parts(
        (0, box(-0.7, -0.1, 0.7, 0.9)),
        (255, path(-0.9, -0.1, 0, -0.9, 0.9, -0.1)),
        (180, box(-0.15, 0.35, 0.2, 0.9)),
    ),
    "hammer": _parts((0, box(-0.1, -0.5, 0.1, 1)), (255, box(-0.55, -0.9, 0.45, -0.45))),
    "key": _parts(
        (0, oval(-0.6, 0, 0.4, 0.4)),
        (HOLE, oval(-0.65, 0, 0.17, 0.17)),
        (0, box(-0.25, -0.1, 1, 0.1)),
        (0, box(0.5, 0, 0.62, 0.35)),
        (0, box(0.8, 0, 0.92, 0.35)),
    ),
    "flower": _parts(*_PETALS, (255, oval(0, 0, 0.34, 0.34))),
    "tree": _parts(
        (255, box(-0.14, 0.4, 0.14, 1)),
        (40, path(0, -1, 0.6, 0.1, -0.6, 0.1)),
        (0, path(0, -0.5, 0.8, 0.55, -0.8, 0.55)),
    ),
    "butterfly": _parts(
        (0, oval(-0.5, -0.35, 0.45, 0.5)),
        (110, oval(-0.5, 0.45, 0.45, 0.36)),
        (0, oval(0.5, -0.35, 0.45, 0.5)),
        (110, oval(0.5, 0.45, 0.45, 0.36)),
        (255, oval(0, 0, 0.1, 0.75)),
    ),
}

BLOBS = [curves.blob(i) for i in range(100, 120)]
# What photographs are cut out with; roughly rectangular ones are there more than once, and so are chosen more often.
MASKS = [curves.superellipse(power) for power in (2, 2.5, 4, 4, 8, 8, 8)] + BLOBS[:4]
