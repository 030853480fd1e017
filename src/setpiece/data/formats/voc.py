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
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from xml.etree.ElementTree import Element

from setpiece.data.defects import Defect, Defects
from setpiece.data.formats.annotations import AnnotatedBox, AnnotatedImage, AnnotatedSplit, encoding_of, read_text
from setpiece.data.formats.files import (
    IMAGE_SUFFIXES,
    NamedImage,
    composed,
    files_under,
    find_images,
    note_beside,
    visible,
)
from setpiece.data.formats.splits import Readers, is_plain, named_after, split_of
from setpiece.data.formats.xml import read_xml
from setpiece.errors import DataError

__all__ = ["find_splits", "find_whole", "is_annotation", "read_voc"]

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_XML_FOLDERS = {"annotations", "annotation", "xml", "xmls", "labels"}
_IMAGE_FOLDERS = {"jpegimages", "images", "imgs", "image", "img"}


Xml = Path | tuple[Defect, str]  # the XML file of an image, or what to count where it has none


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
    in_folders: dict[tuple[str, bool], dict[str, Xml]] = {}
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
    files: dict[str, Xml] = {str(path.relative_to(root).with_suffix("")): path for path in found}
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


def _listed(root: Path, names: Iterable[str]) -> dict[str, Xml]:
    """Each listed image's name without suffix, and its XML file, or why it has none.

    A file that lies elsewhere than the list says is taken if it is the only one of the name, and its folders are not
    other ones.
    """
    folder = next((path for path in visible(root) if path.name.lower() in _XML_FOLDERS), root)
    by_stem: dict[str, list[Path]] = {}
    for path in files_under(folder):
        if path.suffix.lower() == ".xml":
            by_stem.setdefault(composed(path.stem), []).append(path)
    fitting: dict[str, list[Path]] = {}
    for name in names:
        stem = name.rsplit(".", 1)[0] if f".{name.rsplit('.', 1)[-1].lower()}" in {".xml", *IMAGE_SUFFIXES} else name
        alike = by_stem.get(composed(stem.rsplit("/", 1)[-1]), [])
        exact = [path for path in alike if _folders(path.relative_to(folder)) == _folders(PurePosixPath(stem))]
        fitting[stem] = exact or [path for path in alike if _agree(path.relative_to(folder), PurePosixPath(stem))]
    claims = Counter(paths[0] for paths in fitting.values() if len(paths) == 1)
    return {name: _decide(name, paths, claims) for name, paths in fitting.items()}


def _decide(name: str, fitting: list[Path], claims: Counter[Path]) -> Xml:
    if not fitting:
        return Defect.UNANNOTATED_IMAGE, name
    if len(fitting) > 1:
        return Defect.AMBIGUOUS_NAME, f"{name}: {fitting[0]} or {fitting[1]}"
    if claims[fitting[0]] > 1:
        return Defect.AMBIGUOUS_NAME, f"{name}: {fitting[0]}, which another name fits, too"
    return fitting[0]


def _folders(path: PurePath) -> tuple[str, ...]:
    """The folders of an image or its XML file below those of the layout, as `Annotations`; splits in one spelling."""
    folders = [composed(folder).lower() for folder in path.parent.parts]
    layout = [place for place, folder in enumerate(folders, start=1) if folder in _XML_FOLDERS | _IMAGE_FOLDERS]
    return tuple(split_of(folder) or folder for folder in folders[max(layout, default=0) :])


def _agree(one: PurePath, other: PurePath) -> bool:
    """Whether two files may belong together by their folders: those of one are among those of the other."""
    fewer, more = sorted((_folders(one), _folders(other)), key=len)
    return any(more[start : start + len(fewer)] == fewer for start in range(len(more) - len(fewer) + 1))


def _xml_files(root: Path) -> list[Path]:
    """VOC's files in the folder, in its folders for annotations, and in those of splits."""
    here = visible(root)
    folders = [path for path in here if path.is_dir() and (path.name.lower() in _XML_FOLDERS or split_of(path.name))]
    files = [*here, *(path for folder in folders for path in files_under(folder))]
    return [path for path in files if path.suffix.lower() == ".xml" and is_annotation(path)]


