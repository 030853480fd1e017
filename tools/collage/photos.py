"""The photographs that are given: whole objects to cut out where we know what they show, and backgrounds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from .arrays import Picture, Pixels, Random, one_of

__all__ = ["Album", "Photo", "load_album"]

LONGER_SIDE = 224  # pixels; larger photographs are made smaller
SUFFIXES = (".jpg", ".jpeg", ".png")


class Photo(NamedTuple):
    """A photograph, and the class of what it shows, if that is known."""

    pixels: Picture
    name: str | None


class Album:
    """Photographs, also by the class of what they show."""

    def __init__(self, photos: Sequence[Photo]) -> None:
        self.photos = photos

    @cached_property
    def by_name(self) -> dict[str, list[Photo]]:
        """The photographs of each class; the classes in alphabetical order."""
        names = sorted({photo.name for photo in self.photos if photo.name is not None})
        return {name: [photo for photo in self.photos if photo.name == name] for name in names}

    def crop(self, random: Random, height: int, width: int) -> Pixels:
        """A piece of any photograph; a small one where it shows a class, since here the object gets no box."""
        photo = one_of(random, self.photos)
        rows, columns = photo.pixels.shape[:2]
        share = random.uniform(0.5, 1) if photo.name is None else random.uniform(0.2, 0.5)
        scale = share * min(rows / height, columns / width)
        crop_w, crop_h = width * scale, height * scale
        x, y = random.uniform(0, columns - crop_w), random.uniform(0, rows - crop_h)
        box = (x, y, x + crop_w, y + crop_h)
        image = Image.fromarray(photo.pixels).resize((width, height), Image.Resampling.BILINEAR, box, 2.0)
        return np.array(image, dtype=np.float32)


def load_album(folders: Sequence[Path]) -> Album:
    """Read folders of images. A `labels.json` in a folder gives file names their class; other images have none."""
    photos = []
    for folder in folders:
        labels = folder / "labels.json"
        names: dict[str, str] = json.loads(labels.read_text(encoding="utf-8")) if labels.exists() else {}
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in SUFFIXES:
                image = Image.open(file).convert("RGB")
                image.thumbnail((LONGER_SIDE, LONGER_SIDE))
                photos.append(Photo(np.asarray(image), names.get(file.name)))
    return Album(photos)
