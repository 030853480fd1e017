"""COCO annotation files -> annotations. `coco_files` says where they and their images are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from setpiece.data.defects import Defect, Defects
from setpiece.data.formats.annotations import (
    AnnotatedBox,
    AnnotatedImage,
    AnnotatedSplit,
    check_class_names,
    read_text,
)
from setpiece.data.formats.coco_files import LISTS, is_annotation, split_files, whole_file
from setpiece.data.formats.fields import (
    area,
    coordinate,
    flat,
    short,
    side,
    truth,
    without_fraction,
    written_as_text,
)
from setpiece.data.formats.files import note_beside
from setpiece.data.formats.named_images import find_images
from setpiece.data.formats.outlines import hull
from setpiece.data.formats.splits import SPLITS, Readers, split_of
from setpiece.errors import DataError

__all__ = ["find_splits", "find_whole", "is_annotation", "read_coco"]

_IDS = {"id", "image_id", "category_id"}


def find_splits(root: Path) -> Readers:
    """The splits of a COCO data set, each with its reader; empty if the folder has another layout.

    Raises:
        DataError: two files annotate one split.
    """
    files = split_files(root)
    # Every split has the classes of the train split; without one, those of the first split that exists.
    ordered = [files[split][0] for split in SPLITS if split in files]
    return {split: partial(read_coco, file, folders, ordered, split) for split, (file, folders) in files.items()}


def find_whole(root: Path) -> AnnotatedSplit | None:
    """The one annotation file of a data set without splits, read; None if the folder has another layout.

    Raises:
        DataError: there are several such files, or the one is malformed.
    """
    found = whole_file(root)
    return None if found is None else read_coco(found[0], found[1], [found[0]])


def read_coco(path: Path, folders: list[Path], files: list[Path], split: str | None = None) -> AnnotatedSplit:
    """One COCO annotation file.

    Args:
        folders: where the images may be.
        files: the annotation files of all splits. The first decides the classes: all its categories, less an unused
            root category (one that no file annotates, and that is another category's supercategory).
        split: which the file annotates; None where there are no splits.

    Raises:
        DataError: the file is malformed, or refers to an image or a category that is not declared.
    """
    coco = _load(path)
    reference = files[0]
    class_of_id = _classes(coco if reference == path else _load(reference), files)
    _check_same_ids(coco, path, class_of_id, reference)
    label_of_id = {category_id: label for label, category_id in enumerate(class_of_id)}
    defects = Defects()
    images = _images(coco, path, folders, split, defects)
    _note_repeated_ids(coco, path, defects)
    for annotation in coco["annotations"]:
        image, name = _place(annotation, path, images)
        category_id = annotation.get("category_id")
        if type(category_id) is not int or category_id not in label_of_id:
            raise _no_class(category_id, coco, f"{path}: {name}", class_of_id, reference, path)
        image.boxes.append(_box(annotation, name, path, label_of_id[category_id]))
    read = {image.image_id: image for image in images.values()}
    own = [image.path for image in read.values() if len(files) == 1 or _is_of_one_split(image.path.parent, path)]
    note_beside(own, Defect.UNLISTED_IMAGE, defects)
    return AnnotatedSplit(
        path, tuple(class_of_id.values()), _numbers(list(class_of_id)), list(read.values()), defects, frozenset(files)
    )


def _is_of_one_split(folder: Path, annotations: Path) -> bool:
    """Whether a folder has images of one split alone, so that the annotation file should list them all."""
    return (
        folder.is_relative_to(annotations.parent) if split_of(annotations.parent.name) else bool(split_of(folder.name))
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        coco = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON ({error}); export it again.") from error
    for key in LISTS:
        if not isinstance(coco, dict) or not _is_list_of_objects(coco.get(key)):
            raise DataError(f"{path} is not a COCO annotation file: it has no list of objects named {key!r}.")
        for item in coco[key]:
            item |= {name: without_fraction(item[name]) for name in _IDS & item.keys()}
    return coco


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _classes(coco: dict[str, Any], files: list[Path]) -> dict[int, str]:
    """Category id -> name, in the order of the first file, less an unused root category."""
    path, *others = files
    categories = coco["categories"]
    for category in categories:
        number, name = category.get("id"), category.get("name")
        if type(number) is int and isinstance(name, int | float):
            raise DataError(f"{path}: the category {short(category)} has a number as its name: write it in quotes.")
        if type(number) is not int or not isinstance(name, str):
            text = written_as_text(number)
            raise DataError(f"{path}: the category {short(category)} needs an integer id and a name{text}.")
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
    check_class_names(tuple(class_of_id.values()), path)
    return class_of_id


def _used(coco: dict[str, Any]) -> Iterator[int]:
    return (used_id for item in coco["annotations"] if type(used_id := item.get("category_id")) is int)


def _is_parent(category: dict[str, Any], categories: list[dict[str, Any]]) -> bool:
    return any(other.get("supercategory") == category["name"] for other in categories if other["id"] != category["id"])


def _check_same_ids(coco: dict[str, Any], path: Path, class_of_id: dict[int, str], reference: Path) -> None:
    for category in coco["categories"]:
        number = category.get("id")
        expected = class_of_id.get(number) if type(number) is int else None
        if expected is not None and category.get("name") != expected:
            raise DataError(
                f"Category {number} is {category.get('name')!r} in {path} and {expected!r} in {reference}; "
                "use the same categories in every split."
            )


def _images(
    coco: dict[str, Any], path: Path, folders: list[Path], split: str | None, defects: Defects
) -> dict[int, AnnotatedImage]:
    """By their ids; two ids of one file have the same record."""
    images: dict[int, AnnotatedImage] = {}
    of_file: dict[Path | str, AnnotatedImage] = {}
    for image in coco["images"]:
        if type(image.get("id")) is not int or not isinstance(image.get("file_name"), str):
            name = image.get("file_name") or repr(image.get("id"))
            text = written_as_text(image.get("id"))
            raise DataError(f"{path}: the image {name} needs an integer id and a file_name{text}.")
    numbers = _numbers([image["id"] for image in coco["images"]])
    names = [_file_name(image) for image in coco["images"]]
    for image, name, file in zip(coco["images"], names, find_images(names, folders, split), strict=True):
        image_id = image["id"]
        if image_id in images:
            raise DataError(f"{path} declares two images of id {image_id}, the second {name}; ids must be unique.")
        height, width = side(image.get("height")), side(image.get("width"))
        size = (height, width) if height and width else None
        same = file.path if os.path.isfile(file.path) else name  # of names that are too long, paths show only the ends
        if same in of_file:
            defects.add(Defect.REPEATED_IMAGE, name)
        record = AnnotatedImage(numbers[len(images)], file.path, size, [], notes=file.notes)
        images[image_id] = of_file.setdefault(same, record)
    return images


def _file_name(image: dict[str, Any]) -> str:
    name: str = image["file_name"]
    if not name.lower().startswith("data:image/"):
        return name
    return f"image {image['id']}, embedded in the JSON: save it as a file, and write the file's name into file_name"


def _numbers(ids: list[int]) -> tuple[int, ...]:
    """The ids, or numbers from 1 where an id is too large for what evaluates: it counts in 32 bits."""
    return tuple(ids) if all(abs(each) < 2**31 for each in ids) else tuple(range(1, len(ids) + 1))


def _note_repeated_ids(coco: dict[str, Any], path: Path, defects: Defects) -> None:
    seen: set[int] = set()
    for annotation in coco["annotations"]:
        number = annotation.get("id")
        if type(number) is int:
            if number in seen:
                defects.add(Defect.REPEATED_ID, f"{path.name}, annotation {number}")
            seen.add(number)


def _place(annotation: dict[str, Any], path: Path, images: dict[int, AnnotatedImage]) -> tuple[AnnotatedImage, str]:
    """The image of an annotation, and what a person finds the annotation by."""
    name, image_id = f"annotation {annotation.get('id')}", annotation.get("image_id")
    if type(image_id) is not int or image_id not in images:
        raise DataError(
            f"{path}: {name} is for the image {short(image_id)}, which the file does not declare"
            f"{written_as_text(image_id)}; add it to `images`, or delete its annotations."
        )
    return images[image_id], name


def _no_class(
    category_id: Any, coco: dict[str, Any], where: str, class_of_id: dict[int, str], reference: Path, path: Path
) -> DataError:
    """Why the category of an annotation is none of the classes."""
    own = next((item.get("name") for item in coco["categories"] if item.get("id") == category_id), None)
    if own is None or reference == path:
        return DataError(
            f"{where} has the category {short(category_id)}, which is not among the {len(class_of_id)} of `categories`"
            f"{written_as_text(category_id)}; add it there, or delete what is annotated with it."
        )
    there = next((number for number, name in class_of_id.items() if name == own), None)
    if there is not None:
        return DataError(
            f"{where} is of the class {own!r}, which has the id {category_id} there and {there} in {reference}; give "
            "each class the same id in every split."
        )
    return DataError(
        f"{where} is of the class {own!r}, which {reference} does not declare: add the class there, or remove what is "
        "annotated with it."
    )


def _box(annotation: dict[str, Any], name: str, path: Path, label: int) -> AnnotatedBox:
    box_xywh = annotation.get("bbox")
    crowd = truth(annotation.get("iscrowd"))
    if crowd is None:
        raise DataError(f"{path}: {name} has the iscrowd {short(annotation['iscrowd'])}: write 0 or 1.")
    notes = (Defect.CROWD,) if crowd else ()
    written = isinstance(box_xywh, list) and any(box_xywh)
    if not written and (corners := hull(flat(annotation.get("segmentation")))) is not None:
        notes = (*notes, Defect.HULL_BOX)
    else:
        corners = _corners(box_xywh, name, path)
    return AnnotatedBox(name, corners, label, crowd, area(annotation.get("area")), notes)


def _corners(box_xywh: Any, name: str, path: Path) -> tuple[float, float, float, float]:
    try:
        if not isinstance(box_xywh, list):
            raise TypeError("not a list")
        left, top, width, height = map(coordinate, box_xywh)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: {name} has the bbox {short(box_xywh)}, where [x, y, width, height] is due."
        ) from error
    return left, top, left + width, top + height
