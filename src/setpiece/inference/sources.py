"""What a user names -> image files."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob
from pathlib import Path

from setpiece.data.formats.files import is_image
from setpiece.errors import UsageError

__all__ = ["find_images"]


def find_images(sources: Sequence[str]) -> list[Path]:
    """The image files that files, folders and globs name, each once, in the order given and sorted within a source.

    Raises:
        UsageError: a source names no image.
    """
    found: list[Path] = []
    for source in sources:
        path = Path(source)
        if path.is_dir():
            here = sorted(file for file in path.iterdir() if is_image(file))
        elif path.is_file():
            here = [path]
        else:
            here = sorted(file for file in map(Path, glob(source, recursive=True)) if file.is_file())
        if not here:
            raise UsageError(f"There is no image at {source}.")
        found += here
    return list(dict.fromkeys(found))
