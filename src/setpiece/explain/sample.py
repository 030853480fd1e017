"""The images to explain, with their targets."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from setpiece.data.dataset import Dataset, Example
from setpiece.data.images import read_image
from setpiece.errors import UsageError
from setpiece.evaluation import sv
from setpiece.explain.arrays import jpeg_url
from setpiece.inference.pictures import Picture, to_pixels
from setpiece.records import Targets
from setpiece.setloss.boxes import xyxy_to_cxcywh

__all__ = ["Sample", "choose", "picture_url", "read_sample", "sample", "sample_picture"]

PICTURE_SIDE = 480  # pixels of a report's pictures, at most
JPEG_QUALITY = 80


@dataclass(frozen=True)
class Sample:
    """An image to explain.

    Attributes:
        name: of its file.
        image_id: the data set's own.
        pixels: RGB, [0, 255].
        targets: of this image alone; None where its objects are not known.
    """

    name: str
    image_id: int
    pixels: UInt8[np.ndarray, "H W 3"]
    targets: Targets | None


def sample(
    name: str,
    image_id: int,
    pixels: UInt8[np.ndarray, "H W 3"],
    labels: Tensor | None = None,
    boxes_xyxy: Tensor | None = None,
) -> Sample:
    """An image with its objects, if they are known.

    Args:
        name: of its file.
        image_id: the data set's own.
        pixels: RGB, [0, 255].
        labels: class of each object, by its index in the model.
        boxes_xyxy: pixels; clipped to the image.
    """
    if labels is None or boxes_xyxy is None:
        return Sample(name, image_id, pixels, None)
    height, width = pixels.shape[:2]
    boxes = (boxes_xyxy.reshape(-1, 4) / torch.tensor([width, height, width, height])).clamp(0, 1)
    return Sample(name, image_id, pixels, Targets.from_list([{"labels": labels, "boxes": xyxy_to_cxcywh(boxes)}]))


def sample_picture(number: int, image: Picture, objects: sv.Detections | Mapping[str, Any] | None) -> Sample:
    """A picture of any kind, with its objects if they are known.

    Args:
        number: what an image without a file name is called by.
        image: a path, a PIL image, or an array HWC RGB uint8.
        objects: detections with `class_id`, or `{"labels": T indices, "boxes_xyxy": T x 4 in pixels}`.

    Raises:
        DataError: the image cannot be read.
        UsageError: the objects are none of these.
    """
    name = Path(image).name if isinstance(image, (str, Path)) else f"image {number}"
    if objects is None:
        return sample(name, number, to_pixels(image))
    if isinstance(objects, sv.Detections):
        objects = {"labels": objects.class_id if len(objects) else [], "boxes_xyxy": objects.xyxy}
    try:
        labels = torch.as_tensor(np.asarray(objects["labels"], dtype=np.int64))
        boxes_xyxy = torch.as_tensor(np.asarray(objects["boxes_xyxy"], dtype=np.float32)).reshape(-1, 4)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UsageError(
            f'The targets of {name} cannot be read: give supervision.Detections with class_id, or {{"labels": T class '
            'indices, "boxes_xyxy": T x 4 pixels}.'
        ) from error
    if labels.shape != boxes_xyxy.shape[:1] or not (boxes_xyxy[:, :2] <= boxes_xyxy[:, 2:]).all():
        raise UsageError(f"The targets of {name} need one label per box, and boxes as left, top, right, bottom.")
    return sample(name, number, to_pixels(image), labels, boxes_xyxy)


def choose(dataset: Dataset, names: Sequence[str], limit: int) -> list[Example]:
    """The images of a data set with these file names, in this order; without names, the first `limit`.

    Raises:
        UsageError: the data set has no image of that name.
    """
    if not names:
        return list(dataset.examples[:limit])
    by_name = {example.path.name: example for example in reversed(dataset.examples)}
    chosen = [Path(name).name for name in names]
    for name in chosen:
        if name not in by_name:
            raise UsageError(
                f"{dataset.root} has no image {name} in its {dataset.split} split; one of its images is "
                f"{dataset.examples[0].path.name}."
            )
    return [by_name[name] for name in chosen]


def read_sample(example: Example, classes: Sequence[str], names: Sequence[str]) -> Sample:
    """Read an image of a data set; crowds are left out, as they are in training.

    Args:
        classes: the data set's class names; each is one of the model's.
        names: the model's class names.

    Raises:
        DataError: the image cannot be read.
    """
    labels = [names.index(classes[label]) for label in example.labels[~example.crowd]]
    return sample(
        example.path.name,
        example.image_id,
        read_image(example.path, upright=example.upright),
        torch.tensor(labels, dtype=torch.int64),
        torch.from_numpy(example.boxes_xyxy[~example.crowd]),
    )


def picture_url(pixels: UInt8[np.ndarray, "H W 3"]) -> str:
    """A small picture of an image as a data URL.

    Args:
        pixels: RGB, [0, 255].
    """
    image, file = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return jpeg_url(file.getvalue())
