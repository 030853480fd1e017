"""What `setpiece label` is given: a folder of photos, or a data set whose labels are there from the start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from setpiece.data.dataset import Dataset, Example
from setpiece.data.formats.files import files_under
from setpiece.data.images import read_header
from setpiece.data.sources import NoDatasetError, read_splits
from setpiece.errors import DataError, UsageError
from setpiece.inference.sources import UNREAD_SUFFIXES
from setpiece.labelling.labels import Box, Category, Marks, checked_box
from setpiece.labelling.photos import Photos

__all__ = ["Source", "open_source"]


@dataclass(frozen=True)
class Source:
    """Photos, with labels where a data set has some.

    Attributes:
        photos: the files.
        classes: of the data set; empty for photos alone.
        marks: of each file that the data set annotates.
        said: what has to be known of the data set.
    """

    photos: Photos
    classes: tuple[Category, ...]
    marks: dict[str, Marks]
    said: tuple[str, ...]


def open_source(root: Path) -> Source:
    """Read a folder. Every split of a data set is taken; which images are held out is decided anew.

    Raises:
        UsageError: there is no such folder, or no photo in it.
        DataError: it is a data set that cannot be read.
    """
    if not root.is_dir():
        what = f"{root} is a file" if root.exists() else f"The folder {root} does not exist"
        raise UsageError(f"{what}: give the folder that holds the photos.")
    try:
        splits = read_splits(root)
    except NoDatasetError:
        photos, unread = Photos(root), _unread(root)
        if not photos.stamps():
            raise UsageError(unread or f"There is no photo in {root}: give the folder that holds the photos.") from None
        return Source(photos, (), {}, (unread,) if unread else ())
    for split in splits.values():
        if isinstance(split, DataError):
            raise split
    datasets = [split for split in splits.values() if isinstance(split, Dataset)]
    classes = tuple(Category(number, name) for number, name in enumerate(datasets[0].classes, 1))
    examples = [example for dataset in datasets for example in dataset.examples]
    files = _files([example.path for example in examples], root)
    photos = Photos(root, {file.parent.as_posix() for file in files})
    marks = {file.as_posix(): _marks(example, classes) for file, example in zip(files, examples, strict=True)}
    objects = sum(len(each.boxes) for each in marks.values())
    said = f"{root.name} is a data set: {len(marks)} images with {objects} boxes are labelled."
    if empty := sum(not each.boxes for each in marks.values()):
        said += f" {empty} of them have no boxes, and count as empty: open those that are not."
    return Source(photos, classes, marks, (said, *(line for dataset in datasets for line in dataset.defects.summary())))


def _unread(root: Path) -> str:
    """What to say of photos of a kind that is not read; nothing where there are none."""
    files = [path for path in files_under(root) if path.suffix.lower() in UNREAD_SUFFIXES]
    if not files:
        return ""
    kinds = ", ".join(sorted({path.suffix.lower() for path in files}))
    count = "1 photo" if len(files) == 1 else f"{len(files)} photos"
    return f"{count} in {root} cannot be read ({kinds}), as {files[0].name}: convert to JPEG or PNG."


def _files(paths: Sequence[Path], root: Path) -> list[Path]:
    """Paths below a folder, however the annotations lead there.

    Raises:
        UsageError: some lie elsewhere.
    """
    real, top = cache(Path.resolve), root.resolve()
    found = [real(path.parent) / path.name for path in paths]
    outside = [path for path in found if not path.is_relative_to(top)]
    if outside:
        raise UsageError(
            f"{len(outside)} images of the data set lie outside {root}, as {outside[0]}: give a folder that holds all."
        )
    return [path.relative_to(top) for path in found]


def _marks(example: Example, classes: tuple[Category, ...]) -> Marks:
    boxes = tuple(_boxes(example, classes))
    return Marks("labelled" if boxes else "empty", boxes)


def _boxes(example: Example, classes: tuple[Category, ...]) -> Iterator[Box]:
    orientation = 1 if example.upright else read_header(example.path).orientation
    size = (example.width, example.height) if orientation < 5 else (example.height, example.width)
    for box_xyxy, label, crowd in zip(
        example.boxes_xyxy.tolist(), example.labels.tolist(), example.crowd.tolist(), strict=True
    ):
        corners = _turned(box_xyxy, orientation, example.width, example.height)
        yield checked_box(corners, classes[label].id, *size, crowd=crowd)


def _turned(box_xyxy: list[float], orientation: int, width: int, height: int) -> list[float]:
    """A box on the pixels as stored, of this size -> the same on the upright image."""
    left, top, right, bottom = box_xyxy
    match orientation:
        case 2:
            return [width - right, top, width - left, bottom]
        case 3:
            return [width - right, height - bottom, width - left, height - top]
        case 4:
            return [left, height - bottom, right, height - top]
        case 5:
            return [top, left, bottom, right]
        case 6:
            return [height - bottom, left, height - top, right]
        case 7:
            return [height - bottom, width - right, height - top, width - left]
        case 8:
            return [top, width - right, bottom, width - left]
        case _:
            return box_xyxy
