"""Opens a data set: finds its layout, reads its annotations, and checks them against the image files."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from setpiece.data.dataset import Dataset, Example
from setpiece.data.defects import Defect
from setpiece.data.formats import coco, voc, yolo
from setpiece.data.formats.annotations import AnnotatedSplit
from setpiece.data.formats.coco_files import ROBOFLOW_FILE
from setpiece.data.formats.contents import contents
from setpiece.data.formats.files import visible
from setpiece.data.formats.splits import SPLITS, Readers, divide
from setpiece.data.numbers import check_numbers
from setpiece.data.repair import inspect, repair, without_lost
from setpiece.data.scaling import to_file_sizes
from setpiece.data.turning import as_drawn
from setpiece.data.unread import note_unread
from setpiece.errors import DataError, UsageError

__all__ = ["Dataset", "Example", "NoDatasetError", "available_splits", "open_dataset", "read_split", "read_splits"]

LAYOUTS = {"COCO": coco, "YOLO": yolo, "Pascal VOC": voc}
Refused = dict[str, DataError]  # the layouts that cannot be read, and why


class NoDatasetError(DataError):
    """A folder is there, and holds nothing that looks like a data set."""


def open_dataset(root: str | Path, split: str) -> Dataset:
    """Read one split of the data set in a folder: COCO (Roboflow's folders or COCO's own), YOLO or Pascal VOC.

    Defects of boxes and images do not stop it: each has a rule and is counted in `Dataset.defects`. Errors of
    the annotation files do, because nobody could say what was meant.

    A data set without splits is divided: about one image in five is held out as "valid", chosen by its file's name.

    Args:
        root: the folder of the data set.
        split: "train", "valid" or "test"; "val" is "valid".

    Raises:
        UsageError: the folder does not exist or is a file, or does not have the split.
        DataError: no layout is recognised, an annotation file is malformed, or no image can be read.
    """
    dataset = read_split(root, split)
    if not dataset.examples:
        found = "; ".join(dataset.defects.summary())
        raise DataError(f"The split {dataset.split!r} of {root} has no image{f' ({found})' if found else ''}.")
    return dataset


def read_split(root: str | Path, split: str) -> Dataset:
    """The same as `open_dataset`, but a split that lists no images is read, too.

    Raises:
        UsageError: see `open_dataset`.
        DataError: likewise; also where images are listed, and none can be read.
    """
    root = Path(root)
    readers = _readers(root)
    name = {"val": "valid"}.get(split, split)
    if name not in readers:
        have = ", ".join(_in_order(readers))
        raise UsageError(f"The data set {root} has no split {split!r}; it has: {have}.")
    annotated = readers[name]()
    if name == _in_order(readers)[0]:
        _note_unread(root, readers)
    return _read(root, name, annotated)


def read_splits(root: str | Path, progress: Callable[[int, int], None] | None = None) -> dict[str, Dataset | DataError]:
    """Every split of a data set, or why it cannot be read.

    Args:
        progress: called with (images done, images of the split) while image files are looked into.

    Raises:
        UsageError: the folder does not exist or is a file.
        DataError: no layout is recognised.
    """
    readers = _readers(Path(root))
    _note_unread(Path(root), readers)
    found: dict[str, Dataset | DataError] = {}
    for split in _in_order(readers):
        try:
            found[split] = _read(Path(root), split, readers[split](), progress)
        except DataError as error:
            found[split] = error
    return found


def _read(
    root: Path, name: str, annotated: AnnotatedSplit, progress: Callable[[int, int], None] | None = None
) -> Dataset:
    headers = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding leaves Python to other threads
        for header in pool.map(inspect, annotated.images):
            headers.append(header)
            if progress is not None:
                progress(len(headers), len(annotated.images))
    images = as_drawn(to_file_sizes(annotated.images, headers), headers)
    read = [
        (image, example)
        for image, header in zip(images, headers, strict=True)
        if (example := repair(image, header, annotated.defects)) is not None
    ]
    if annotated.images and not read:
        detail = "; ".join(annotated.defects.summary())
        raise DataError(f"{annotated.source} leads to no image that can be read: {detail}.")
    check_numbers(annotated, read)
    examples = without_lost((example for _, example in read), annotated.defects)
    return Dataset(root, name, annotated.classes, annotated.category_ids, examples, annotated.defects)


def available_splits(root: str | Path) -> tuple[str, ...]:
    """The splits that a data set has, out of "train", "valid" and "test", in this order.

    Raises:
        UsageError: the folder does not exist or is a file.
        DataError: no layout is recognised.
    """
    return _in_order(_readers(Path(root)))


def _in_order(readers: Readers) -> tuple[str, ...]:
    return tuple(split for split in SPLITS if split in readers)


def _readers(root: Path) -> Readers:
    if not root.exists():
        raise UsageError(f"The data set folder {root} does not exist.")
    if not root.is_dir():
        raise UsageError(f"{root} is a file; give the folder that holds the data set.")
    refused: Refused = {}
    for find in (_split, _divided):
        if readers := find(root, refused) or ({} if refused else _below(root, find)):
            return readers
    _raise_first(refused)
    raise NoDatasetError(
        f"No data set is recognised in {root}, which holds {contents(root)}; it needs train/{ROBOFLOW_FILE} (COCO "
        "as Roboflow exports it), annotations/instances_train.json or one COCO file beside images (COCO), data.yaml, "
        "obj.data or classes.txt with images and labels (YOLO), or Annotations with JPEGImages, or XML files beside "
        "their images (Pascal VOC)."
    )


def _split(root: Path, refused: Refused) -> Readers:
    """The splits of the layout that has most of them, if several lie in one folder; of the first among equals."""
    best: Readers = {}
    for name, layout in LAYOUTS.items():
        try:
            readers = layout.find_splits(root)
        except DataError as error:
            refused[name] = error
            continue
        if len(readers) > len(best):
            best = {split: cache(partial(_named, reader, name)) for split, reader in readers.items()}
    return best


def _divided(root: Path, refused: Refused) -> Readers:
    """The two parts of a data set without splits."""
    for name, layout in LAYOUTS.items():
        if name in refused:  # it may have splits, if only they could be read
            continue
        try:
            whole = layout.find_whole(root)
            parts = {} if whole is None else divide(_with_images(replace(whole, layout=name)))
        except DataError as error:
            refused[name] = error
            continue
        if parts:
            return {split: partial(_as_it_is, part) for split, part in parts.items()}
    return {}


def _raise_first(refused: Refused) -> None:
    """Raise why a layout cannot be read, where no other one is found: then it is the one that is meant."""
    if refused:
        raise next(iter(refused.values()))


def _as_it_is(part: AnnotatedSplit) -> AnnotatedSplit:
    return part


def _named(reader: Callable[[], AnnotatedSplit], layout: str) -> AnnotatedSplit:
    return _with_images(replace(reader(), layout=layout))


def _with_images(annotated: AnnotatedSplit) -> AnnotatedSplit:
    """The same.

    Raises:
        DataError: it names several images, and none of them is there.
    """
    images = annotated.images
    if len(images) > 1 and not any(image.notes or os.path.isfile(image.path) for image in images):
        source = annotated.source
        named = f"the files in {source} name" if source.is_dir() else f"{source} names"
        raise DataError(
            f"None of the {len(images)} images that {named} is there, as {images[0].path}: export again with images, "
            "or put them there."
        )
    return annotated


def _note_unread(root: Path, readers: Readers) -> None:
    """Count what no split reads, once: with the first split. Where a split is refused, that is not known."""
    try:
        splits = [readers[split]() for split in _in_order(readers)]
    except DataError:
        return
    is_annotation = {name: layout.is_annotation for name, layout in LAYOUTS.items()}
    note_unread(root, splits[0].layout, splits, is_annotation, splits[0].defects)


def _below(root: Path, find: Callable[[Path, Refused], Readers]) -> Readers:
    """The data set in the only folder below that has one: archives are often unpacked one folder too deep."""
    folders = [folder for folder in visible(root) if folder.is_dir()]
    found = {folder: readers for folder in folders if (readers := _only(folder, find))}
    if not found and len(folders) == 1:
        return _below(folders[0], find)
    if len(found) > 1:
        raise DataError(f"{root} holds several data sets: {', '.join(folder.name for folder in found)}; name one.")
    return {
        split: cache(partial(_noted, reader, folder))
        for folder, readers in found.items()
        for split, reader in readers.items()
    }


def _only(folder: Path, find: Callable[[Path, Refused], Readers]) -> Readers:
    refused: Refused = {}
    readers = find(folder, refused)
    if not readers:
        _raise_first(refused)
    return readers


def _noted(reader: Callable[[], AnnotatedSplit], folder: Path) -> AnnotatedSplit:
    annotated = reader()
    annotated.defects.add(Defect.NESTED, str(folder))
    return annotated
