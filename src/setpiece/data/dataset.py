"""The records of a data set: an image with its boxes, and a split of them with its classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from setpiece.data.defects import Defects

__all__ = ["Dataset", "Example"]


@dataclass(frozen=True)
class Example:
    """One image file and its annotations.

    Attributes:
        image_id: the data set's own.
        height: pixels, of the image as `read_image(path, upright=upright)` returns it.
        width: likewise.
        boxes_xyxy: pixels, inside the image, of more than zero size.
        labels: index into `Dataset.classes`.
        crowd: True where a box stands for a group; kept for evaluation, left out of training.
        areas: square pixels; the annotation's own where it has one (the area of a mask, say), else the box's.
        upright: False where the annotations were drawn on the pixels as stored, against the EXIF orientation.
    """

    image_id: int
    path: Path
    height: int
    width: int
    boxes_xyxy: Float32[np.ndarray, "N 4"]
    labels: Int64[np.ndarray, "N"]
    crowd: Bool[np.ndarray, "N"]
    areas: Float32[np.ndarray, "N"]
    upright: bool = True


@dataclass(frozen=True)
class Dataset:
    """One split of a data set.

    Attributes:
        split: "train", "valid" or "test".
        classes: names, in the order that the source declares them; the same in every split.
        category_ids: the data set's own id of every class.
        defects: what was wrong or unusual, and the rule applied to each kind.
        weights: how often training draws each image, in proportion; all equally often where None.
    """

    root: Path
    split: str
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    examples: tuple[Example, ...]
    defects: Defects
    weights: tuple[float, ...] | None = None

    def to_coco(self) -> dict[str, Any]:
        """The ground truth in COCO's layout, under the data set's own image and category ids.

        Annotations are numbered anew from 1: COCO's evaluation takes an annotation of id 0 for no annotation.
        """
        images = []
        annotations: list[dict[str, Any]] = []
        for example in self.examples:
            size = {"height": example.height, "width": example.width}
            images.append({"id": example.image_id, "file_name": example.path.name, **size})
            for box_xyxy, label, crowd, area in zip(
                example.boxes_xyxy.tolist(), example.labels, example.crowd, example.areas, strict=True
            ):
                left, top, right, bottom = box_xyxy
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": example.image_id,
                        "category_id": self.category_ids[label],
                        "bbox": [left, top, right - left, bottom - top],
                        "area": float(area),
                        "iscrowd": int(crowd),
                    }
                )
        categories = [
            {"id": category_id, "name": name} for category_id, name in zip(self.category_ids, self.classes, strict=True)
        ]
        return {"images": images, "annotations": annotations, "categories": categories}
