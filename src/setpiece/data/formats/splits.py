"""Which split a name means, and how a data set without splits is divided."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path, PurePath

from setpiece.data.defects import Defect, Defects
from setpiece.data.formats.annotations import AnnotatedImage, AnnotatedSplit

__all__ = [
    "SPLITS",
    "VALID_SHARE",
    "Readers",
    "divide",
    "is_plain",
    "named_after",
    "photo_name",
    "photo_number",
    "split_of",
]

SPLITS = ("train", "valid", "test")
Readers = dict[str, Callable[[], AnnotatedSplit]]

_WORDS = {
    "train": {"train", "training", "trn"},
    "valid": {"val", "valid", "validation", "dev"},
    "test": {"test", "testing"},
}
VALID_SHARE = 5  # one in so many


def split_of(name: str) -> str | None:
    """The split that a file or folder is named after, in any spelling; None where it names none, or several.

    Example:
        >>> split_of("instances_Validation"), split_of("val2017"), split_of("obj_train_data"), split_of("trainval")
        ('valid', 'valid', 'train', None)
    """
    words = {word.rstrip("0123456789") for word in re.split(r"[\W_]+", name.lower())}
    named = [split for split, spellings in _WORDS.items() if words & spellings]
    return named[0] if len(named) == 1 else None


def named_after(split: str, paths: Iterable[Path]) -> list[Path]:
    """The files or folders that are named after a split; where one is called just so, as `train`, no `old_train`."""
    named = [path for path in paths if split_of(path.name) == split]
    return [path for path in named if is_plain(path.name)] or named


def is_plain(name: str) -> bool:
    """Whether a name is that of a split and nothing else, but for digits: `Train`, `val2017`."""
    return any(name.lower().rstrip("0123456789") in spellings for spellings in _WORDS.values())


def divide(whole: AnnotatedSplit) -> dict[str, AnnotatedSplit]:
    """Hold out about one image in five for validation, always the same ones: a hash of the file's name decides.

    The name counts without its suffix, and without what Roboflow appends to the versions of one photo, so all versions
    are in one part. Where chance would leave a part empty, one name moves there, if there are two.
    """
    number_of = [photo_number(image.path) for image in whole.images]
    numbers = set(number_of)
    held_out = {number for number in numbers if number % VALID_SHARE == 0} or {min(numbers, default=0)}
    if held_out >= numbers:
        held_out -= {max(numbers, default=0)}
    parts: dict[str, list[AnnotatedImage]] = {"train": [], "valid": []}
    for image, number in zip(whole.images, number_of, strict=True):
        note = (Defect.NO_SPLIT, image.path.name)
        parts["valid" if number in held_out else "train"].append(replace(image, notes=(note, *image.notes)))
    # What was found while reading belongs to the whole; it is said once, with the first part.
    divided = {"train": replace(whole, images=parts["train"])}
    if parts["valid"]:
        divided["valid"] = replace(whole, images=parts["valid"], defects=Defects())
    return divided


def photo_name(version: PurePath) -> str | None:
    """The name of the photo of which Roboflow made a version; None where the file is not named so.

    Example:
        >>> photo_name(PurePath("valid/fish_jpg.rf.0a1b2c.jpg")), photo_name(PurePath("fish.jpg"))
        ('fish_jpg', None)
    """
    name, found = re.subn(r"\.rf\.[0-9A-Za-z]+$", "", version.stem)
    return name if found else None


def photo_number(path: PurePath) -> int:
    """A number that a photo keeps wherever it lies: of a hash of its name, equal for all versions of it."""
    photo = photo_name(path) or PurePath(path.name).stem
    return int.from_bytes(hashlib.sha256(photo.encode("utf-8", "surrogateescape")).digest()[:8], "big")
