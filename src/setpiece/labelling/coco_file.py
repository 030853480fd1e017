"""The labels as a COCO file: always whole, and as new as what the page was told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from setpiece.atomic import write_whole
from setpiece.data.formats.coco_files import ROBOFLOW_FILE
from setpiece.errors import DataError
from setpiece.labelling.held_out import is_held_out
from setpiece.labelling.labels import DECIMALS, Box, Category, LabelledImage, Labels, Marks

__all__ = ["LABELS", "CocoFile", "Saved", "read_saved"]

LABELS = ROBOFLOW_FILE
LINE = ",\n"
OURS = "setpiece"  # the key of what COCO has no place for


@dataclass(frozen=True)
class Saved:
    """What the file holds.

    Attributes:
        labels: all images and classes.
        photos: the folder of photos.
        sequence: the number of the last change that is in it.
    """

    labels: Labels
    photos: Path
    sequence: int


def read_saved(file: Path) -> Saved | None:
    """What a file holds; None where there is none.

    Raises:
        DataError: it cannot be read, or was not written by `setpiece label`.
    """
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read ({error}): restore it, or give another --output.") from error
    if not isinstance(content, dict) or OURS not in content:
        raise DataError(
            f"{file} was not written by setpiece label: give another --output; its folder can be given as PHOTOS."
        )
    try:
        return Saved(_labels(content), Path(content[OURS]["photos"]), content[OURS]["sequence"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file} is damaged ({error!r}): restore it, or give another --output.") from error


def _labels(content: Mapping[str, Any]) -> Labels:
    boxes: dict[int, list[Box]] = {image["id"]: [] for image in content["images"]}
    for one in content["annotations"]:
        left, top, width, height = one["bbox"]
        right, bottom = round(left + width, DECIMALS), round(top + height, DECIMALS)
        box = Box((left, top, right, bottom), one["category_id"], bool(one["iscrowd"]))
        boxes[one["image_id"]].append(box)
    images = {}
    for image in content["images"]:
        ours, size = image[OURS], (image["width"], image["height"])
        marks = Marks(ours["state"], tuple(boxes[image["id"]]))
        bytes_, changed = ours["stamp"]
        stamp = (bytes_, changed)
        images[image["id"]] = LabelledImage(image["id"], image["file_name"], *size, stamp, marks, ours["revision"])
    return Labels(images, tuple(Category(each["id"], each["name"]) for each in content["categories"]))


class CocoFile:
    """Writes the file. What did not change since the last time is not put into words again.

    Args:
        file: to write.
        photos: the folder of photos.
    """

    def __init__(self, file: Path, photos: Path) -> None:
        self.file, self._photos = file, photos
        self._written: dict[int, tuple[tuple[object, ...], str, list[str]]] = {}

    def write(self, labels: Labels, sequence: int) -> None:
        """Replace the file.

        Raises:
            OutputError: it cannot be written; it is as it was.
        """
        parts = [self._image(image) for image in labels.images.values()]
        annotations = (
            f'{{"id":{number},{text}' for number, text in enumerate((text for _, of in parts for text in of), 1)
        )
        ours = {"photos": str(self._photos), "sequence": sequence}
        categories = [{"id": each.id, "name": each.name} for each in labels.classes]
        content = (
            f'{{"{OURS}":{_dumps(ours)},\n"categories":{_dumps(categories)},\n'
            f'"images":[{LINE.join(text for text, _ in parts)}],\n"annotations":[{LINE.join(annotations)}]}}\n'
        )
        write_whole(self.file, content, survives_power_cut=True)

    def _image(self, image: LabelledImage) -> tuple[str, list[str]]:
        """The text of an image, and those of its annotations, without their ids."""
        key = (image.file, image.marks, image.revision, image.width, image.height, image.stamp)
        known = self._written.get(image.id)
        if known is None or known[0] != key:
            known = self._written[image.id] = (
                key,
                _image_text(image),
                [_box_text(image.id, box) for box in image.marks.boxes],
            )
        return known[1], known[2]


def _image_text(image: LabelledImage) -> str:
    ours = {
        "state": image.marks.state,
        "held_out": is_held_out(image.file),
        "revision": image.revision,
        "stamp": list(image.stamp),
    }
    about = {"id": image.id, "file_name": image.file, "width": image.width, "height": image.height, OURS: ours}
    return _dumps(about)


def _box_text(image_id: int, box: Box) -> str:
    left, top, right, bottom = box.corners
    width, height = round(right - left, DECIMALS), round(bottom - top, DECIMALS)
    about = {
        "image_id": image_id,
        "category_id": box.category,
        "bbox": [left, top, width, height],
        "area": round(width * height, DECIMALS),
        "iscrowd": int(box.crowd),
    }
    return _dumps(about)[1:]


def _dumps(content: object) -> str:
    return json.dumps(content, separators=(",", ":"))
