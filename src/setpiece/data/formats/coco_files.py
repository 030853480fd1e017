"""Where the COCO annotation files of a data set are, and the images that each is about.

```
train/_annotations.coco.json     the images beside it           (Roboflow; also valid/ or val/, test/)
annotations/instances_train2017.json   the images in train2017/, images/train2017/, train/, images/ ...   (COCO)
annotations/instances_default.json, result.json   the images in images/default/, images/, ...   (one file, no split)
```

Names of splits may be spelt in any way that `split_of` knows.
"""

from __future__ import annotations

from pathlib import Path

from setpiece.data.formats.annotations import read_text
from setpiece.data.formats.files import visible
from setpiece.data.formats.splits import is_plain, named_after, split_of
from setpiece.errors import DataError

__all__ = ["LISTS", "ROBOFLOW_FILE", "is_annotation", "split_files", "whole_file"]

ROBOFLOW_FILE = "_annotations.coco.json"
LISTS = ("images", "annotations", "categories")  # what every COCO file has
_INSTANCES = "instances_"


def split_files(root: Path) -> dict[str, tuple[Path, list[Path]]]:
    """The annotation file of each split, and the folders where its images may be; empty where there are none.

    Raises:
        DataError: two files annotate one split.
    """
    return _roboflow_files(root) or _instances_files(root) or _named_files(root)


def whole_file(root: Path) -> tuple[Path, list[Path]] | None:
    """The one annotation file of a data set without splits, and where its images may be; None where there is none.

    Raises:
        DataError: there are several such files.
    """
    found = [path for path in _json_files(root) if is_annotation(path)]
    if len(found) > 1:
        raise DataError(
            f"{found[0]} and {found[1].name} are annotation files, and neither is named after a split; rename them to "
            "instances_train.json and instances_valid.json, or keep one."
        )
    if not found:
        return None
    stem = found[0].stem.removeprefix(_INSTANCES)
    named = [root / "images" / stem, root / stem]
    return found[0], [*named, root / "images", root / "data", found[0].parent, root]


def _roboflow_files(root: Path) -> dict[str, tuple[Path, list[Path]]]:
    folders = [folder for folder in visible(root) if (folder / ROBOFLOW_FILE).is_file()]
    return _by_split([(folder.name, folder / ROBOFLOW_FILE, [folder]) for folder in folders])


def _instances_files(root: Path) -> dict[str, tuple[Path, list[Path]]]:
    named = [path for path in _json_files(root) if path.stem.lower().startswith(_INSTANCES)]
    return _by_split([(path.stem[len(_INSTANCES) :], path, []) for path in named], root)


def _named_files(root: Path) -> dict[str, tuple[Path, list[Path]]]:
    """Files that are called after their split, as `train.json`, or lie alone in its folder."""
    named: list[tuple[str, Path, list[Path]]] = [
        (path.stem, path, []) for path in _json_files(root) if split_of(path.stem) and is_annotation(path)
    ]
    if named:
        return _by_split(named, root)
    folders = [folder for folder in visible(root) if folder.is_dir() and split_of(folder.name)]
    alone = [(folder, [path for path in _json_files(folder) if is_annotation(path)]) for folder in folders]
    return _by_split([(folder.name, files[0], [folder]) for folder, files in alone if len(files) == 1])


def _json_files(root: Path) -> list[Path]:
    """Those in the folder itself, and in its folder for annotations."""
    here = visible(root)
    folders = [folder for folder in here if folder.name.lower() in ("annotations", "annotation") and folder.is_dir()]
    files = [*here, *(path for folder in folders for path in visible(folder))]
    return [path for path in files if path.suffix.lower() == ".json" and path.is_file()]


def is_annotation(path: Path) -> bool:
    """Whether a file is an annotation file of COCO."""
    if path.suffix.lower() != ".json":
        return False
    try:
        text = read_text(path)
    except DataError:
        return False
    return all(f'"{key}"' in text for key in LISTS)


def _by_split(
    files: list[tuple[str, Path, list[Path]]], root: Path | None = None
) -> dict[str, tuple[Path, list[Path]]]:
    """(name of a split, annotation file, image folders) -> the same by split; the usual folders where a root is given.

    Raises:
        DataError: two files annotate one split.
    """
    by_split: dict[str, tuple[Path, list[Path]]] = {}
    plain: dict[str, bool] = {}
    for name, path, folders in sorted(files, key=lambda file: not is_plain(file[0])):
        split = split_of(name)
        if split is None:
            continue
        if split in by_split:
            first = by_split[split][0]
            if plain[split] and not is_plain(name):  # beside `train` nobody means `old_train`
                continue
            second = path.name if path.parent == first.parent else path
            raise DataError(f"Both {first} and {second} annotate the split {split!r}; keep one of them.")
        plain[split] = is_plain(name)
        by_split[split] = path, folders if root is None else _usual_folders(root, name, split)
    return by_split


def _usual_folders(root: Path, name: str, split: str) -> list[Path]:
    """Where the images of a split may be: a folder of its name, then one named after the split in another way."""
    homes = [root, root / "images", root / "data"]
    alike = [folder for home in homes for folder in named_after(split, visible(home)) if folder.is_dir()]
    exact = [root / name, root / "images" / name]
    return [*exact, *alike, root / split, root / "images" / split, root / "images", root / "data", root]
