"""Opens a data set: finds its layout, reads its annotations, and checks them against the image files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from setpiece.data.dataset import Dataset, Example
from setpiece.data.formats import coco, voc, yolo
from setpiece.data.formats.annotations import AnnotatedSplit
from setpiece.data.repair import repair
from setpiece.errors import DataError, UsageError

__all__ = ["Dataset", "Example", "available_splits", "open_dataset"]

SPLITS = ("train", "valid", "test")


def open_dataset(root: str | Path, split: str) -> Dataset:
    """Read one split of the data set in a folder: COCO (Roboflow's folders or COCO's own), YOLO or Pascal VOC.

    Defects of boxes and images do not stop it: each has a rule and is counted in `Dataset.defects`. Errors of
    the annotation files do, because nobody could say what was meant.

    Args:
        root: the folder of the data set.
        split: "train", "valid" or "test"; "val" is "valid".

    Raises:
        UsageError: the folder does not exist or is a file, or does not have the split.
        DataError: no layout is recognised, an annotation file is malformed, or no image can be read.
    """
    root = Path(root)
    readers = _readers(root)
    name = {"val": "valid"}.get(split, split)
    if name not in readers:
        have = ", ".join(_in_order(readers))
        raise UsageError(f"The data set {root} has no split {split!r}; it has: {have}.")
    annotated = readers[name]()
    examples = tuple(example for image in annotated.images if (example := repair(image, annotated.defects)) is not None)
    if not examples:
        detail = " ".join(annotated.defects.summary()) or "it lists none"
        raise DataError(f"{annotated.source} leads to no image that can be read: {detail}.")
    return Dataset(root, name, annotated.classes, annotated.category_ids, examples, annotated.defects)


def available_splits(root: str | Path) -> tuple[str, ...]:
    """The splits that a data set has, out of "train", "valid" and "test", in this order.

    Raises:
        UsageError: the folder does not exist or is a file.
        DataError: no layout is recognised.
    """
    return _in_order(_readers(Path(root)))


def _in_order(readers: dict[str, Callable[[], AnnotatedSplit]]) -> tuple[str, ...]:
    return tuple(split for split in SPLITS if split in readers)


def _readers(root: Path) -> dict[str, Callable[[], AnnotatedSplit]]:
    if not root.exists():
        raise UsageError(f"The data set folder {root} does not exist.")
    if not root.is_dir():
        raise UsageError(f"{root} is a file; give the folder that holds the data set.")
    for layout in (coco, yolo, voc):
        if readers := layout.find_splits(root):
            return readers
    raise DataError(
        f"No data set is recognised in {root}; it needs train/{coco.ROBOFLOW_FILE} (COCO as Roboflow exports it), "
        "annotations/instances_train.json (COCO), data.yaml (YOLO), or ImageSets/Main/train.txt (Pascal VOC)."
    )
