"""Which files of a folder are data, and which of those are images."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from PIL import Image

from setpiece.data.defects import Defect, Defects
from setpiece.errors import DataError

__all__ = [
    "IMAGE_SUFFIXES",
    "composed",
    "exists",
    "files_under",
    "has_images",
    "images_under",
    "is_hidden",
    "is_image",
    "lies_within",
    "locate",
    "note_beside",
    "note_other_files",
    "parts_of",
    "visible",
    "with_outputs",
]

# Formats of Pillow that are no pictures of pixels, or only stubs of a reader.
_NOT_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}
_SYSTEM_NAMES = {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
_DOWNLOADED = ":Zone.Identifier"  # Windows remembers so where a file came from
_RUNS = "runs"  # where `setpiece train`, and other trainers, write
# What `setpiece train` and `setpiece predict` write into their folders, and words at the beginning of it.
_OUTPUT_FILES = {"run.json": (b'"data"', b'"model"'), "predictions.json": (b'"category_name"',)}
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
    """What is in a folder, but for hidden files and outputs, sorted; nothing where there is no such folder.

    Outputs are folders that a training or a prediction wrote: those called `runs`, and those with our files of a run or
    of predictions. Pictures in them are no data.

    Raises:
        DataError: the folder cannot be read.
    """
    return [path for path, is_output in _entries(folder) if not is_output]


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """What is in a folder, but for hidden files, sorted; and whether it is a folder of outputs."""
    if not os.path.isdir(folder):
        return []
    try:
        with os.scandir(folder) as entries:
            found = [(folder / entry.name, _is_folder(entry)) for entry in sorted(entries, key=lambda each: each.name)]
    except OSError as error:
        raise DataError(f"Cannot open {folder}: {error.strerror}; check its permissions.") from error
    return [(path, is_folder and _is_output(path)) for path, is_folder in found if not is_hidden(path)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry))


def _is_output(folder: Path) -> bool:
    return folder.name == _RUNS or any(_is_ours(folder / name, words) for name, words in _OUTPUT_FILES.items())


def _is_ours(path: Path, words: Sequence[bytes]) -> bool:
    try:
        with path.open("rb") as file:
            beginning = file.read(4096)
    except OSError:
        return False
    return beginning.strip() == b"[]" or all(word in beginning for word in words)  # [] where nothing was found


def files_under(folder: Path, limit: int | None = None) -> list[Path]:
    """Every file in a folder and its subfolders, linked ones too, in sorted order; hidden ones are left out.

    A folder is read once, whichever way leads to it, and a link that leads out to a folder around it is not followed.

    Args:
        limit: at most so many files; all where None.
    """
    top = folder.resolve()
    return sorted(islice(_walk(folder, {top, *top.parents}), limit))


def _walk(folder: Path, seen: set[Path], outputs: list[Path] | None = None) -> Iterator[Path]:
    entries = _entries(folder)
    if outputs is not None:
        outputs += [path for path, is_output in entries if is_output]
    data = [path for path, is_output in entries if not is_output]
    for path in sorted(data, key=Path.is_symlink):  # a folder before links to it
        if path.is_dir():
            real = path.resolve()
            if real not in seen:
                seen.add(real)
                yield from _walk(path, seen, outputs)
        else:
            yield path


def images_under(folder: Path) -> list[Path]:
    """Every image file in a folder and its subfolders, in sorted order."""
    return [path for path in files_under(folder) if is_image(path)]


def with_outputs(folder: Path) -> tuple[list[Path], list[Path]]:
    """The same files as `files_under`, and the images that are left out because a training or prediction wrote them."""
    top, outputs = folder.resolve(), list[Path]()
    files = sorted(_walk(folder, {top, *top.parents}, outputs))
    written = (Path(here, name) for output in outputs for here, _, names in os.walk(output) for name in names)
    return files, sorted(filter(is_image, written))


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
    parts = parts_of(entry)
    endings = ["/".join(parts[start:]) for start in range(len(parts))]
    # A folder called images may hold all splits, so `images` counts only if it is the whole entry.
    candidates = [entry, *(ending for ending in endings if ending != "images")]
    return next((path for name in candidates for base in bases if exists(path := base / name)), None)


def parts_of(name: str) -> tuple[str, ...]:
    """The folders and the file of a path with either separator."""
    return PurePosixPath(name.replace("\\", "/")).parts


def lies_within(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the folders of one path are among those of the other, in a row: they say nothing against each other."""
    fewer, more = sorted((tuple(one), tuple(other)), key=len)
    return any(more[start : start + len(fewer)] == fewer for start in range(len(more) - len(fewer) + 1))


def composed(text: str) -> str:
    """The one Unicode form in which names are compared: a Mac writes an umlaut as two characters."""
    return unicodedata.normalize("NFC", text)


def exists(path: Path, *, file: bool = False) -> bool:
    """Whether there is a file or folder, or a file, of that name; False for a name that none can have."""
    try:
        return os.path.isfile(path) if file else os.path.exists(path)
    except ValueError:  # a zero byte
        return False
