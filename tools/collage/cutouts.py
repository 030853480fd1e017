"""One object on a small canvas of its own: a drawn shape, a digit or a letter, or a part of a photograph."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from .arrays import Grey, Pixels, Points, Random, grey, one_of
from .outlines import HOLE, MASKS, SHAPES
from .photos import Photo
from .warps import random_warp

__all__ = ["Cutout", "Region", "draw_glyph", "draw_shape", "margin_around", "paste_photo"]

Region = tuple[slice, slice]  # rows, columns

FRAME = 1.6  # half the side of the square that a glyph is drawn in, where the glyph itself is about [-1, 1]² in size


class Cutout(NamedTuple):
    """An object that has no place yet. Its arrays have the size of its canvas, with a margin for shadow and blur."""

    alpha: Grey  # opacity
    solid: Image.Image  # what is opaque, `factor` times larger than the canvas: where exactly the object ends
    factor: int
    tone: Grey | None = None  # from the first colour, 0, to the third, 1; None: the first everywhere
    pixels: Pixels | None = None  # of a photograph

    def overlap(self, left: int, top: int, picture: np.ndarray) -> tuple[Region, Region]:
        """Where the canvas and a picture, (H, W, ...), overlap if the canvas lies at (left, top).

        Returns:
            The region in the picture, and the same in the canvas. They may be empty.
        """
        (height, width), (rows, columns) = picture.shape[:2], self.alpha.shape
        x0, y0 = max(0, -left), max(0, -top)
        x1, y1 = max(x0, min(columns, width - left)), max(y0, min(rows, height - top))
        return (slice(top + y0, top + y1), slice(left + x0, left + x1)), (slice(y0, y1), slice(x0, x1))


def draw_shape(random: Random, name: str, upright: bool, side: float) -> Cutout:
    """Deform one of `SHAPES` and draw it.

    Args:
        random: chooses the deformation.
        name: which shape.
        upright: turn it by at most 15 degrees; otherwise it is turned any way.
        side: its size in pixels, between its longer side and the root of its box's area.
    """
    parts = SHAPES[name]
    warp = random_warp(random, np.pi / 12 if upright else np.pi)
    points = warp(np.concatenate([part.points for part in parts]))
    low, high = points.min(axis=0), points.max(axis=0)
    extent = high - low
    scale = 2 * side / (extent.max() + np.sqrt(extent.prod()))
    factor, margin = _supersampling(side), margin_around(side)
    columns, rows = (int(v) + 2 + 2 * margin for v in extent * scale)
    points = ((points - low) * scale + margin + random.random()) * factor
    solid, tone = (Image.new("L", (columns * factor, rows * factor)) for _ in range(2))
    has_tones = any(part.tone > 0 for part in parts)
    for part, corners in zip(parts, _split(points, [len(part.points) for part in parts]), strict=True):
        ImageDraw.Draw(solid).polygon(corners, fill=0 if part.tone == HOLE else 255)
        if has_tones:
            ImageDraw.Draw(tone).polygon(corners, fill=max(part.tone, 0))
    return Cutout(grey(solid.reduce(factor)), solid, factor, grey(tone.reduce(factor)) if has_tones else None)


def draw_glyph(random: Random, glyph: str, side: float) -> Cutout:
    """Deform a digit or a letter: the cells of a coarse mesh over its image, one by one."""
    warp, factor = random_warp(random, np.pi / 6), _supersampling(side)
    frame = max(int(side * FRAME * 1.2), 8) * factor
    source = _upright_glyph(glyph, 64 if frame < 100 else 128 if frame < 200 else 320)
    cells = 3 if side >= 24 else 1
    ticks = np.linspace(-FRAME, FRAME, cells + 1)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    corners = ((warp(grid) / FRAME + 1) / 2 * source.width).reshape(cells + 1, cells + 1, 2)
    edges = [round(i * frame / cells) for i in range(cells + 1)]
    mesh = [
        (
            (edges[j], edges[i], edges[j + 1], edges[i + 1]),
            tuple(np.concatenate([corners[i, j], corners[i + 1, j], corners[i + 1, j + 1], corners[i, j + 1]])),
        )
        for i in range(cells)
        for j in range(cells)
    ]
    image = source.transform((frame, frame), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
    image = _trimmed(image, image, factor, margin_around(side))
    return Cutout(grey(image.reduce(factor)), _half_opaque(image), factor)


def paste_photo(random: Random, photo: Photo, side: float) -> Cutout:
    """Cut the middle of a photograph out by a soft mask, turn it a little, and change its colours a little."""
    height, width = photo.pixels.shape[:2]
    crop_w, crop_h = random.uniform(0.6, 1, 2) * (width, height)
    x, y = (width - crop_w) * random.uniform(0.35, 0.65), (height - crop_h) * random.uniform(0.35, 0.65)
    aspect = np.sqrt(crop_w / crop_h) * np.exp(random.uniform(-0.2, 0.2))
    columns, rows = max(4, round(side * aspect)), max(4, round(side / aspect))
    box = (x, y, x + crop_w, y + crop_h)
    image = Image.fromarray(photo.pixels).resize((columns, rows), Image.Resampling.BILINEAR, box, 2.0)
    image.putalpha(_mask(random, columns, rows, side))
    image = image.rotate(random.uniform(-25, 25), Image.Resampling.BILINEAR, expand=True)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = _trimmed(image, image.getchannel("A"), 1, margin_around(side))
    rgba = np.asarray(image, dtype=np.float32)
    gains = random.uniform(0.75, 1.25) * random.uniform(0.88, 1.12, 3)  # brightness and colour balance
    pixels = rgba[..., :3] * gains.astype(np.float32) + np.float32(random.uniform(-20, 20))
    return Cutout(rgba[..., 3] / 255, _half_opaque(image.getchannel("A")), 1, pixels=pixels)


def margin_around(side: float) -> int:
    """Pixels to leave free around an object of this size."""
    return 2 + int(side) // 16


def _supersampling(side: float) -> int:
    """How many times larger to draw an object before it is averaged down: small ones need it most."""
    return 4 if side < 16 else 3 if side < 40 else 2


def _split(points: Points, counts: list[int]) -> list[list[float]]:
    """The points of several polygons, as Pillow wants them: x, y, x, y, ..."""
    return [part.ravel().tolist() for part in np.split(points, np.cumsum(counts)[:-1])]


@cache
def _upright_glyph(glyph: str, side: int) -> Image.Image:
    """A digit or a letter in the middle of a square of `side` pixels."""
    image = Image.new("L", (side, side))
    font = ImageFont.load_default(side / FRAME)
    ImageDraw.Draw(image).text((side / 2, side / 2), glyph, fill=255, font=font, anchor="mm")
    return image


def _mask(random: Random, columns: int, rows: int, side: float) -> Image.Image:
    """One of `MASKS` with soft edges; a pixel at the rim stays free, where a turned picture would have hard edges."""
    mask = Image.new("L", (columns * 2, rows * 2))
    corners = one_of(random, MASKS) * np.maximum((columns - 3, rows - 3), 2) + (columns, rows)
    ImageDraw.Draw(mask).polygon(corners.ravel().tolist(), fill=255)
    return mask.reduce(2).filter(ImageFilter.BoxBlur(random.uniform(0.3, 0.7 + side / 80)))


def _trimmed(image: Image.Image, alpha: Image.Image, factor: int, margin: int) -> Image.Image:
    """Cut an image to what is visible and a margin; all in whole pixels of an image that is `factor` times smaller."""
    x0, y0, x1, y1 = alpha.getbbox() or (0, 0, 1, 1)
    left, top = ((v // factor - margin) * factor for v in (x0, y0))
    right, bottom = ((-(-v // factor) + margin) * factor for v in (x1, y1))
    return image.crop((left, top, right, bottom))


def _half_opaque(alpha: Image.Image) -> Image.Image:
    """The pixels that are at least half opaque."""
    return alpha.convert("1", dither=Image.Dither.NONE)
