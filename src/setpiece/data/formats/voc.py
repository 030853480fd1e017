"""Pascal VOC folders: one XML file per image. Splits are lists of names, or folders.

```
ImageSets/Main/train.txt, Annotations/a.xml, JPEGImages/a.jpg       (VOC's own; `voc_lists` knows others)
train/a.xml, train/a.jpg      or      Annotations/train/a.xml, images/train/a.jpg      (no lists)
```

Coordinates are used as published. VOC itself counts pixels from 1, most tools that write its layout from 0, and
nothing in a file says which; the difference is one pixel. Objects marked `difficult` are treated as crowd: kept
for evaluation, where they are ignored, and left out of training. The classes are the names that occur in the files of
all splits, sorted; classes and images are numbered from 1, images in sorted order.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from setpiece.data.defects import Defect, Defects
from setpiece.data.formats.annotations import AnnotatedImage, AnnotatedSplit, encoding_of
from setpiece.data.formats.files import files_under, note_beside, visible
from setpiece.data.formats.named_images import NamedImage, find_images
from setpiece.data.formats.splits import Readers, is_plain, named_after, split_of
from setpiece.data.formats.voc_boxes import boxes_of, class_of, text_of
from setpiece.data.formats.voc_lists import IMAGE_FOLDERS, XML_FOLDERS, Xml, agree, split_lists, whole_list
from setpiece.data.formats.xml import read_xml

__all__ = ["find_splits", "find_whole", "is_annotation", "read_voc"]


def find_splits(root: Path) -> Readers:
    """The splits of a VOC data set, each with its reader; empty if the folder has another layout.

    Raises:
        DataError: two lists name one split.
    """
    if lists := split_lists(root):
        listed = {split: files for split, (_, files) in lists.items()}
        images = next((f for f in visible(root) if f.name.lower() in IMAGE_FOLDERS), root)
        return {
            split: partial(read_voc, path, files, listed, [images], split) for split, (path, files) in lists.items()
        }
    in_folders: dict[tuple[str, bool], dict[str, Xml]] = {}
    for path in _xml_files(root):
        name = path.relative_to(root).with_suffix("")
        if part := next((part for part in name.parts[:-1] if split_of(part)), None):
            in_folders.setdefault((split_of(part) or "", is_plain(part)), {})[str(name)] = path
    # Beside `train` nobody means `old_train`.
    by_split = {split: in_folders.get((split, True)) or in_folders[split, False] for split, _ in in_folders}
    return {
        split: partial(read_voc, root, files, by_split, _image_folders(root, split), split)
        for split, files in by_split.items()
    }


def find_whole(root: Path) -> AnnotatedSplit | None:
    """The XML files of a data set without splits, read; None if the folder has another layout.

    Raises:
        DataError: an annotation file is malformed.
    """
    found: dict[str, Xml] = {str(path.relative_to(root).with_suffix("")): path for path in _xml_files(root)}
    if not found:
        return None
    source, files = whole_list(root) or (root, found)
    images = [folder for folder in visible(root) if folder.name.lower() in IMAGE_FOLDERS]
    return read_voc(source, files, {"": files}, [*images, root])


def _xml_files(root: Path) -> list[Path]:
    """VOC's files in the folder, in its folders for annotations, and in those of splits."""
    here = visible(root)
    folders = [path for path in here if path.is_dir() and (path.name.lower() in XML_FOLDERS or split_of(path.name))]
    files = [*here, *(path for folder in folders for path in files_under(folder))]
    return [path for path in files if path.suffix.lower() == ".xml" and is_annotation(path)]


def is_annotation(path: Path) -> bool:
    """Whether a file is an annotation file of Pascal VOC, or one of its lists of images.

    Its lists of single classes are none, nor is `trainval`, which other lists divide.
    """
    if path.suffix.lower() == ".txt" and path.parent.name.lower() in ("main", "imagesets"):
        return split_of(path.stem.rsplit("_", 1)[-1]) is None and not path.stem.lower().endswith("trainval")
    if path.suffix.lower() != ".xml" or not path.is_file():
        return False
    with path.open("rb") as file:
        content = file.read(4096)
    return (
        re.search(r"<annotation[\s>]", content.decode(encoding_of(content), errors="replace"), re.IGNORECASE)
        is not None
    )


