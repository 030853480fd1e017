"""Where a YOLO data set writes its class names and its splits.

```
data.yaml, dataset.yaml, ...   `names`, and the paths `train`, `val`, `test`      (Ultralytics)
obj.data, obj.names            the same, in lines `key = value`; one class a line      (darknet)
classes.txt                    the names alone, one a line      (labelImg, Label Studio)
```
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from setpiece.data.formats.annotations import check_class_names, encoding_of, read_text
from setpiece.data.formats.files import files_under, locate, visible
from setpiece.data.formats.splits import SPLITS, split_of
from setpiece.errors import DataError

__all__ = ["Config", "find_config", "is_annotation"]

_USUAL_YAMLS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_NAME_FILES = ("classes.txt", "obj.names", "labels.txt", "predefined_classes.txt")


@dataclass(frozen=True)
class Config:
    """What a YOLO data set says of itself.

    Attributes:
        path: the file that says it.
        root: the folder of the data set.
        names: the class names: a list, or by id.
        declared: the number of classes that it says it has, None where it says none.
        paths: split -> the key, and the folders and lists that it names.
        bases: the folders that these paths may start from.
        keypoints: how many numbers follow a box in its line.
    """

    path: Path
    root: Path
    names: list[Any] | dict[Any, Any]
    declared: Any
    paths: dict[str, tuple[str, list[str]]]
    bases: tuple[Path, ...]
    keypoints: int = 0

    @property
    def only_names(self) -> bool:
        """Whether the file is a mere list of names, as other layouts may have one."""
        return self.declared is None and not self.paths and self.path.suffix in (".txt", ".names")

    def class_of_id(self) -> dict[int, str]:
        """Class id -> name.

        Raises:
            DataError: the names contradict themselves.
        """
        items = self.names.items() if isinstance(self.names, dict) else enumerate(self.names)
        try:
            pairs = [(int(key), name) for key, name in items]
            declared = len(self.names) if self.declared is None else int(self.declared)
        except (TypeError, ValueError) as error:
            raise DataError(f"{self.path}: `nc` and the keys of `names` have to be integers.") from error
        if not all(isinstance(name, str) for _, name in pairs):
            raise DataError(f"{self.path}: each of the `names` has to be one word or text.")
        if declared != len(self.names):
            raise DataError(
                f"{self.path} declares nc: {declared} but names {len(self.names)} classes; correct one of them."
            )
        class_of_id: dict[int, str] = dict(pairs)
        check_class_names(tuple(class_of_id.values()), self.path)
        return class_of_id


def find_config(root: Path) -> Config | None:
    """The file that describes a YOLO data set, read; None where there is none.

    Raises:
        DataError: it is malformed, or there are several.
    """
    if path := _yaml_file(root):
        return _from_yaml(path, root)
    here = visible(root)
    if darknet := next((path for path in here if path.suffix == ".data" and path.is_file()), None):
        return _from_darknet(darknet, root)
    homes = [root, *(folder for folder in here if folder.is_dir())]
    path = next((path for home in homes for name in _NAME_FILES if (path := home / name).is_file()), None)
    if path is None or not any(map(is_annotation, files_under(root))):
        return None
    return Config(path, root, _lines(path), None, {}, (root,))


def is_annotation(path: Path) -> bool:
    """Whether a file begins as a file of labels does: with five numbers or more."""
    if path.suffix.lower() != ".txt" or not path.is_file():
        return False
    with path.open("rb") as file:
        content = file.read(2000)
    line, *_ = content.decode(encoding_of(content), errors="replace").splitlines() or [""]
    return re.match(r"\s*\d+(\s+-?[\d.]+(e-?\d+)?){4,}\s*$", line, re.IGNORECASE) is not None


def _yaml_file(root: Path) -> Path | None:
    files = [path for path in visible(root) if path.suffix.lower() in (".yaml", ".yml") and path.is_file()]
    usual = [path for name in _USUAL_YAMLS if (path := root / name) in files]
    if meant := next(filter(_names_classes, usual), None):
        return meant
    described = [path for path in files if path not in usual and _names_classes(path)]
    if len(described) > 1:
        raise DataError(
            f"{described[0]} and {described[1].name} both name classes; call the one that is meant data.yaml."
        )
    return next(iter([*described, *usual]), None)


def _names_classes(path: Path) -> bool:
    return re.search(r"names[\"']?\s*:", read_text(path)) is not None


def _from_yaml(path: Path, root: Path) -> Config:
    try:
        # The base loader leaves every scalar a string, so that a class called `no` or `1.0` keeps its name.
        config = yaml.load(read_text(path), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid YAML ({' '.join(str(error).split())}).") from error
    names = config.get("names") if isinstance(config, dict) else None
    if isinstance(names, str) and (listed := locate(names, [path.parent])) and listed.is_file():
        names = _lines(listed)
    if isinstance(names, str) and names:
        raise DataError(f"{path}: `names` is the text {names[:60]!r}, and no file; write a list, as names: [cat, dog].")
    if not isinstance(config, dict) or not isinstance(names, list | dict):
        raise DataError(f"{path} is not a YOLO data set's description: it has no `names`, the list of the classes.")
    stated = config.get("path")
    start = locate(stated, [path.parent]) if isinstance(stated, str) and stated else None
    bases = (path.parent,) if start is None or not start.is_dir() else (start, path.parent)
    return Config(path, root, names, config.get("nc"), _paths(path, config), bases, _keypoints(config))


def _paths(path: Path, config: dict[Any, Any]) -> dict[str, tuple[str, list[str]]]:
    paths: dict[str, tuple[str, list[str]]] = {}
    for key, named in config.items():
        split = split_of(key) if isinstance(key, str) and key.isalpha() else None
        if split is None or not named or split in paths:
            continue
        entries = named if isinstance(named, list) else [named]
        if not all(isinstance(entry, str) and entry for entry in entries):
            raise DataError(f"{path}: `{key}` has to be a path, or a list of paths.")
        paths[split] = key, entries
    return {split: paths[split] for split in SPLITS if split in paths}


def _keypoints(config: dict[Any, Any]) -> int:
    shape = config.get("kpt_shape")
    try:
        count, dimensions = map(int, shape if isinstance(shape, list) else [])
    except (TypeError, ValueError):
        return 0
    return count * dimensions


def _from_darknet(path: Path, root: Path) -> Config:
    pairs = (line.split("=", 1) for line in read_text(path).splitlines() if "=" in line and line.strip()[0] != "#")
    values = {key.strip(): value.strip() for key, value in pairs}
    bases = (path.parent, root)
    names = locate(values.get("names", "obj.names"), bases)
    if names is None or not names.is_file():
        raise DataError(f"{path}: `names` names {values.get('names')}, which does not exist; it lists the classes.")
    return Config(path, root, _lines(names), values.get("classes"), _paths(path, values), bases)


def _lines(path: Path) -> list[str]:
    """The name in each line, whose number is the id: a blank one counts, but for those at the end."""
    return [line.strip() for line in read_text(path).rstrip().splitlines()]
