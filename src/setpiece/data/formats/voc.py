"""Pascal VOC folders: one XML file per image. Splits are lists of names, or folders.

```
ImageSets/Main/train.txt, Annotations/a.xml, JPEGImages/a.jpg       (VOC's own)
train/a.xml, train/a.jpg      or      Annotations/train/a.xml, images/train/a.jpg      (no lists)
```

Coordinates are used as published. VOC itself counts pixels from 1, most tools that write its layout from 0, and
nothing in a file says which; the difference is one pixel. Objects marked `difficult` are treated as crowd: kept
for evaluation, where they are ignored, and left out of training. The classes are the names that occur in the files of
all splits, sorted; classes and images are numbered from 1, images in sorted order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from setpiece.data.defects import Defect, Defects
from setpiece.data.formats.annotations import AnnotatedBox, AnnotatedImage, AnnotatedSplit, read_text
from setpiece.data.formats.files import IMAGE_SUFFIXES, composed, files_under, find_images, note_beside, visible
from setpiece.data.formats.splits import Readers, is_plain, named_after, split_of
from setpiece.data.formats.xml import read_xml
from setpiece.errors import DataError

__all__ = ["find_splits", "find_whole", "read_voc"]

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_XML_FOLDERS = {"annotations", "annotation", "xml", "xmls", "labels"}
_IMAGE_FOLDERS = {"jpegimages", "images", "imgs", "image", "img"}


def find_splits(root: Path) -> Readers:
    """The splits of a VOC data set, each with its reader; empty if the folder has another layout.

    Raises:
        DataError: two lists name one split.
    """
    lists = _lists(root)
    if lists and any(folder.name.lower() in _XML_FOLDERS for folder in visible(root)):
        listed = {split: _listed(root, _names(path)) for split, path in lists.items()}
        images = next((f for f in visible(root) if f.name.lower() in _IMAGE_FOLDERS), root)
        return {split: partial(read_voc, path, listed[split], listed, [images]) for split, path in lists.items()}
    in_folders: dict[tuple[str, bool], dict[str, Path | None]] = {}
    for path in _xml_files(root):
        name = path.relative_to(root).with_suffix("")
        if part := next((part for part in name.parts[:-1] if split_of(part)), None):
            in_folders.setdefault((split_of(part) or "", is_plain(part)), {})[str(name)] = path
    # Beside `train` nobody means `old_train`.
    by_split = {split: in_folders.get((split, True)) or in_folders[split, False] for split, _ in in_folders}
    return {
        split: partial(read_voc, root, files, by_split, _image_folders(root, split))
        for split, files in by_split.items()
    }


def find_whole(root: Path) -> AnnotatedSplit | None:
    """The XML files of a data set without splits, read; None if the folder has another layout.

    Raises:
        DataError: an annotation file is malformed.
    """
    found = _xml_files(root)
    lists = [path for path in visible(root / "ImageSets" / "Main") if path.suffix.lower() == ".txt"]
    source = root
    files: dict[str, Path | None] = {str(path.relative_to(root).with_suffix("")): path for path in found}
    if found and len(lists) == 1:  # one list of all images, as default.txt
        source, files = lists[0], _listed(root, _names(lists[0]))
    images = [folder for folder in visible(root) if folder.name.lower() in _IMAGE_FOLDERS]
    return read_voc(source, files, {"": files}, [*images, root]) if found else None


def _lists(root: Path) -> dict[str, Path]:
    """The lists of `ImageSets/Main`, by split; `trainval` is the train split where there is no other."""
    found: dict[str, Path] = {}
    paths = [path for path in visible(root / "ImageSets" / "Main") if path.suffix.lower() == ".txt"]
    for path in paths:
        split = split_of(path.stem)
        if split is None or "_" in path.stem:  # VOC also has lists of every class: dog_train.txt
            continue
        if split in found:
            raise DataError(f"Both {found[split]} and {path} list the split {split!r}; keep one of them.")
        found[split] = path
    both = next((path for path in paths if path.stem.lower() == "trainval"), None)
    return {"train": both, **found} if both is not None else found


def _names(name_list: Path) -> list[str]:
    return sorted({line.strip().replace("\\", "/") for line in read_text(name_list).splitlines() if line.strip()})


def _listed(root: Path, names: Iterable[str]) -> dict[str, Path | None]:
    """Each listed image's name without suffix, and its XML file; None where there is none."""
    folder = next((path for path in visible(root) if path.name.lower() in _XML_FOLDERS), root)
    xml = [path for path in files_under(folder) if path.suffix.lower() == ".xml"]
    by_name = {composed(path.stem): path for path in xml}
    by_name |= {composed(str(path.relative_to(folder).with_suffix(""))): path for path in xml}
    files: dict[str, Path | None] = {}
    for name in names:
        stem = name.rsplit(".", 1)[0] if f".{name.rsplit('.', 1)[-1].lower()}" in {".xml", *IMAGE_SUFFIXES} else name
        ends = [composed(stem), composed(stem.rsplit("/", 1)[-1])]
        files[stem] = next((by_name[end] for end in ends if end in by_name), None)
    return files


