"""Noise, gradients and patterns as numbers in [0, 1], and the colours that these numbers stand for."""

from __future__ import annotations

from functools import cache

import numpy as np

from .arrays import Colours, Grey, Pixels, Random

__all__ = ["coloured", "gradient", "noise", "pattern", "random_colours", "random_plane"]

NOISES, NOISE_SIDE = 12, 768  # how many noises there are, and their side in pixels


def random_colours(random: Random, count: int) -> Colours:
    """Random colours, from grey to gaudy."""
    colours = random.uniform(0, 255, (count, 3))
    grey = colours.mean(axis=1, keepdims=True)
    return np.clip(grey + (colours - grey) * (0.1 + 1.3 * random.random() ** 1.5), 0, 255)


def coloured(mix: Grey, colours: Colours) -> Pixels:
    """Give each number a colour: 0 the first, 1 the last, and what is between them the others in turn."""
    stops, steps = np.linspace(0, 255, len(colours)), np.arange(256)
    table = np.stack([np.interp(steps, stops, channel) for channel in colours.T], axis=1).astype(np.float32)
    return table.take((mix * 255).astype(np.uint8), axis=0)


def noise(random: Random, height: int, width: int, step: int = 1, which: int | None = None) -> Grey:
    """A piece of a noise, perhaps mirrored, stretched to reach from 0 to 1.

    Args:
        random: chooses the piece.
        height: in pixels; at most 768 divided by `step`.
        width: likewise.
        step: only one of so many pixels of the noise is taken in each direction, which makes it finer.
        which: the number of the noise; None chooses one.
    """
    field = _noise_field(int(random.integers(NOISES)) if which is None else which)
    y, x = (random.integers(0, NOISE_SIDE - v * step + 1) for v in (height, width))
    piece = field[y : y + height * step : step, x : x + width * step : step]
    piece = piece[:: _one_way_or_back(random), :: _one_way_or_back(random)]
    low, high = piece.min(), piece.max()
    return (piece - low) / max(high - low, np.float32(1e-6))


def _one_way_or_back(random: Random) -> int:
    """The step of a slice: 1 or -1."""
    return 1 - 2 * int(random.integers(2))


@cache
def _noise_field(which: int) -> Grey:
    """Noise whose amplitude falls with the frequency f as f^-1, f^-1.5, f^-2 or f^-2.5: from rough to cloudy."""
    frequency = np.hypot(np.fft.fftfreq(NOISE_SIDE)[:, None], np.fft.rfftfreq(NOISE_SIDE)[None])
    frequency[0, 0] = np.inf
    white = np.fft.rfft2(np.random.default_rng(which).standard_normal((NOISE_SIDE, NOISE_SIDE)))
    field = np.fft.irfft2(white / frequency ** (1 + which % 4 / 2))
    return np.clip(field / field.std(), -3, 3).astype(np.float32)


def gradient(random: Random, height: int, width: int) -> Grey:
    """From 0 to 1 in a straight line or from a point outwards."""
    u, v = random_plane(random, height, width, max(height, width), 0.3)
    u += np.float32(random.uniform(-0.5, 0.5))
    return np.clip(np.sqrt(u * u + v * v) if random.random() < 0.4 else u + np.float32(0.5), 0, 1)


def pattern(random: Random, plane: tuple[Grey, Grey], kind: str) -> Grey:
    """A pattern whose cells have the side 1 on a plane.

    Args:
        random: chooses how sharp and how wide the marks are.
        plane: the two coordinates of each pixel, each (H, W); from `random_plane`.
        kind: "stripes", "checks", "dots", "grid" or "bricks".
    """
    u, v = plane
    sharp, part = np.float32(random.uniform(2, 8)), np.float32(random.uniform(0.3, 0.7))
    if kind == "bricks":  # every second row is moved by half a brick
        v = v * 2
        u = u + np.floor(v) * np.float32(0.5)
    a = np.abs(2 * (u - np.floor(u)) - 1)  # 1 at the edges of a cell, 0 in its middle
    if kind == "stripes":
        return np.clip((a - part) * sharp + np.float32(0.5), 0, 1)
    b = np.abs(2 * (v - np.floor(v)) - 1)
    if kind == "checks":
        return np.clip((a - np.float32(0.5)) * (b - np.float32(0.5)) * (4 * sharp) + np.float32(0.5), 0, 1)
    if kind == "dots":
        return np.clip((part - a * a - b * b) * sharp + np.float32(0.5), 0, 1)
    return np.clip((np.maximum(a, b) - np.float32(0.86)) * (3 * sharp) + np.float32(0.5), 0, 1)


def random_plane(random: Random, height: int, width: int, cell: float, tilt: float) -> tuple[Grey, Grey]:
    """The two coordinates of each pixel on a plane that is turned to any angle, and tilted away from us.

    Args:
        random: chooses the angle and the tilt.
        height: in pixels.
        width: in pixels.
        cell: how many pixels the unit of the coordinates is long.
        tilt: how strong the tilt may be; 0 is none.
    """
    angle, longer = random.uniform(0, 2 * np.pi), max(height, width)
    x = np.arange(width, dtype=np.float32) - np.float32(width / 2)
    y = (np.arange(height, dtype=np.float32) - np.float32(height / 2))[:, None]
    cosine, sine = np.float32(np.cos(angle) / cell), np.float32(np.sin(angle) / cell)
    fall_x, fall_y = random.uniform(-tilt, tilt, 2).astype(np.float32) / longer
    depth = 1 / (1 + fall_x * x + fall_y * y)
    return (cosine * x + sine * y) * depth, (cosine * y - sine * x) * depth
