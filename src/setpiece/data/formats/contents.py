"""What a folder holds, in words, for one whose layout is not recognised."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from setpiece.data.formats.files import files_under, is_image

__all__ = ["contents"]

SHOWN = 5
LOOKED_AT = 10_000  # files, for who names a whole disk
_ANNOTATIONS = {".json", ".xml", ".txt", ".yaml", ".yml", ".csv", ".data", ".names"}


def contents(root: Path) -> str:
    """The files that may be annotations, and the folders with images, a few of each, with counts."""
    files = files_under(root, LOOKED_AT)
    notes = [str(path.relative_to(root)) for path in files if path.suffix.lower() in _ANNOTATIONS]
    images = Counter(str(path.parent.relative_to(root)) for path in files if is_image(path))
    parts = [f"{_count(number, 'image')} in {folder}/" for folder, number in images.most_common(SHOWN)]
    if len(images) > SHOWN:
        parts.append(f"images in {_count(len(images) - SHOWN, 'more folder')}")
    parts += notes[:SHOWN]
    if len(notes) > SHOWN:
        parts.append(f"{_count(len(notes) - SHOWN, 'more file')} of annotations")
    others = len(files) - len(notes) - images.total()
    if others:
        parts.append(_count(others, "other file"))
    return ", ".join(parts).replace(" in ./", " in the folder itself") or "nothing"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
