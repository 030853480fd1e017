"""Closed curves, each from a formula: corners as (corners, 2), x to the right and y down, mostly within [-1, 1]²."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import Points

__all__ = [
    "around",
    "blob",
    "box",
    "capsule",
    "dome",
    "drop",
    "heart",
    "lens",
    "oval",
    "path",
    "pie",
    "plus",
    "regular",
    "sector",
    "superellipse",
]

TOP = -np.pi / 2  # an angle


def around(radii: Sequence[float] | np.ndarray) -> Points:
    """Points around (0, 0) at equal angles and the given distances, from the top on."""
    angles = TOP + np.arange(len(radii)) * (2 * np.pi / len(radii))
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def regular(corners: int) -> Points:
    """A regular polygon."""
    return around(np.ones(corners))


def oval(x: float, y: float, rx: float, ry: float) -> Points:
    """An ellipse of the given centre and radii."""
    return regular(32) * (rx, ry) + (x, y)


def path(*numbers: float) -> Points:
    """A polygon, given as x, y, x, y, ..."""
    return np.array(numbers, dtype=np.float64).reshape(-1, 2)


def box(x0: float, y0: float, x1: float, y1: float) -> Points:
    """A rectangle from its upper left to its lower right corner."""
    return path(x0, y0, x1, y0, x1, y1, x0, y1)


def sector(inner: float, outer: float, half: float) -> Points:
    """The piece of a ring between two radii that reaches `half` radians up and down from the right."""
    rim = _rim(half)
    return np.concatenate([outer * rim, inner * rim[::-1]])


def pie(half: float) -> Points:
    """The piece of a disc that reaches `half` radians up and down from the right."""
    return np.concatenate([_rim(half), [(0, 0)]])


def dome() -> Points:
    """Half a disc, as the cap of a mushroom."""
    return np.concatenate([0.95 * _rim(np.pi / 2), [(0, 0)]])[:, ::-1] * (1, -0.9) + (0, 0.15)


def plus() -> Points:
    """A cross of four equal arms."""
    arm, quarter_turn = np.array([(0.3, -0.3), (1, -0.3), (1, 0.3)]), np.array([(0, 1), (-1, 0)])
    return np.concatenate([arm @ np.linalg.matrix_power(quarter_turn, k) for k in range(4)])


def capsule() -> Points:
    """A band with round ends."""
    cap, right = regular(33)[:17] * 0.4, np.array((0.6, 0))
    return np.concatenate([cap + right, -cap - right])


def superellipse(power: float) -> Points:
    """|x|^power + |y|^power = 1: a disc for 2, nearly a square for 8, a star with four hollow sides below 1."""
    angles = np.arange(48) * (2 * np.pi / 48)
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.sign(unit) * np.abs(unit) ** (2 / power)


def blob(seed: int) -> Points:
    """A smooth closed curve: a circle with a few random waves on its radius."""
    random = np.random.default_rng(seed)
    angles = np.arange(64) * (2 * np.pi / 64)
    radius = np.ones(64)
    for k in range(2, 7):
        radius += random.uniform(0.2, 1) * 0.55 / k * np.cos(k * angles + random.uniform(0, 6.3))
    return around(radius / radius.max())


def heart() -> Points:
    """A heart.

    References:
        https://mathworld.wolfram.com/HeartCurve.html
    """
    t = np.arange(48) * (2 * np.pi / 48)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([np.sin(t) ** 3, -y / 16], axis=1)


def drop() -> Points:
    """A drop of water, with its tip at the top.

    References:
        https://mathworld.wolfram.com/TeardropCurve.html
    """
    t = np.linspace(0, 2 * np.pi, 40)
    return np.stack([np.sin(t) * np.sin(t / 2) ** 1.8 * 0.85, -np.cos(t)], axis=1) * (1, -1)


def lens(length: float, breadth: float) -> Points:
    """Two arcs from tip to tip, upright, as a leaf."""
    t = np.linspace(-1, 1, 20)
    side = breadth * (1 - t**2)
    return np.concatenate([np.stack([side, length * t], axis=1), np.stack([-side, -length * t], axis=1)])


def _rim(half: float) -> Points:
    """The arc of the unit circle from `half` radians above the right to `half` radians below it."""
    angles = np.linspace(-half, half, 24)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)
