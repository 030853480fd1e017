"""The lists of images of a VOC data set, and the XML file that each name in them means.

```
ImageSets/Main/train.txt, or ImageSets/train.txt      a        (VOC; also a path, with or without suffix)
train.txt, train_list.txt      ./JPEGImages/a.jpg ./Annotations/a.xml        (PaddleDetection, PaddleX)
```
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePath, PurePosixPath

from setpiece.data.defects import Defect
from setpiece.data.formats.annotations import read_text
from setpiece.data.formats.files import IMAGE_SUFFIXES, composed, files_under, lies_within, visible
from setpiece.data.formats.splits import split_of
from setpiece.errors import DataError

__all__ = ["IMAGE_FOLDERS", "XML_FOLDERS", "Xml", "agree", "split_lists", "whole_list"]

XML_FOLDERS = {"annotations", "annotation", "xml", "xmls", "labels"}
IMAGE_FOLDERS = {"jpegimages", "images", "imgs", "image", "img"}
_PAIR = re.compile(rf"(.+(?:{'|'.join(map(re.escape, sorted(IMAGE_SUFFIXES)))}))\s+(.+\.xml)", re.IGNORECASE)

Xml = Path | tuple[Defect, str]  # the XML file of an image, or what to count where it has none


def split_lists(root: Path) -> dict[str, tuple[Path, dict[str, Xml]]]:
    """The list of each split and what it names; `trainval` is the train split where there is no other.

    Beside the folders of the data set other programs may have lists, too: one counts if it names an XML file.

    Raises:
        DataError: two lists name one split.
    """
    if not (folder := next((path for path in visible(root) if path.name.lower() in XML_FOLDERS), None)):
        return {}
    for place in _places(root):
        if lists := _by_split(place):
            xmls = _XmlFiles(folder)
            return {split: (path, xmls.listed(path)) for split, path in lists.items()}
    if beside := [path for path in _texts(root) if split_of(path.stem) or path.stem.lower() == "trainval"]:
        xmls = _XmlFiles(folder)
        listed = {path: xmls.listed(path) for path in beside} if xmls.by_stem else {}
        meant = [path for path, files in listed.items() if any(isinstance(xml, Path) for xml in files.values())]
        return {split: (path, listed[path]) for split, path in _by_split(meant).items()}
    return {}


def whole_list(root: Path) -> tuple[Path, dict[str, Xml]] | None:
    """The one list of all images, as `ImageSets/Main/default.txt`, and what it names; None where there is none."""
    lists = next((place for place in _places(root) if place), [])
    if len(lists) != 1:
        return None
    folder = next((path for path in visible(root) if path.name.lower() in XML_FOLDERS), root)
    return lists[0], _XmlFiles(folder).listed(lists[0])


def _places(root: Path) -> list[list[Path]]:
    return [_texts(root / "ImageSets" / "Main"), _texts(root / "ImageSets")]


def _texts(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.suffix.lower() == ".txt"]


def _by_split(paths: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        split = split_of(path.stem)
        if split is None or ("_" in path.stem and not path.stem.lower().endswith("_list")):  # dog_train.txt, of VOC
            continue
        if split in found:
            raise DataError(f"Both {found[split]} and {path} list the split {split!r}; keep one of them.")
        found[split] = path
    both = next((path for path in paths if path.stem.lower() == "trainval"), None)
    return {"train": both, **found} if both is not None else found


class _XmlFiles:
    """The XML files under a folder, which lists name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.by_stem: dict[str, list[Path]] = {}
        for path in files_under(folder):
            if path.suffix.lower() == ".xml":
                self.by_stem.setdefault(composed(path.stem), []).append(path)

    def listed(self, name_list: Path) -> dict[str, Xml]:
        """Each listed image's name without suffix, and its XML file, or why it has none.

        A file that lies elsewhere than the list says is taken if it is the only one of the name, and its folders are
        not other ones.
        """
        lines = {line.strip().replace("\\", "/") for line in read_text(name_list).splitlines() if line.strip()}
        pairs = {line: pair.groups() if (pair := _PAIR.fullmatch(line)) else (line, line) for line in sorted(lines)}
        fitting = {_without_suffix(image): self._fitting(_without_suffix(xml)) for image, xml in pairs.values()}
        claims = Counter(paths[0] for paths in fitting.values() if len(paths) == 1)
        return {name: _decide(name, paths, claims) for name, paths in fitting.items()}

    def _fitting(self, name: str) -> list[Path]:
        alike = self.by_stem.get(composed(name.rsplit("/", 1)[-1]), [])
        exact = [path for path in alike if _folders(path.relative_to(self._folder)) == _folders(PurePosixPath(name))]
        return exact or [path for path in alike if agree(path.relative_to(self._folder), PurePosixPath(name))]


def _without_suffix(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return stem if f".{suffix.lower()}" in {".xml", *IMAGE_SUFFIXES} else name


def _decide(name: str, fitting: list[Path], claims: Counter[Path]) -> Xml:
    if not fitting:
        return Defect.UNANNOTATED_IMAGE, name
    if len(fitting) > 1:
        return Defect.AMBIGUOUS_NAME, f"{name}: {fitting[0]} or {fitting[1]}"
    if claims[fitting[0]] > 1:
        return Defect.AMBIGUOUS_NAME, f"{name}: {fitting[0]}, which another name fits, too"
    return fitting[0]


def agree(one: PurePath, other: PurePath) -> bool:
    """Whether two files may belong together by their folders: those of one are among those of the other."""
    return lies_within(_folders(one), _folders(other))


def _folders(path: PurePath) -> tuple[str, ...]:
    """The folders of an image or its XML file below those of the layout, as `Annotations`; splits in one spelling."""
    folders = [composed(folder).lower() for folder in path.parent.parts]
    layout = [place for place, folder in enumerate(folders, start=1) if folder in XML_FOLDERS | IMAGE_FOLDERS]
    return tuple(split_of(folder) or folder for folder in folders[max(layout, default=0) :])
