"""An object becomes part of the picture: its colours and texture, light and shadow."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from .arrays import Colours, Grey, Pixels, Random, blurred, blurred_grey, one_of
from .cutouts import Cutout, margin_around
from .kinds import Kind, Style
from .photos import Album
from .textures import coloured, gradient, noise, pattern, random_colours, random_plane

__all__ = ["paint"]

LEAST_DETAILED = 12  # pixels; on smaller objects nobody would see light and shadow


def paint(
    random: Random, canvas: Pixels, cutout: Cutout, left: int, top: int, kind: Kind, style: Style, album: Album
) -> None:
    """Paint an object and its shadow, sometimes blurred or a little transparent.

    Args:
        random: chooses all of that.
        canvas: the picture so far, (H, W, 3) RGB in [0, 255]; changed in place.
        cutout: the object.
        left: where the canvas of the cutout goes, in pixels; may be negative.
        top: likewise.
        kind: colours and texture.
        style: light and shadow.
        album: photographs that may be a texture; may be empty.
    """
    there, here = cutout.overlap(left, top, canvas)
    window, alpha, side = canvas[there], cutout.alpha, max(cutout.alpha.shape)
    margin = margin_around(side / 1.3)
    detailed = side > LEAST_DETAILED + 2 * margin
    if detailed:
        soft = blurred_grey(alpha, max(1, side // 20))
        reach = round(style.light[1] * margin * 0.8), round(style.light[0] * margin * 0.8)  # of shadows: rows, columns
        if random.random() < 0.7:
            window *= 1 - style.shadow * np.roll(soft, reach, (0, 1))[here][..., None] * (1 - alpha[here][..., None])
    if cutout.pixels is not None:
        fill = cutout.pixels
    else:
        step_y, step_x = (1 + v // 8 for v in window.shape[:2])
        ground = window[::step_y, ::step_x].reshape(-1, 3).mean(axis=0)
        fill = _filled(random, cutout, kind, ground, album)
        if detailed:
            _add_light(random, fill, alpha, soft, reach)
    if random.random() < 0.2:
        radius = random.uniform(0.4, 1 + side / 60)
        fill, alpha = blurred(fill, radius), blurred_grey(alpha, radius)
    opacity = random.uniform(0.7, 1) if random.random() < 0.15 else 1
    window += (fill[here] - window) * (alpha[here] * np.float32(opacity))[..., None]


def _filled(random: Random, cutout: Cutout, kind: Kind, ground: Float[np.ndarray, "3"], album: Album) -> Pixels:
    """The colours and the texture of an object that is drawn, before light falls on it."""
    colours = _object_colours(random, kind, ground)
    height, width = cutout.alpha.shape
    fill = _textured(random, kind, colours, height, width, album)
    if cutout.tone is not None:
        fill += (colours[2].astype(np.float32) - fill) * (cutout.tone[..., None] * np.float32(0.9))
    return fill


def _object_colours(random: Random, kind: Kind, ground: Float[np.ndarray, "3"]) -> Colours:
    """Three colours: the kind's, a little changed, or new ones; the first unlike the ground, or camouflaged."""
    colours = kind.colours if random.random() < 0.75 else random_colours(random, 3)
    colours = colours + random.normal(0, 12, (3, 3)) + random.normal(0, 12)
    if kind.texture == "mottled" and random.random() < 0.3:
        colours[0] = ground + random.normal(0, 18, 3)
        colours[1] = ground + random.normal(0, 30, 3)
    else:
        for _ in range(4):
            if np.abs(colours[0] - ground).sum() > 90:
                break
            colours[0] = random_colours(random, 1)[0]
    return np.clip(colours, 0, 255)


def _textured(random: Random, kind: Kind, colours: Colours, height: int, width: int, album: Album) -> Pixels:
    """Fill a canvas with the kind's texture; a digit or a letter is plain or mottled."""
    texture = one_of(random, ("plain", "mottled")) if kind.source == "glyph" else kind.texture
    longer = max(height, width)
    step = 1 + min(4, 128 // longer)  # finer noise for smaller objects
    if texture == "plain":
        mix = gradient(random, height, width) * np.float32(random.uniform(0, 0.5))
    elif texture == "striped":
        plane = random_plane(random, height, width, max(3, random.uniform(0.12, 0.3) * longer), 0.1)
        mix = pattern(random, plane, one_of(random, ("stripes", "checks")))
    elif texture == "mottled":
        mix = noise(random, height, width, step)
    elif album.photos and random.random() < 0.35:
        return np.minimum(album.crop(random, height, width) * np.float32(random.uniform(0.7, 1.2)), 255)
    elif random.random() < 0.5:
        plane = random_plane(random, height, width, max(4, random.uniform(0.15, 0.35) * longer), 0.1)
        mix = pattern(random, plane, "dots")
    else:
        mix = np.floor(noise(random, height, width, step) * 3) / 2
    return coloured(mix, colours if texture == "dotted" else colours[:2])


def _add_light(random: Random, fill: Pixels, alpha: Grey, soft: Grey, reach: tuple[int, int]) -> None:
    """Brighten one side and darken the other, and draw a line along the edge, or only one of the two, or neither.

    Args:
        random: chooses what is done, and how strongly.
        fill: changed in place.
        alpha: the opacity of the object.
        soft: the same, blurred.
        reach: (rows, columns) from a thing to its shadow, in pixels.
    """
    if random.random() < 0.7:
        emboss = (soft - np.roll(soft, (-reach[0], -reach[1]), (0, 1))) * np.float32(random.uniform(20, 160))
        fill += emboss[..., None]
    if random.random() < 0.4:
        inner = blurred_grey(alpha, 1 + max(alpha.shape) // 100)
        edge = np.minimum(3 * (1 - inner), 1) * np.float32(random.uniform(0.5, 1))
        fill += (np.float32(one_of(random, (0, 20, 255))) - fill) * edge[..., None]
