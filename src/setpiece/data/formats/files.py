"""Which files of a folder are images, and which of them a name in an annotation file means."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from PIL import Image

from setpiece.data.defects import Defect, Defects
from setpiece.errors import DataError

__all__ = [
    "IMAGE_SUFFIXES",
    "NamedImage",
    "composed",
    "files_under",
    "find_images",
    "has_images",
    "images_under",
    "is_hidden",
    "is_image",
    "locate",
    "note_beside",
    "note_other_files",
    "visible",
]

# Formats of Pillow that are no pictures of pixels, or only stubs of a reader.
_NOT_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}
_SYSTEM_NAMES = {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
_DOWNLOADED = ":Zone.Identifier"  # Windows remembers so where a file came from
# What stands beside images on purpose: annotations, and words about them.
_TEXT_SUFFIXES = {".txt", ".json", ".xml", ".yaml", ".yml", ".csv", ".cache", ".md", ".names", ".data", ".html", ".log"}


def _suffixes() -> frozenset[str]:
    Image.init()
    pictures = Image.OPEN.keys() - _NOT_PICTURES | {"MPO"}  # which the reader of JPEG opens
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in pictures)


IMAGE_SUFFIXES = _suffixes()


def is_hidden(path: Path) -> bool:
    """Whether the system made the file or folder for itself, as `._a.jpg`, `__MACOSX` and `Thumbs.db`."""
    name = path.name
    return name.startswith(".") or name in _SYSTEM_NAMES or name.lower() in _SYSTEM_FILES or name.endswith(_DOWNLOADED)


def is_image(path: Path) -> bool:
    """Whether the name is that of an image which Pillow reads, and no hidden file's."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path)


def visible(folder: Path) -> list[Path]:
    """What is in a folder, but for hidden files, sorted; nothing where there is no such folder.

    Raises:
        DataError: the folder cannot be read.
    """
    if not folder.is_dir():
        return []
    try:
        return sorted(path for path in folder.iterdir() if not is_hidden(path))
    except OSError as error:
        raise DataError(f"Cannot open {folder}: {error.strerror}; check its permissions.") from error


def files_under(folder: Path, limit: int | None = None) -> list[Path]:
    """Every file in a folder and its subfolders, linked ones too, in sorted order; hidden ones are left out.

    A folder is read once, whichever way leads to it, and a link that leads out to a folder around it is not followed.

    Args:
        limit: at most so many files; all where None.
    """
    top = folder.resolve()
    return sorted(islice(_walk(folder, {top, *top.parents}), limit))


def _walk(folder: Path, seen: set[Path]) -> Iterator[Path]:
    for path in sorted(visible(folder), key=lambda path: (path.is_symlink(), path)):  # a folder before links to it
        if path.is_dir():
            real = path.resolve()
            if real not in seen:
                seen.add(real)
                yield from _walk(path, seen)
        else:
            yield path


def images_under(folder: Path) -> list[Path]:
    """Every image file in a folder and its subfolders, in sorted order."""
    return [path for path in files_under(folder) if is_image(path)]


def has_images(folder: Path) -> bool:
    """Whether there is an image file in a folder or its subfolders."""
    return any(map(is_image, _walk(folder, {folder.resolve()})))


def note_other_files(files: Iterable[Path], defects: Defects) -> None:
    """Count the files that are neither images nor text, such as a photo in a format that Pillow does not read."""
    for path in files:
        if not is_image(path) and path.suffix.lower() not in _TEXT_SUFFIXES:
            defects.add(Defect.OTHER_FILE, str(path))


def note_beside(read: Iterable[Path], kind: Defect, defects: Defects) -> None:
    """Count what lies beside the images that are read: as a kind of defect the images, and the files that are none."""
    known = set(read)
    beside = [path for folder in sorted({path.parent for path in known}) for path in visible(folder) if path.is_file()]
    note_other_files(beside, defects)
    for path in beside:
        if is_image(path) and path not in known:
            defects.add(kind, str(path))