def _image_folders(root: Path, split: str) -> list[Path]:
    return [*(path for path in named_after(split, visible(root)) if path.is_dir()), root]


def read_voc(
    source: Path,
    files: dict[str, Xml],
    all_files: dict[str, dict[str, Xml]],
    folders: list[Path],
    split: str | None = None,
) -> AnnotatedSplit:
    """One split.

    Args:
        source: the list or folder to name in messages.
        files: a name of each image, without suffix -> its XML file.
        all_files: the same for every split; the classes are those of all.
        folders: where the images may be.
        split: which it is; None where there are no splits.

    Raises:
        DataError: an annotation file is malformed.
    """
    xmls = {xml for of_split in all_files.values() for xml in of_split.values() if isinstance(xml, Path)}
    trees = {path: read_xml(path) for path in sorted(xmls)}
    classes = sorted({class_of(item, path) for path, tree in trees.items() for item in tree.iter("object")})
    label_of_class = {name: label for label, name in enumerate(classes)}
    defects = Defects()
    names = sorted(files)
    images = []
    own_names = {name: text_of(trees[xml], "filename") for name in names if isinstance(xml := files[name], Path)}
    found_images = _find_images(own_names, folders, split)
    for image_id, name in enumerate(names, start=1):
        xml = files[name]
        if not isinstance(xml, Path):
            defects.add(*xml)
            continue
        tree, found = trees[xml], found_images[name]
        size, boxes = _size(tree), boxes_of(tree, xml, label_of_class)
        images.append(AnnotatedImage(image_id, found.path, size, boxes, notes=found.notes))
    if source.is_dir():
        note_beside((image.path for image in images), Defect.UNANNOTATED_IMAGE, defects)
    ids = tuple(range(1, len(classes) + 1))
    return AnnotatedSplit(source, tuple(classes), ids, images, defects, frozenset([source, *trees]))


def _find_images(own_names: dict[str, str], folders: Sequence[Path], split: str | None) -> dict[str, NamedImage]:
    """The image of each XML file: of its name, or else of the name that the file says, where no other file has it.

    One whose folders are other ones is another image of the same name.

    Args:
        own_names: name of an XML file without suffix -> the image file's name that stands in it.
    """

    def find(asked: dict[str, str]) -> dict[str, NamedImage]:
        images = zip(asked, find_images(list(asked.values()), folders, split), strict=True)
        return {name: _of_own_folder(name, image, folders) for name, image in images}

    found = find({name: name for name in own_names})
    by_own_name = find({name: own for name, own in own_names.items() if own and not os.path.isfile(found[name].path)})
    claims = Counter(image.path for image in (found | by_own_name).values())
    for name, image in by_own_name.items():
        if os.path.isfile(image.path):
            other = f"{own_names[name]}: {image.path}, which another XML file names, too"
            alone = claims[image.path] == 1
            found[name] = image if alone else NamedImage(found[name].path, ((Defect.AMBIGUOUS_NAME, other),))
        elif not found[name].notes:
            found[name] = image
    return found


def _of_own_folder(name: str, image: NamedImage, folders: Sequence[Path]) -> NamedImage:
    """The image, without a note where the name differs in its suffix alone; a missing one where it is another's."""
    if not os.path.isfile(image.path):
        return image
    root = folders[-1]  # the others are in it
    if image.path.is_relative_to(root) and not agree(image.path.relative_to(root), PurePosixPath(name)):
        return NamedImage(folders[0] / name)
    same = image.path.stem == PurePosixPath(name).name
    return replace(image, notes=()) if same else image


def _size(tree: Element) -> tuple[int, int] | None:
    height, width = (text_of(tree, f"size/{side}") for side in ("height", "width"))
    # Some tools write a size of 0 where they did not read the image.
    return (int(height), int(width)) if _is_count(height) and _is_count(width) and int(height) else None


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
