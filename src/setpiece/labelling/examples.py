"""Labels -> a data set, as training, evaluation and the layouts of others take it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np

from setpiece.data.dataset import Dataset, Example
from setpiece.data.defects import Defects
from setpiece.labelling.held_out import is_held_out
from setpiece.labelling.labels import LabelledImage, Labels

__all__ = ["dataset_of", "labelled_parts"]


def dataset_of(labels: Labels, photos: Path, images: Iterable[LabelledImage], split: str = "train") -> Dataset:
    """Some images as a split of a data set, with all classes.

    Args:
        labels: for the classes.
        photos: the folder of photos.
        images: of the labels; the boxes that are there count, whether they are confirmed or not.
        split: its name.
    """
    categories = tuple(category.id for category in labels.classes)
    index = {category: i for i, category in enumerate(categories)}
    examples = tuple(_example(image, photos, index) for image in images)
    names = tuple(category.name for category in labels.classes)
    return Dataset(photos, split, names, categories, examples, Defects())


def labelled_parts(labels: Labels, photos: Path, unusable: Container[int] = ()) -> tuple[Dataset, Dataset]:
    """The labelled images that are trained on, and those that are held out.

    Args:
        labels: all of them.
        photos: the folder of photos.
        unusable: ids of images whose photos cannot be read.
    """
    done = [image for id, image in labels.images.items() if image.marks.state != "open" and id not in unusable]
    seen, unseen = ([each for each in done if is_held_out(each.file) is apart] for apart in (False, True))
    return dataset_of(labels, photos, seen), dataset_of(labels, photos, unseen, "valid")


def _example(image: LabelledImage, photos: Path, index: dict[int, int]) -> Example:
    boxes = image.marks.boxes
    boxes_xyxy = np.array([box.corners for box in boxes], np.float32).reshape(-1, 4)
    return Example(
        image_id=image.id,
        path=photos / image.file,
        height=image.height,
        width=image.width,
        boxes_xyxy=boxes_xyxy,
        labels=np.array([index[box.category] for box in boxes], np.int64),
        crowd=np.array([box.crowd for box in boxes], np.bool_),
        areas=(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(1),
    )