def _xml_files(root: Path) -> list[Path]:
    """VOC's files in the folder, in its folders for annotations, and in those of splits."""
    here = visible(root)
    folders = [path for path in here if path.is_dir() and (path.name.lower() in _XML_FOLDERS or split_of(path.name))]
    files = [*here, *(path for folder in folders for path in files_under(folder))]
    return [path for path in files if path.suffix.lower() == ".xml" and path.is_file() and _is_voc(path)]


def _is_voc(path: Path) -> bool:
    with path.open("rb") as file:
        return re.search(rb"<annotation[\s>]", file.read(4096)) is not None


def _image_folders(root: Path, split: str) -> list[Path]:
    return [*(path for path in named_after(split, visible(root)) if path.is_dir()), root]


def read_voc(
    source: Path, files: dict[str, Path | None], all_files: dict[str, dict[str, Path | None]], folders: list[Path]
) -> AnnotatedSplit:
    """One split.

    Args:
        source: the list or folder to name in messages.
        files: a name of each image, without suffix -> its XML file, None where there is none.
        all_files: the same for every split; the classes are those of all.
        folders: where the images may be.

    Raises:
        DataError: an annotation file is malformed.
    """
    trees = {path: read_xml(path) for of_split in all_files.values() for path in of_split.values() if path is not None}
    classes = sorted({_class(item, path) for path, tree in trees.items() for item in tree.iter("object")})
    label_of_class = {name: label for label, name in enumerate(classes)}
    defects = Defects()
    names = sorted(files)
    images = []
    for image_id, (name, found) in enumerate(zip(names, find_images(names, folders), strict=True), start=1):
        xml = files[name]
        if xml is None:
            defects.add(Defect.UNANNOTATED_IMAGE, name)
            continue
        tree = trees[xml]
        if not found.path.is_file() and (own := _text(tree, "filename")):
            (by_own_name,) = find_images([own], folders)
            found = by_own_name if by_own_name.path.is_file() else found
        notes = () if found.path.stem == PurePosixPath(name).name else found.notes  # no guess: it differs in its suffix
        size, boxes = _size(tree), _boxes(tree, xml, label_of_class)
        images.append(AnnotatedImage(image_id, found.path, size, boxes, notes=notes))
    if source.is_dir():
        note_beside((image.path for image in images), Defect.UNANNOTATED_IMAGE, defects)
    return AnnotatedSplit(source, tuple(classes), tuple(range(1, len(classes) + 1)), images, defects)


def _class(item: Element, path: Path) -> str:
    if not (name := _text(item, "name")):
        raise DataError(f"{path} has an object without a name; give it one or remove it.")
    return name


def _size(tree: Element) -> tuple[int, int] | None:
    height, width = (_text(tree, f"size/{side}") for side in ("height", "width"))
    # Some tools write a size of 0 where they did not read the image.
    return (int(height), int(width)) if _is_count(height) and _is_count(width) and int(height) else None


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _boxes(tree: Element, path: Path, label_of_class: dict[str, int]) -> list[AnnotatedBox]:
    boxes = []
    for number, item in enumerate(tree.iter("object"), start=1):
        name = _text(item, "name")
        try:
            left, top, right, bottom = (float(_text(item, f"bndbox/{side}")) for side in _SIDES)
        except ValueError as error:
            raise DataError(f"{path}: object {number} ({name}) has no bndbox of four numbers.") from error
        crowd = _text(item, "difficult") == "1"
        notes = (Defect.DIFFICULT,) if crowd else ()
        corners = (left, top, right, bottom)
        boxes.append(AnnotatedBox(f"object {number} ({name})", corners, label_of_class[name], crowd, notes=notes))
    return boxes


def _text(item: Element, key: str) -> str:
    return item.findtext(key, "").strip()
