"""What the checks look at: every split of a data set as it is read, and what each image looks like."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from setpiece.data.dataset import Dataset, Example
from setpiece.data.defects import Place
from setpiece.data.images import read_image
from setpiece.data.sources import read_splits
from setpiece.errors import DataError
from setpiece.records import InputSize

__all__ = ["Look", "Progress", "Settings", "Survey", "box_place", "look_at", "survey"]

Progress = Callable[[int, int], None]  # called with (images done, images in all)

THUMBNAIL = (9, 8)  # width, height: eight differences in each of eight rows


@dataclass(frozen=True)
class Settings:
    """What the data set is for.

    Attributes:
        size: the input size of the model.
        queries: the most objects that the model can find in an image.
    """

    size: InputSize
    queries: int = 100  # of sprint-n and of the paper's DETR


@dataclass(frozen=True)
class Look:
    """What an image looks like, in a few bytes.

    Attributes:
        digest: SHA-256 of the file.
        hash: 64 bits, of which images that look alike share most: whether each of 9 x 8 grey pixels is darker than its
            right neighbour (the difference hash).
        spread: between its darkest and its lightest grey, in [0, 255], of an image reduced to 9 x 8 pixels.
    """

    digest: bytes
    hash: int
    spread: int


@dataclass(frozen=True)
class Survey:
    """A data set, looked at.

    Attributes:
        root: its folder.
        splits: what could be read.
        unreadable: why a split could not be read.
        looks: of every image by its file, None where it cannot be decoded; empty where pixels were not looked at.
    """

    root: Path
    splits: dict[str, Dataset]
    unreadable: dict[str, str]
    looks: dict[Path, Look | None] = field(default_factory=dict)

    def examples(self) -> Iterable[tuple[str, Example]]:
        """Every image with its split."""
        return ((split, example) for split, dataset in self.splits.items() for example in dataset.examples)


def survey(root: Path, progress: Progress | None = None) -> Survey:
    """Read every split.

    Args:
        progress: called while image files are looked into.

    Raises:
        UsageError: there is no such folder.
        DataError: no data set is recognised in it.
    """
    read = read_splits(root, progress)
    splits = {split: of for split, of in read.items() if isinstance(of, Dataset)}
    return Survey(root, splits, {split: str(of) for split, of in read.items() if isinstance(of, DataError)})


def look_at(survey: Survey, progress: Progress | None = None) -> Survey:
    """The same with what every image looks like; each is decoded once.

    Args:
        progress: called after each.
    """
    files = list(dict.fromkeys(example.path for _, example in survey.examples()))
    looks: dict[Path, Look | None] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding leaves Python to other threads
        for file, look in zip(files, pool.map(_look, files), strict=True):
            looks[file] = look
            if progress is not None:
                progress(len(looks), len(files))
    return replace(survey, looks=looks)


def box_place(example: Example, index: int) -> Place:
    """Where a box is."""
    left, top, right, bottom = map(float, example.boxes_xyxy[index])
    text = f"{example.path.name}, box ({left:.4g}, {top:.4g}) to ({right:.4g}, {bottom:.4g})"
    return Place(text, example.path, (left, top, right, bottom), example.upright)


def _look(file: Path) -> Look | None:
    try:
        image, content = Image.fromarray(read_image(file)), file.read_bytes()
    except (DataError, OSError):
        return None
    pixels: UInt8[np.ndarray, "8 9"] = np.asarray(image.convert("L").resize(THUMBNAIL, Image.Resampling.BOX))
    darker = pixels[:, :-1] < pixels[:, 1:]
    bits = int.from_bytes(np.packbits(darker).tobytes(), "big")
    return Look(hashlib.sha256(content).digest(), bits, int(pixels.max()) - int(pixels.min()))
