"""One picture and its boxes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

from .arrays import Picture, Pixels, Random, one_of
from .backgrounds import random_background
from .camera import photographed
from .cutouts import Cutout, Region, draw_glyph, draw_shape, paste_photo
from .kinds import Kind, Style, classes, random_kinds, random_style
from .layout import MOST_OBJECTS, corners_to_try, random_places, random_size
from .paint import paint
from .photos import Album

__all__ = ["Scene", "draw"]

LEAST_INSIDE = 0.5  # of an object's pixels are inside the picture
LEAST_VISIBLE = 0.35  # of those are not covered by later objects
LEAST_SIDE = 4  # pixels of a box
LEAST_TEXTURED = 14  # pixels; a smaller object is plain, since nobody could tell its texture


class Scene:
    """The picture so far, which object each of its pixels shows, and the boxes."""

    def __init__(self, canvas: Pixels) -> None:
        self.canvas = canvas
        self.owner = np.zeros(canvas.shape[:2], dtype=np.int64)  # (H, W): 1 for the first object; 0: the background
        self.areas = np.zeros(MOST_OBJECTS + 1, dtype=np.int64)  # pixels of each object inside the picture
        self.visible = np.zeros(MOST_OBJECTS + 1, dtype=np.int64)  # and how many of them are visible
        self.boxes_xyxy: list[tuple[float, float, float, float]] = []

    def admit(self, cutout: Cutout, left: int, top: int) -> bool:
        """Place an object's canvas at (left, top), unless the object or one beneath it would show too little.

        Returns:
            Whether the object was placed. It is not painted yet.
        """
        there, here = cutout.overlap(left, top, self.owner)
        solid = cutout.alpha >= 0.5
        own = solid[here]
        area = int(np.count_nonzero(own))
        if area < max(LEAST_INSIDE * np.count_nonzero(solid), LEAST_SIDE):
            return False
        x0, y0, x1, y1 = _bounds(cutout, here)
        if min(x1 - x0, y1 - y0) < LEAST_SIDE:
            return False
        window = self.owner[there]
        visible = self.visible - np.bincount(window[own], minlength=len(self.visible))
        if (visible[1:] < LEAST_VISIBLE * self.areas[1:]).any():
            return False
        row, column = there[0].start, there[1].start
        self.boxes_xyxy.append((column + x0, row + y0, column + x1, row + y1))
        number = len(self.boxes_xyxy)
        window[own] = number
        self.areas[number] = visible[number] = area
        self.visible = visible
        return True


def draw(seed: int, album: Album) -> tuple[Picture, Float[np.ndarray, "N 4"], Int64[np.ndarray, "N"]]:
    """Draw one picture of up to 60 objects.

    Args:
        seed: any natural number.
        album: photographs to cut objects out of, where we know what they show, and to take backgrounds and textures
            from; it may be empty.

    Returns:
        The image, HWC RGB in [0, 255]; the boxes, xyxy in pixels, tight around the whole of an object that is
        inside the picture, also where another covers a part; the labels, indices into `classes(album)`.
    """
    random = np.random.default_rng(seed)
    height, width = random_size(random)
    scene = Scene(random_background(random, album, height, width))
    style, kinds = random_style(random), random_kinds(random, album)
    label_of = {name: label for label, name in enumerate(classes(album))}
    labels = []
    for centre, side in random_places(random, height, width):
        kind = one_of(random, kinds)
        if side < LEAST_TEXTURED:
            kind = kind._replace(texture="plain")
        cutout = _cut_out(random, kind, style, side, album)
        for left, top in corners_to_try(random, cutout, centre, height, width):
            if scene.admit(cutout, left, top):
                paint(random, scene.canvas, cutout, left, top, kind, style, album)
                labels.append(label_of[kind.class_name])
                break
    boxes_xyxy = np.array(scene.boxes_xyxy, dtype=np.float64).reshape(-1, 4)
    return photographed(random, scene.canvas), boxes_xyxy, np.array(labels, dtype=np.int64)


def _cut_out(random: Random, kind: Kind, style: Style, side: float, album: Album) -> Cutout:
    """An object of a kind, about `side` pixels in size."""
    if kind.source == "photo":
        return paste_photo(random, one_of(random, album.by_name[kind.name]), side)
    if kind.source == "glyph":
        return draw_glyph(random, kind.name, side)
    return draw_shape(random, kind.name, style.upright, side)


def _bounds(cutout: Cutout, piece: Region) -> tuple[float, float, float, float]:
    """The box around what is opaque in a piece of a canvas, xyxy in pixels of the piece; exact to 1 / `factor`."""
    rows, columns = piece
    left, top, right, bottom = (v * cutout.factor for v in (columns.start, rows.start, columns.stop, rows.stop))
    x0, y0, x1, y1 = cutout.solid.crop((left, top, right, bottom)).getbbox() or (0, 0, 0, 0)
    return x0 / cutout.factor, y0 / cutout.factor, x1 / cutout.factor, y1 / cutout.factor
