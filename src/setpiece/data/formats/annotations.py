"""What the annotation files of a split say, not yet checked against the images. Every layout is read into these."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from pathlib import Path

from setpiece.data.defects import Defect, Defects
from setpiece.data.images import is_pointer
from setpiece.errors import DataError

__all__ = [
    "AnnotatedBox",
    "AnnotatedImage",
    "AnnotatedSplit",
    "check_class_names",
    "encoding_of",
    "read_text",
]


@dataclass(frozen=True)
class AnnotatedBox:
    """One box as its file has it, possibly of zero size, outside the image or not finite.

    Attributes:
        name: how a person finds it in the file, as "annotation 17" or "line 3".
        corners: left, top, right, bottom, in pixels, or in fractions of the image where that is `normalised`.
        label: index into the classes of the split.
        crowd: kept for evaluation, left out of training.
        area: the annotation's own area in square pixels, None where it has none.
        notes: what is counted if the box is read.
    """

    name: str
    corners: tuple[float, float, float, float]
    label: int
    crowd: bool = False
    area: float | None = None
    notes: tuple[Defect, ...] = ()


@dataclass(frozen=True)
class AnnotatedImage:
    """One image as its annotations describe it.

    Attributes:
        size: (height, width) that the annotations declare, None where they declare none.
        normalised: whether the boxes are fractions of the upright image (YOLO), not pixels.
        notes: what its reader noticed, each with an example to show.
    """

    image_id: int
    path: Path
    size: tuple[int, int] | None
    boxes: list[AnnotatedBox]
    normalised: bool = False
    notes: tuple[tuple[Defect, str], ...] = ()


@dataclass(frozen=True)
class AnnotatedSplit:
    """One split of a data set as its annotations describe it.

    Attributes:
        source: the file or folder to name in messages.
        layout: what it is read as, "COCO", "YOLO" or "Pascal VOC"; whoever finds the reader says it.
        files: the annotation files that it was read from, and those of which `defects` says that they are not read.
    """

    source: Path
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: list[AnnotatedImage]
    defects: Defects = field(default_factory=Defects)
    files: frozenset[Path] = frozenset()
    layout: str = ""


def encoding_of(content: bytes) -> str:
    """The encoding of a text: UTF-16 where its byte order mark or its first character says so; else UTF-8.

    PowerShell writes UTF-16 with a mark, others without. Text in UTF-8 has no zero bytes.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    match [byte == 0 for byte in content[:2]]:
        case [False, True]:
            return "utf-16-le"
        case [True, False]:
            return "utf-16-be"
        case _:
            return "utf-8-sig"


def read_text(path: Path) -> str:
    """The text of an annotation file.

    Raises:
        DataError: the file cannot be opened, is a pointer of git-lfs, or is neither UTF-8 nor UTF-16 text.
    """
    try:
        content = path.read_bytes()
        if is_pointer(content):
            raise DataError(f"{path} is a pointer of git-lfs, and not the file itself: run `git lfs pull`.")
        return content.decode(encoding_of(content))
    except OSError as error:
        raise DataError(f"Cannot open {path}: {error.strerror}; check the path and its permissions.") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text; is it really an annotation file? If so, save it as UTF-8."
        ) from error


def check_class_names(classes: tuple[str, ...], source: Path) -> None:
    """Class names are what a user sees: none is empty, and none is that of two classes.

    Raises:
        DataError: a name is empty or occurs twice.
    """
    for place, name in enumerate(classes, start=1):
        if not name.strip():
            raise DataError(
                f"{source} has no name for class {place} of {len(classes)} (a blank line counts); write it there."
            )
        if classes.count(name) > 1:
            raise DataError(f"{source} declares the class {name!r} twice; rename or merge one of them.")
