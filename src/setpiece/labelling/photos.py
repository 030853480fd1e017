"""The photos of a folder: which are there, how large they are, and which cannot be used. They are only ever read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from setpiece.data.formats.files import images_under
from setpiece.data.images import read_header
from setpiece.errors import DataError

__all__ = ["Look", "Photos"]

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Look:
    """What a file is.

    Attributes:
        file: its path below the folder, with "/".
        stamp: bytes and time of change.
        width: pixels, upright; 0 where it cannot be read.
        height: likewise.
        why: a sentence where it cannot be used.
    """

    file: str
    stamp: Stamp
    width: int = 0
    height: int = 0
    why: str | None = None


class Photos:
    """The image files in a folder.

    Args:
        root: the folder.
        folders: those whose images count, by their paths below it; every folder where None.

    Attributes:
        outside: how many image files were not listed the last time, since they are links that lead out of the folder.
    """

    def __init__(self, root: Path, folders: Iterable[str] | None = None) -> None:
        self.root, self.outside = root, 0
        self._folders = None if folders is None else set(folders)

    def path(self, file: str) -> Path:
        """Where a file lies."""
        return self.root / file

    def stamps(self) -> dict[str, Stamp]:
        """Every image file that is there, in sorted order, with its stamp; none that lies elsewhere.

        Raises:
            DataError: the folder cannot be read.
        """
        found, outside, root = {}, 0, self.root.resolve()
        real = cache(Path.resolve)  # of a folder
        for path in images_under(self.root):
            file = path.relative_to(self.root)
            if self._folders is None or file.parent.as_posix() in self._folders:
                try:
                    status = path.stat()
                except OSError:  # it went away just now, or is a link to nothing
                    continue
                if (path.resolve() if path.is_symlink() else real(path.parent)).is_relative_to(root):
                    found[file.as_posix()] = (status.st_size, status.st_mtime_ns)
                else:
                    outside += 1
        self.outside = outside
        return found

    def look(self, stamps: Sequence[tuple[str, Stamp]]) -> list[Look]:
        """Look into some files, on all cores."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(self._look, stamps))

    def _look(self, one: tuple[str, Stamp]) -> Look:
        file, stamp = one
        try:
            header = read_header(self.path(file))
        except DataError as error:
            return Look(file, stamp, why=str(error).replace(f"{self.path(file)}", file))
        if header.truncated or header.broken:
            what = "breaks off before its end" if header.truncated else "is damaged inside"
            return Look(file, stamp, why=f"{file} {what}: put a whole file in its place.")
        height, width = header.upright_size
        return Look(file, stamp, width, height)
