"""The classes, and what the objects of one picture have in common."""

from __future__ import annotations

import string
from typing import Literal, NamedTuple

import numpy as np

from .arrays import Colours, Random, one_of
from .outlines import SHAPES
from .photos import Album
from .textures import random_colours

__all__ = ["Kind", "Style", "classes", "random_kinds", "random_style"]

PASTED = 0.35  # share of the kinds that are photographs, where there are any
TEXTURES = ("plain", "striped", "mottled", "dotted")
GLYPHS = [c for c in string.digits + string.ascii_uppercase if c not in "OI"]  # those two look like 0 and 1
DRAWN = [f"{shape}/{texture}" for shape in SHAPES for texture in TEXTURES] + [f"glyph/{glyph}" for glyph in GLYPHS]


class Kind(NamedTuple):
    """A class of which a picture shows several objects, in similar colours."""

    source: Literal["photo", "glyph", "shape"]
    name: str  # a class of the album, one of `GLYPHS`, or one of `SHAPES`
    texture: str  # one of `TEXTURES`; it belongs to the class of a shape, and says nothing for others
    colours: Colours  # three; a photograph has its own

    @property
    def class_name(self) -> str:
        """What `classes` calls it."""
        return {"photo": self.name, "glyph": f"glyph/{self.name}", "shape": f"{self.name}/{self.texture}"}[self.source]


class Style(NamedTuple):
    """What all objects of a picture share."""

    light: tuple[float, float]  # the direction (x, y) that light goes and shadows fall to; its length is 1
    shadow: float  # opacity, [0, 1]
    upright: bool  # whether drawn shapes stand nearly upright, or are turned any way


def classes(album: Album) -> list[str]:
    """The names of the classes: the drawn ones, then the photographs' in alphabetical order."""
    return DRAWN + list(album.by_name)


def random_kinds(random: Random, album: Album) -> list[Kind]:
    """Mostly 1 to 4 kinds, sometimes many."""
    names = list(album.by_name)
    count = random.integers(1, 5) if random.random() < 0.75 else random.integers(6, 25)
    kinds = []
    for _ in range(count):
        photo = one_of(random, names) if names and random.random() < PASTED else None
        glyph = one_of(random, GLYPHS) if random.random() < 0.25 else None
        shape, texture = one_of(random, list(SHAPES)), one_of(random, TEXTURES)
        colours = random_colours(random, 3)
        if photo is not None:
            kinds.append(Kind("photo", photo, "plain", colours))
        elif glyph is not None:
            kinds.append(Kind("glyph", glyph, "plain", colours))
        else:
            kinds.append(Kind("shape", shape, texture, colours))
    return kinds


def random_style(random: Random) -> Style:
    """Light from any side, shadows from none to dark; upright in every third picture."""
    angle = random.uniform(0, 2 * np.pi)
    return Style((np.cos(angle), np.sin(angle)), random.uniform(0, 0.7), random.random() < 0.35)
