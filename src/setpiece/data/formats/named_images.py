"""Which image file a name in an annotation file means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from setpiece.data.defects import Defect
from setpiece.data.formats.files import IMAGE_SUFFIXES, composed, exists, images_under, parts_of
from setpiece.data.formats.splits import split_of

__all__ = ["NamedImage", "find_images"]

_LONGEST = 255  # bytes of a file's name


@dataclass(frozen=True)
class NamedImage:
    """What a name in an annotation file leads to.

    Attributes:
        path: the image file; where none is found, where it should be.
        notes: what has to be said of it.
    """

    path: Path
    notes: tuple[tuple[Defect, str], ...] = ()


def find_images(names: Sequence[str], folders: Sequence[Path], split: str | None = None) -> list[NamedImage]:
    """The image files that an annotation file names, all in the first folder that has any of them.

    A name that is no path of a file is compared with all images under the folder: with either separator, in any Unicode
    form, in another case, without a suffix. Of the files that fit, the one that shares the longest ending is meant. If
    several do, or if another name leads to the same file, none is: a wrong image is worse than a missing one. For the
    same reason a file in a folder of another split is never meant, unless the name says that folder.

    Args:
        split: which the names are of; None where there are no splits.
    """
    folder = next((folder for folder in folders if any(exists(folder / name, file=True) for name in names)), None)
    index_of = cache(_Index)  # of a folder, once a name is missing in it
    if folder is None:
        fits = (folder for folder in folders if any(index_of(folder).fitting(name, split) for name in names))
        folder = next(fits, folders[0])
    found: list[tuple[Path, list[Path]]] = []  # as written, and the files that fit where that does not exist
    for name in names:
        path = _written(folder, name)
        found.append((path, [] if exists(path, file=True) else index_of(folder).fitting(name, split)))
    of_name = dict(zip(names, found, strict=True))  # a name that is there twice is one claim
    claims = Counter(fitting[0] if len(fitting) == 1 else path for path, fitting in of_name.values())
    return [_decide(name, path, fits, claims) for name, (path, fits) in zip(names, found, strict=True)]


def _written(folder: Path, name: str) -> Path:
    """The path that a name says: without `..`, since two paths may be one; of a name too long for a file, its ends."""
    longest = max(len(part.encode("utf-8", "surrogatepass")) for part in name.split("/"))
    if longest > _LONGEST or len(name) > 10 * _LONGEST:
        return folder / f"{name[:40]}…{name[-15:]}"
    path, plain = folder / name, folder
    if ".." not in path.parts:
        return path
    for part in Path(name).parts:
        plain = plain.parent if part == ".." and plain.name not in ("", "..") else plain / part
    by_a_link = exists(path) and not (exists(plain) and path.samefile(plain))
    return path if by_a_link else plain


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
        self._folder = folder
        self._files: dict[tuple[int, str], list[Path]] = {}
        for path in images_under(folder):
            for key in enumerate((composed(path.name), _lower(path.name), _lower(path.stem))):
                self._files.setdefault(key, []).append(path)

    def fitting(self, name: str, split: str | None) -> list[Path]:
        """Those that share the longest ending with a name, in the strictest spelling that any of them fits."""
        parts = parts_of(name)
        if not parts:
            return []
        keys = [composed(parts[-1]), _lower(parts[-1])]
        if PurePosixPath(keys[1]).suffix not in IMAGE_SUFFIXES:
            keys.append(keys[1])
        found = (self._files.get(key, []) for key in enumerate(keys))
        fitting = next((own for files in found if (own := self._of_split(files, parts, split))), [])
        if not fitting and unquote(name) != name:  # as in an address: photo%201.jpg
            return self.fitting(unquote(name), split)
        shared = [_shared(parts, path) for path in fitting]
        return [path for path, count in zip(fitting, shared, strict=True) if count == max(shared)]

    def _of_split(self, files: list[Path], parts: Sequence[str], split: str | None) -> list[Path]:
        """Those in no folder of another split than the one that is read or that the name says."""
        own = {split, *map(split_of, parts[:-1])} - {None}
        return [path for path in files if not own or not (others := self._splits(path, parts)) or others & own]

    def _splits(self, path: Path, parts: Sequence[str]) -> set[str | None]:
        """After which splits the folders of a file are called, but for those that the name says."""
        folders = path.parent.relative_to(self._folder).parts
        return {split_of(folder) for folder in folders[: max(0, len(folders) - _shared(parts, path))]} - {None}


def _shared(parts: Sequence[str], path: Path) -> int:
    """How many folders before the file's name are called the same."""
    pairs = zip(reversed(parts[:-1]), reversed(path.parent.parts), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if _lower(a) != _lower(b)), len(parts) - 1)


def _lower(text: str) -> str:
    return composed(text).casefold()
