"""COCO annotation files, in Roboflow's folders and in COCO's own.

```
train/_annotations.coco.json     the images beside it           (Roboflow; also valid/ or val/, test/)
annotations/instances_train2017.json   the images in train2017/, images/train2017/, train/, images/ ...   (COCO)
```
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from setpiece.data.defects import Defect, Defects
from setpiece.data.formats.annotations import (
    AnnotatedBox,
    AnnotatedImage,
    AnnotatedSplit,
    check_unique_classes,
    read_text,
)
from setpiece.errors import DataError

__all__ = ["ROBOFLOW_FILE", "find_splits", "read_coco"]

ROBOFLOW_FILE = "_annotations.coco.json"
_INSTANCES = re.compile(r"instances_((train|valid|val|test)\d*)\.json")


def find_splits(root: Path) -> dict[str, Callable[[], AnnotatedSplit]]:
    """The splits of a COCO data set, each with its reader; empty if the folder has another layout."""
    files = _roboflow_files(root) or _instances_files(root)
    if not files:
        return {}
    # Every split has the classes of the train split; without one, those of the first split that exists.
    reference = next(files[split][0] for split in ("train", "valid", "test") if split in files)
    return {split: partial(read_coco, file, folders, reference) for split, (file, folders) in files.items()}


def _roboflow_files(root: Path) -> dict[str, tuple[Path, list[Path]]]:
    names = {"train": "train", "val": "valid", "valid": "valid", "test": "test"}
    return {
        split: (root / name / ROBOFLOW_FILE, [root / name])
        for name, split in names.items()
        if (root / name / ROBOFLOW_FILE).is_file()
    }


def _instances_files(root: Path) -> dict[str, tuple[Path, list[Path]]]:
    files: dict[str, tuple[Path, list[Path]]] = {}
    for path in sorted(root.glob("annotations/instances_*.json")):
        if not (found := _INSTANCES.fullmatch(path.name)):
            continue
        split = {"val": "valid"}.get(found[2], found[2])
        if split in files:
            raise DataError(
                f"Both {files[split][0].name} and {path.name} in {path.parent} annotate the split {split!r}; "
                "keep one of them."
            )
        names = [found[1], f"images/{found[1]}", found[2], f"images/{found[2]}", split, f"images/{split}", "images", ""]
        files[split] = (path, [root / name for name in names])
    return files


def read_coco(path: Path, folders: list[Path], reference: Path) -> AnnotatedSplit:
    """One COCO annotation file.

    Args:
        folders: where the images may be.
        reference: the annotation file that decides the classes: all its categories, less an unused root
            category (one without annotations that is another category's supercategory).

    Raises:
        DataError: the file is malformed, or refers to an image or a category that is not declared.
    """
    coco = _load(path)
    class_of_id = _classes(coco if reference == path else _load(reference), reference)
    _check_same_ids(coco, path, class_of_id, reference)
    label_of_id = {category_id: label for label, category_id in enumerate(class_of_id)}
    images = _images(coco, path, folders)
    defects = Defects()
    for annotation in coco["annotations"]:
        image, box = _box(annotation, path, images, label_of_id)
        image.boxes.append(box)
        if box.crowd:
            defects.add(Defect.CROWD, f"{image.path.name}, {box.name}")
    return AnnotatedSplit(path, tuple(class_of_id.values()), tuple(class_of_id), list(images.values()), defects)


def _load(path: Path) -> dict[str, Any]:
    try:
        coco = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON ({error}); export it again.") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(coco, dict) or not _is_list_of_objects(coco.get(key)):
            raise DataError(f"{path} is not a COCO annotation file: it has no list of objects named {key!r}.")
    return coco


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _classes(coco: dict[str, Any], path: Path) -> dict[int, str]:
    """Category id -> name, in the order of the file, less an unused root category."""
    categories = coco["categories"]
    for category in categories:
        if type(category.get("id")) is not int or not isinstance(category.get("name"), str):
            raise DataError(f"{path}: the category {category} needs an integer id and a name.")
    used = {used_id for item in coco["annotations"] if type(used_id := item.get("category_id")) is int}
    kept = [category for category in categories if category["id"] in used or not _is_parent(category, categories)]
    class_of_id: dict[int, str] = {}
    for category in kept:
        if category["id"] in class_of_id:
            raise DataError(f"{path} declares two categories of id {category['id']}; give each its own.")
        class_of_id[category["id"]] = category["name"]
    check_unique_classes(tuple(class_of_id.values()), path)
    return class_of_id


def _is_parent(category: dict[str, Any], categories: list[dict[str, Any]]) -> bool:
    return any(other.get("supercategory") == category["name"] for other in categories if other["id"] != category["id"])


def _check_same_ids(coco: dict[str, Any], path: Path, class_of_id: dict[int, str], reference: Path) -> None:
    for category in coco["categories"]:
        expected = class_of_id.get(category.get("id"), category.get("name"))
        if category.get("name") != expected:
            raise DataError(
                f"Category {category.get('id')} is {category.get('name')!r} in {path} and {expected!r} in {reference}; "
                "use the same categories in every split."
            )


def _images(coco: dict[str, Any], path: Path, folders: list[Path]) -> dict[int, AnnotatedImage]:
    images: dict[int, AnnotatedImage] = {}
    folder = _image_folder(coco, folders)
    for image in coco["images"]:
        image_id, name = image.get("id"), image.get("file_name")
        if type(image_id) is not int or not isinstance(name, str):
            raise DataError(f"{path}: the image {name or image_id!r} needs an integer id and a file_name.")
        if image_id in images:
            raise DataError(f"{path} declares two images of id {image_id}, the second {name}; ids must be unique.")
        height, width = image.get("height"), image.get("width")
        size = (height, width) if type(height) is int and type(width) is int else None
        images[image_id] = AnnotatedImage(image_id, folder / name, size, [])
    return images


def _image_folder(coco: dict[str, Any], folders: list[Path]) -> Path:
    """The first folder that has an image of the list, and the first of all if none has."""
    names = [str(image.get("file_name")) for image in coco["images"]]
    return next((folder for folder in folders if any((folder / name).is_file() for name in names)), folders[0])


def _box(
    annotation: dict[str, Any], path: Path, images: dict[int, AnnotatedImage], label_of_id: dict[int, int]
) -> tuple[AnnotatedImage, AnnotatedBox]:
    name = f"annotation {annotation.get('id')}"
    image_id, category_id = annotation.get("image_id"), annotation.get("category_id")
    if type(image_id) is not int or image_id not in images:
        raise DataError(f"{path}: {name} is for the image {image_id!r}, which the file does not declare.")
    if type(category_id) is not int or category_id not in label_of_id:
        raise DataError(f"{path}: {name} has the category {category_id!r}, which is not among the declared classes.")
    box_xywh = annotation.get("bbox")
    try:
        if not isinstance(box_xywh, list):
            raise TypeError("not a list")
        left, top, width, height = map(_coordinate, box_xywh)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: {name} has the bbox {box_xywh!r}, where [x, y, width, height] is due.") from error
    return images[image_id], AnnotatedBox(
        name=name,
        corners=(left, top, left + width, top + height),
        label=label_of_id[category_id],
        crowd=bool(annotation.get("iscrowd")),
        area=_area(annotation.get("area")),
    )


def _coordinate(value: Any) -> float:
    return math.nan if value is None else float(value)  # JavaScript writes NaN as null


def _area(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0 else None
