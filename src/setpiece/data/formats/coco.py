"""COCO annotation files, in Roboflow's folders, in COCO's own, and alone.

```
train/_annotations.coco.json     the images beside it           (Roboflow; also valid/ or val/, test/)
annotations/instances_train2017.json   the images in train2017/, images/train2017/, train/, images/ ...   (COCO)
annotations/instances_default.json, result.json   the images in images/default/, images/, ...   (one file, no split)
```

Names of splits may be spelt in any way that `split_of` knows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from setpiece.data.defects import Defect
from setpiece.data.formats.annotations import (
    AnnotatedBox,
    AnnotatedImage,
    AnnotatedSplit,
    check_unique_classes,
    read_text,
)
from setpiece.data.formats.files import find_images, visible
from setpiece.data.formats.outlines import hull
from setpiece.data.formats.splits import SPLITS, Readers, split_of
from setpiece.errors import DataError

__all__ = ["ROBOFLOW_FILE", "find_splits", "find_whole", "read_coco"]

ROBOFLOW_FILE = "_annotations.coco.json"
_INSTANCES = "instances_"
_LISTS = ("images", "annotations", "categories")


def find_splits(root: Path) -> Readers:
    """The splits of a COCO data set, each with its reader; empty if the folder has another layout.

    Raises:
        DataError: two files annotate one split.
    """
    files = _roboflow_files(root) or _instances_files(root) or _other_files(root)
    # Every split has the classes of the train split; without one, those of the first split that exists.
    ordered = [files[split][0] for split in SPLITS if split in files]
    return {split: partial(read_coco, file, folders, ordered) for split, (file, folders) in files.items()}


def find_whole(root: Path) -> AnnotatedSplit | None:
    """The one annotation file of a data set without splits, read; None if the folder has another layout.

    Raises:
        DataError: there are several such files, or the one is malformed.
    """
    found = [path for path in _json_files(root) if _is_coco(path)]
    if not found:
        return None
    if len(found) > 1:
        raise DataError(
            f"{found[0]} and {found[1].name} are annotation files, and neither is named after a split; rename them to "
            "instances_train.json and instances_valid.json, or keep one."
        )
    stem = found[0].stem.removeprefix(_INSTANCES)
    folders = [root / "images" / stem, root / stem, root / "images", root / "data", found[0].parent, root]
    return read_coco(found[0], folders, found)


def _roboflow_files(root: Path) -> dict[str, tuple[Path, list[Path]]]:
    folders = [folder for folder in visible(root) if (folder / ROBOFLOW_FILE).is_file()]
    return _by_split([(folder.name, folder / ROBOFLOW_FILE, [folder]) for folder in folders])


def _instances_files(root: Path) -> dict[str, tuple[Path, list[Path]]]:
    named = [path for path in _json_files(root) if path.stem.lower().startswith(_INSTANCES)]
    return _by_split([(path.stem[len(_INSTANCES) :], path, []) for path in named], root)


def _other_files(root: Path) -> dict[str, tuple[Path, list[Path]]]:
    """Files that are called after their split, as `train.json`, or lie alone in its folder."""
    named: list[tuple[str, Path, list[Path]]] = [
        (path.stem, path, []) for path in _json_files(root) if split_of(path.stem) and _is_coco(path)
    ]
    if named:
        return _by_split(named, root)
    folders = [folder for folder in visible(root) if folder.is_dir() and split_of(folder.name)]
    alone = [(folder, [path for path in _json_files(folder) if _is_coco(path)]) for folder in folders]
    return _by_split([(folder.name, files[0], [folder]) for folder, files in alone if len(files) == 1])


def _json_files(root: Path) -> list[Path]:
    """Those in the folder itself, and in its folder for annotations."""
    here = visible(root)
    folders = [folder for folder in here if folder.name.lower() in ("annotations", "annotation") and folder.is_dir()]
    files = [*here, *(path for folder in folders for path in visible(folder))]
    return [path for path in files if path.suffix.lower() == ".json" and path.is_file()]


def _is_coco(path: Path) -> bool:
    try:
        text = read_text(path)
    except DataError:
        return False
    return all(f'"{key}"' in text for key in _LISTS)


def _by_split(
    files: list[tuple[str, Path, list[Path]]], root: Path | None = None
) -> dict[str, tuple[Path, list[Path]]]:
    """(name of a split, annotation file, image folders) -> the same by split; the usual folders where a root is given.

    Raises:
        DataError: two files annotate one split.
    """
    by_split: dict[str, tuple[Path, list[Path]]] = {}
    for name, path, folders in files:
        split = split_of(name)
        if split is None:
            continue
        if split in by_split:
            first = by_split[split][0]
            second = path.name if path.parent == first.parent else path
            raise DataError(f"Both {first} and {second} annotate the split {split!r}; keep one of them.")
        by_split[split] = path, folders if root is None else _usual_folders(root, name, split)
    return by_split


def _usual_folders(root: Path, name: str, split: str) -> list[Path]:
    """Where the images of a split may be: a folder of its name, then one named after the split in another way."""
    homes = [root, root / "images", root / "data"]
    alike = [folder for home in homes for folder in visible(home) if folder.is_dir() and split_of(folder.name) == split]
    exact = [root / name, root / "images" / name]
    return [*exact, *alike, root / split, root / "images" / split, root / "images", root / "data", root]


def read_coco(path: Path, folders: list[Path], files: list[Path]) -> AnnotatedSplit:
    """One COCO annotation file.

    Args:
        folders: where the images may be.
        files: the annotation files of all splits. The first decides the classes: all its categories, less an unused
            root category (one that no file annotates, and that is another category's supercategory).

    Raises:
        DataError: the file is malformed, or refers to an image or a category that is not declared.
    """
    coco = _load(path)
    reference = files[0]
    class_of_id = _classes(coco if reference == path else _load(reference), files)
    _check_same_ids(coco, path, class_of_id, reference)
    label_of_id = {category_id: label for label, category_id in enumerate(class_of_id)}
    images = _images(coco, path, folders)
    for annotation in coco["annotations"]:
        image, name = _place(annotation, path, images)
        label = _label(annotation, coco, path, label_of_id, reference)
        image.boxes.append(_box(annotation, name, path, label))
    return AnnotatedSplit(path, tuple(class_of_id.values()), tuple(class_of_id), list(images.values()))


def _load(path: Path) -> dict[str, Any]:
    try:
        coco = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON ({error}); export it again.") from error
    for key in _LISTS:
        if not isinstance(coco, dict) or not _is_list_of_objects(coco.get(key)):
            raise DataError(f"{path} is not a COCO annotation file: it has no list of objects named {key!r}.")
    return coco


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _classes(coco: dict[str, Any], files: list[Path]) -> dict[int, str]:
    """Category id -> name, in the order of the first file, less an unused root category."""
    path, *others = files
    categories = coco["categories"]
    for category in categories:
        if type(category.get("id")) is not int or not isinstance(category.get("name"), str):
            raise DataError(f"{path}: the category {category} needs an integer id and a name.")
    used = set(_used(coco))
    if any(category["id"] not in used and _is_parent(category, categories) for category in categories):
        used.update(used_id for other in others for used_id in _used(_load(other)))
    class_of_id: dict[int, str] = {}
    for category in categories:
        if category["id"] not in used and _is_parent(category, categories):
            continue
        if category["id"] in class_of_id:
            raise DataError(f"{path} declares two categories of id {category['id']}; give each its own.")
        class_of_id[category["id"]] = category["name"]
    check_unique_classes(tuple(class_of_id.values()), path)
    return class_of_id


def _used(coco: dict[str, Any]) -> Iterator[int]:
    return (used_id for item in coco["annotations"] if type(used_id := item.get("category_id")) is int)


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
    for image in coco["images"]:
        if type(image.get("id")) is not int or not isinstance(image.get("file_name"), str):
            name = image.get("file_name") or repr(image.get("id"))
            raise DataError(f"{path}: the image {name} needs an integer id and a file_name.")
    found = find_images([image["file_name"] for image in coco["images"]], folders)
    for image, file in zip(coco["images"], found, strict=True):
        image_id, name = image["id"], image["file_name"]
        if image_id in images:
            raise DataError(f"{path} declares two images of id {image_id}, the second {name}; ids must be unique.")
        height, width = image.get("height"), image.get("width")
        size = (height, width) if type(height) is int and type(width) is int else None
        images[image_id] = AnnotatedImage(image_id, file.path, size, [], notes=file.notes)
    return images


def _place(annotation: dict[str, Any], path: Path, images: dict[int, AnnotatedImage]) -> tuple[AnnotatedImage, str]:
    """The image of an annotation, and what a person finds the annotation by."""
    name, image_id = f"annotation {annotation.get('id')}", annotation.get("image_id")
    if type(image_id) is not int or image_id not in images:
        raise DataError(f"{path}: {name} is for the image {image_id!r}, which the file does not declare.")
    return images[image_id], name


def _label(
    annotation: dict[str, Any], coco: dict[str, Any], path: Path, label_of_id: dict[int, int], reference: Path
) -> int:
    category_id = annotation.get("category_id")
    if type(category_id) is int and category_id in label_of_id:
        return label_of_id[category_id]
    where = f"{path}: annotation {annotation.get('id')}"
    own = next((item.get("name") for item in coco["categories"] if item.get("id") == category_id), None)
    if own is not None and reference != path:
        raise DataError(
            f"{where} is of the class {own!r}, which {reference} does not declare: add the class there, or remove what "
            "is annotated with it."
        )
    raise DataError(f"{where} has the category {category_id!r}, which is not among the declared classes.")


def _box(annotation: dict[str, Any], name: str, path: Path, label: int) -> AnnotatedBox:
    box_xywh = annotation.get("bbox")
    crowd = bool(annotation.get("iscrowd"))
    notes = (Defect.CROWD,) if crowd else ()
    written = isinstance(box_xywh, list) and any(box_xywh)
    if not written and (corners := hull(annotation.get("segmentation"))) is not None:
        notes = (*notes, Defect.HULL_BOX)
    else:
        corners = _corners(box_xywh, name, path)
    return AnnotatedBox(name, corners, label, crowd, _area(annotation.get("area")), notes)


def _corners(box_xywh: Any, name: str, path: Path) -> tuple[float, float, float, float]:
    try:
        if not isinstance(box_xywh, list):
            raise TypeError("not a list")
        left, top, width, height = map(_coordinate, box_xywh)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: {name} has the bbox {_short(box_xywh)}, where [x, y, width, height] is due."
        ) from error
    return left, top, left + width, top + height


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]} …"


def _coordinate(value: Any) -> float:
    return math.nan if value is None else float(value)  # JavaScript writes NaN as null


def _area(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0 else None
    except OverflowError:
        return None
