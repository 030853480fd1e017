"""Pascal VOC folders: lists of names in `ImageSets/Main`, boxes in `Annotations`, images in `JPEGImages`.

Coordinates are used as published. VOC itself counts pixels from 1, most tools that write its layout from 0, and
nothing in a file says which; the difference is one pixel. Objects marked `difficult` are treated as crowd: kept
for evaluation, where they are ignored, and left out of training. The classes are the names that occur in
`Annotations`, sorted; classes and images are numbered from 1, images in sorted order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from setpiece.data.defects import Defect, Defects
from setpiece.data.formats.annotations import AnnotatedBox, AnnotatedImage, AnnotatedSplit, images_under, read_text
from setpiece.errors import DataError

__all__ = ["find_splits", "read_voc"]


_LISTS = {"train": "train", "val": "valid", "valid": "valid", "test": "test"}
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def find_splits(root: Path) -> dict[str, Callable[[], AnnotatedSplit]]:
    """The splits of a VOC data set, each with its reader; empty if the folder has another layout."""
    if not (root / "Annotations").is_dir():
        return {}
    return {
        split: partial(read_voc, root, path)
        for name, split in _LISTS.items()
        if (path := root / "ImageSets" / "Main" / f"{name}.txt").is_file()
    }


def read_voc(root: Path, name_list: Path) -> AnnotatedSplit:
    """One split: the images that the list names.

    Raises:
        DataError: an annotation file is malformed.
    """
    objects = {path.stem: _parse(path) for path in sorted((root / "Annotations").glob("*.xml"))}
    classes = sorted({_text(item, "name") for tree in objects.values() for item in tree.iter("object")})
    label_of_class = {name: label for label, name in enumerate(classes)}
    files = {path.stem: path for path in images_under(root / "JPEGImages")}
    defects = Defects()
    images = []
    for image_id, name in enumerate(_names(name_list), start=1):
        path = files.get(name, root / "JPEGImages" / f"{name}.jpg")
        if name not in objects:
            defects.add(Defect.UNANNOTATED_IMAGE, name)
            continue
        images.append(_image(image_id, path, root / "Annotations" / f"{name}.xml", objects[name], label_of_class))
        for box in images[-1].boxes:
            if box.crowd:
                defects.add(Defect.DIFFICULT, f"{path.name}, {box.name}")
    return AnnotatedSplit(name_list, tuple(classes), tuple(range(1, len(classes) + 1)), images, defects)


def _names(name_list: Path) -> list[str]:
    return sorted({line.strip() for line in read_text(name_list).splitlines() if line.strip()})


def _parse(path: Path) -> ElementTree.Element:
    try:
        tree = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, OSError) as error:
        raise DataError(f"{path} is not valid XML ({error}); export it again.") from error
    if not all(_text(item, "name") for item in tree.iter("object")):
        raise DataError(f"{path} has an object without a name; give it one or remove it.")
    return tree


def _image(
    image_id: int, path: Path, source: Path, tree: ElementTree.Element, label_of_class: dict[str, int]
) -> AnnotatedImage:
    height, width = (_text(tree, f"size/{side}") for side in ("height", "width"))
    # Some tools write a size of 0 where they did not read the image.
    size = (int(height), int(width)) if height.isdecimal() and width.isdecimal() and int(height) else None
    boxes = []
    for number, item in enumerate(tree.iter("object"), start=1):
        name = _text(item, "name")
        try:
            left, top, right, bottom = (float(_text(item, f"bndbox/{side}")) for side in _SIDES)
        except ValueError as error:
            raise DataError(f"{source}: object {number} ({name}) has no bndbox of four numbers.") from error
        crowd = _text(item, "difficult") == "1"
        boxes.append(AnnotatedBox(f"object {number} ({name})", (left, top, right, bottom), label_of_class[name], crowd))
    return AnnotatedImage(image_id, path, size, boxes)


def _text(item: ElementTree.Element, key: str) -> str:
    return item.findtext(key, "").strip()
