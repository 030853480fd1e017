"""What is behind the objects: photographs, noise, gradients and patterns, with things on them that are no objects."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .arrays import Pixels, Random, blurred, grey, one_of
from .outlines import BLOBS, SHAPES
from .photos import Album
from .textures import coloured, gradient, noise, pattern, random_colours, random_plane

__all__ = ["random_background"]

OUTLINES = [parts[0].points for parts in SHAPES.values()]
PATTERNS = ("stripes", "checks", "dots", "grid", "bricks")
CLOUDY = 3  # the number of a smooth noise


def random_background(random: Random, album: Album, height: int, width: int) -> Pixels:
    """One ground or patches of two, often with clutter."""
    canvas = _ground(random, album, height, width)
    if random.random() < 0.3:
        clouds = noise(random, height, width, which=CLOUDY)
        patches = np.clip((clouds - 0.5) * np.float32(random.uniform(2, 12)) + 0.5, 0, 1)
        canvas += (_ground(random, album, height, width) - canvas) * patches[..., None]
    if random.random() < 0.45:
        for _ in range(random.integers(1, 4)):
            _add_clutter(random, canvas)
    return canvas


def _ground(random: Random, album: Album, height: int, width: int) -> Pixels:
    """A piece of a photograph, noise, a gradient or a pattern."""
    choice = random.random()
    if album.photos and choice < 0.4:
        pixels = album.crop(random, height, width)
        pixels = blurred(pixels, random.uniform(1, 6)) if random.random() < 0.3 else pixels
        return pixels * np.float32(random.uniform(0.3, 1)) if random.random() < 0.3 else pixels
    colours = random_colours(random, int(random.integers(2, 5)))
    rough = np.float32(random.uniform(0, 40)) * (noise(random, height, width) - np.float32(0.5))
    if choice < 0.7:
        # upside down, lest both noises be the same piece
        return coloured(noise(random, height, width), colours) + rough[::-1, :, None]
    if choice < 0.8:
        return coloured(gradient(random, height, width), colours) + rough[..., None]
    cell = np.exp(random.uniform(np.log(5), np.log(80)))
    kind = one_of(random, PATTERNS)
    mix = pattern(random, random_plane(random, height, width, cell, 0.6), kind)
    colours[0] += (colours[1] - colours[0]) * random.uniform(0, 0.8)  # down to faint patterns
    return coloured(mix, colours[:2]) + rough[..., None]


def _add_clutter(random: Random, canvas: Pixels) -> None:
    """Draw lines, blobs, arcs and pieces of outlines in one colour: edges that belong to no object."""
    height, width = canvas.shape[:2]
    layer = Image.new("L", (width * 2, height * 2))
    pen, size = ImageDraw.Draw(layer), np.exp(random.uniform(np.log(4), np.log(60)))
    fragments = random.random((random.integers(4, 30), 5)) * (width * 2, height * 2, size, 6.3, 16)
    fragments[:, 2] += 3
    for x, y, r, turn, number in fragments.tolist():
        kind, line = int(number) % 4, 1 + int(number) // 4
        if kind == 0:
            pen.line((x, y, x + 2 * r * np.cos(turn), y + 2 * r * np.sin(turn)), fill=255, width=line)
        elif kind == 1:
            pen.polygon((BLOBS[int(turn * 3)] * (r / 3) + (x, y)).ravel().tolist(), fill=255)
        elif kind == 2:
            pen.arc((x - r, y - r, x + r, y + r), turn * 57, turn * 57 + 20 + 2 * r, fill=255, width=line)
        else:
            outline = OUTLINES[int(turn * 10)]
            piece = np.roll(outline, int(x), axis=0)[: 2 + len(outline) // 3]
            pen.line((piece * r + (x, y)).ravel().tolist(), fill=255, width=line)
    alpha = grey(layer.reduce(2)) * np.float32(random.uniform(0.2, 1))
    canvas += (random_colours(random, 1).astype(np.float32) - canvas) * alpha[..., None]