def is_annotation(path: Path) -> bool:
    """Whether a file is an annotation file of Pascal VOC, or one of its lists of images.

    Its lists of single classes are none, nor is `trainval`, which other lists divide.
    """
    if path.suffix.lower() == ".txt" and path.parent.name.lower() == "main":
        return split_of(path.stem.rsplit("_", 1)[-1]) is None and not path.stem.lower().endswith("trainval")
    if path.suffix.lower() != ".xml" or not path.is_file():
        return False
    with path.open("rb") as file:
        content = file.read(4096)
    return re.search(r"<annotation[\s>]", content.decode(encoding_of(content), errors="replace")) is not None


def _image_folders(root: Path, split: str) -> list[Path]:
    return [*(path for path in named_after(split, visible(root)) if path.is_dir()), root]


def read_voc(
    source: Path, files: dict[str, Xml], all_files: dict[str, dict[str, Xml]], folders: list[Path]
) -> AnnotatedSplit:
    """One split.

    Args:
        source: the list or folder to name in messages.
        files: a name of each image, without suffix -> its XML file.
        all_files: the same for every split; the classes are those of all.
        folders: where the images may be.

    Raises:
        DataError: an annotation file is malformed.
    """
    xmls = {xml for of_split in all_files.values() for xml in of_split.values() if isinstance(xml, Path)}
    trees = {path: read_xml(path) for path in sorted(xmls)}
    classes = sorted({_class(item, path) for path, tree in trees.items() for item in tree.iter("object")})
    label_of_class = {name: label for label, name in enumerate(classes)}
    defects = Defects()
    names = sorted(files)
    images = []
    own_names = {name: _text(trees[xml], "filename") for name in names if isinstance(xml := files[name], Path)}
    found_images = _find_images(own_names, folders)
    for image_id, name in enumerate(names, start=1):
        xml = files[name]
        if not isinstance(xml, Path):
            defects.add(*xml)
            continue
        tree, found = trees[xml], found_images[name]
        size, boxes = _size(tree), _boxes(tree, xml, label_of_class)
        images.append(AnnotatedImage(image_id, found.path, size, boxes, notes=found.notes))
    if source.is_dir():
        note_beside((image.path for image in images), Defect.UNANNOTATED_IMAGE, defects)
    ids = tuple(range(1, len(classes) + 1))
    return AnnotatedSplit(source, tuple(classes), ids, images, defects, frozenset([source, *trees]))


def _find_images(own_names: dict[str, str], folders: Sequence[Path]) -> dict[str, NamedImage]:
    """The image of each XML file: of its name, or else of the name that the file says, where no other file has it.

    One whose folders are other ones is another image of the same name.

    Args:
        own_names: name of an XML file without suffix -> the image file's name that stands in it.
    """

    def find(asked: dict[str, str]) -> dict[str, NamedImage]:
        images = zip(asked, find_images(list(asked.values()), folders), strict=True)
        return {name: _of_own_folder(name, image, folders) for name, image in images}

    found = find({name: name for name in own_names})
    by_own_name = find({name: own for name, own in own_names.items() if own and not found[name].path.is_file()})
    claims = Counter(image.path for image in (found | by_own_name).values())
    for name, image in by_own_name.items():
        if image.path.is_file():
            other = f"{own_names[name]}: {image.path}, which another XML file names, too"
            alone = claims[image.path] == 1
            found[name] = image if alone else NamedImage(found[name].path, ((Defect.AMBIGUOUS_NAME, other),))
    return found


def _of_own_folder(name: str, image: NamedImage, folders: Sequence[Path]) -> NamedImage:
    """The image, without a note where the name differs in its suffix alone; a missing one where it is another's."""
    if not image.path.is_file():
        return image
    root = folders[-1]  # the others are in it
    if image.path.is_relative_to(root) and not _agree(image.path.relative_to(root), PurePosixPath(name)):
        return NamedImage(folders[0] / name)
    same = image.path.stem == PurePosixPath(name).name
    return replace(image, notes=()) if same else image


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