def locate(entry: str, bases: Sequence[Path]) -> Path | None:
    """The path that a setting names: as written, or the longest end of it that exists, because data sets are moved."""
    parts = _parts(entry)
    endings = ["/".join(parts[start:]) for start in range(len(parts))]
    # A folder called images may hold all splits, so `images` counts only if it is the whole entry.
    candidates = [entry, *(ending for ending in endings if ending != "images")]
    return next((path for name in candidates for base in bases if _exists(path := base / name)), None)


@dataclass(frozen=True)
class NamedImage:
    """What a name in an annotation file leads to.

    Attributes:
        path: the image file; where none is found, where it should be.
        notes: what has to be said of it.
    """

    path: Path
    notes: tuple[tuple[Defect, str], ...] = ()


def find_images(names: Sequence[str], folders: Sequence[Path]) -> list[NamedImage]:
    """The image files that an annotation file names, all in the first folder that has any of them.

    A name that is no path of a file is compared with all images under the folder: with either separator, in any Unicode
    form, in another case, without a suffix. Of the files that fit, the one that shares the longest ending is meant. If
    several do, or if another name leads to the same file, none is: a wrong image is worse than a missing one.
    """
    folder = next((folder for folder in folders if any(_exists(folder / name, file=True) for name in names)), None)
    index_of = cache(_Index)  # of a folder, once a name is missing in it
    if folder is None:
        folder = next((folder for folder in folders if any(map(index_of(folder).fitting, names))), folders[0])
    found: list[tuple[Path, list[Path]]] = []  # as written, and the files that fit where that does not exist
    for name in names:
        path = folder / name
        if _exists(path, file=True):
            found.append((path, []))
        else:
            found.append((path, index_of(folder).fitting(name)))
    of_name = dict(zip(names, found, strict=True))  # a name that is there twice is one claim
    claims = Counter(fitting[0] if len(fitting) == 1 else path for path, fitting in of_name.values())
    return [_decide(name, path, fits, claims) for name, (path, fits) in zip(names, found, strict=True)]


def _decide(name: str, written: Path, fitting: list[Path], claims: Counter[Path]) -> NamedImage:
    if not fitting:
        return NamedImage(written)
    if len(fitting) > 1:
        return NamedImage(written, ((Defect.AMBIGUOUS_NAME, f"{name}: {fitting[0]} or {fitting[1]}"),))
    if claims[fitting[0]] > 1:
        return NamedImage(written, ((Defect.AMBIGUOUS_NAME, f"{name}: {fitting[0]}, which another name fits, too"),))
    return NamedImage(fitting[0], ((Defect.OTHER_NAME, f"{name} is read from {fitting[0]}"),))


class _Index:
    """The images under a folder by their names, in three spellings: composed, in lower case, without suffix."""

    def __init__(self, folder: Path) -> None:
        self._files: dict[tuple[int, str], list[Path]] = {}
        for path in images_under(folder):
            for key in enumerate((composed(path.name), _lower(path.name), _lower(path.stem))):
                self._files.setdefault(key, []).append(path)

    def fitting(self, name: str) -> list[Path]:
        """Those that share the longest ending with a name, in the strictest spelling that any of them fits."""
        parts = _parts(name)
        if not parts:
            return []
        keys = [composed(parts[-1]), _lower(parts[-1])]
        if PurePosixPath(keys[1]).suffix not in IMAGE_SUFFIXES:
            keys.append(keys[1])
        fitting = next((files for key in enumerate(keys) if (files := self._files.get(key))), [])
        if not fitting and unquote(name) != name:  # as in an address: photo%201.jpg
            return self.fitting(unquote(name))
        shared = [_shared(parts, path) for path in fitting]
        return [path for path, count in zip(fitting, shared, strict=True) if count == max(shared)]


def _shared(parts: Sequence[str], path: Path) -> int:
    """How many folders before the file's name are called the same."""
    pairs = zip(reversed(parts[:-1]), reversed(path.parent.parts), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if _lower(a) != _lower(b)), len(parts) - 1)


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def composed(text: str) -> str:
    """The one Unicode form in which names are compared: a Mac writes an umlaut as two characters."""
    return unicodedata.normalize("NFC", text)


def _lower(text: str) -> str:
    return composed(text).casefold()


def _exists(path: Path, *, file: bool = False) -> bool:
    try:
        return os.path.isfile(path) if file else os.path.exists(path)
    except ValueError:  # a zero byte
        return False
