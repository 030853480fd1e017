"""Where a YOLO data set writes its class names and its splits.

```
data.yaml, dataset.yaml, ...   `names`, and the paths `train`, `val`, `test`      (Ultralytics)
obj.data, obj.names            the same, in lines `key = value`; one class a line      (darknet)
classes.txt                    the names alone, one a line      (labelImg, Label Studio)
train.txt, val.txt             beside names alone: lists of images
```

Several files may name the classes. They have to say the same, since the ids in label files count by one of them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from setpiece.data.formats.annotations import check_class_names, encoding_of, read_text
from setpiece.data.formats.files import files_under, is_image, locate, visible
from setpiece.data.formats.named_images import find_images
from setpiece.data.formats.splits import SPLITS, is_plain, named_after, split_of
from setpiece.data.formats.yolo_labels import IMAGE_FOLDERS, LABEL_FOLDERS
from setpiece.errors import DataError

__all__ = ["Config", "find_config", "is_annotation", "with_lists"]

_USUAL_YAMLS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_NAME_FILES = ("classes.txt", "obj.names", "labels.txt")
_DEFAULT_NAMES = "predefined_classes.txt"  # what labelImg offers; it writes classes.txt beside the labels
_ABOUT_IMAGES = r"dir|directory|folder|path|file|list|set|data|images?|imgs?"  # train_dir, val_images


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
        DataError: it is malformed, or there are several that do not say the same.
    """
    paths = _described(root)
    if not paths:
        return None
    config = _read(paths[0], root)
    if config.only_names and not _has_labels(root):
        return None
    for path in paths[1:]:
        _check_same(config, path)
    return config


def with_lists(config: Config) -> Config:
    """The same, with the lists of images beside it that are named after their splits, as `train.txt`.

    Raises:
        DataError: two list one split, or none lists train.
    """
    texts = [path for path in visible(config.root) if path.suffix.lower() == ".txt" and path.is_file()]
    lists = {split: named_after(split, [path for path in texts if is_plain(path.stem)]) for split in SPLITS}
    found = {split: [path for path in paths if _lists_images(path, config.root)] for split, paths in lists.items()}
    if several := next((paths for paths in found.values() if len(paths) > 1), None):
        raise DataError(f"Both {several[0]} and {several[1].name} list the images of one split; keep one of them.")
    if not found["train"] and (other := next((path for paths in found.values() for path in paths), None)):
        raise DataError(f"{other} lists images, and no train.txt does: write the lists of all splits, or delete it.")
    return replace(config, paths={split: (path.name, [path.name]) for split, paths in found.items() for path in paths})


def _lists_images(path: Path, root: Path) -> bool:
    lines = [line.strip().strip("\"'") for line in read_text(path).splitlines() if line.strip()]
    if is_annotation(path) or not lines:  # the labels of train.jpg
        return False
    return any(is_image(Path(line)) for line in lines) or os.path.isfile(find_images(lines[:1], [root])[0].path)


def is_annotation(path: Path) -> bool:
    """Whether a file begins as a file of labels does: with five numbers or more."""
    if path.suffix.lower() != ".txt" or not path.is_file():
        return False
    with path.open("rb") as file:
        content = file.read(2000)
    line, *_ = content.decode(encoding_of(content), errors="replace").splitlines() or [""]
    return re.match(r"\s*\d+(\s+-?[\d.]+(e-?\d+)?){4,}\s*$", line, re.IGNORECASE) is not None


def _has_labels(folder: Path) -> bool:
    return any(map(is_annotation, files_under(folder)))


def _described(root: Path) -> list[Path]:
    """The files that name the classes of a data set; the first is the one that is read."""
    here = visible(root)
    yamls = [path] if (path := _yaml_file(root)) else []
    darknet = [path for path in here if path.suffix == ".data" and path.is_file()]
    folders = [folder for folder in here if folder.is_dir()]
    usual = [home for home in folders if home.name.lower() in IMAGE_FOLDERS | LABEL_FOLDERS or split_of(home.name)]
    homes = [root, *folders, *(folder for home in usual for folder in visible(home) if folder.is_dir())]
    lists = [path for home in homes for name in _NAME_FILES if (path := home / name).is_file()]
    of_labels = [path for path in lists if path.parent == root or _has_labels(path.parent)]
    defaults = [path for home in homes if (path := home / _DEFAULT_NAMES).is_file()]
    return [*yamls, *darknet, *of_labels] or lists[:1] or defaults[:1]


def _read(path: Path, root: Path) -> Config:
    match path.suffix.lower():
        case ".yaml" | ".yml":
            return _from_yaml(path, root)
        case ".data":
            return _from_darknet(path, root)
        case _:
            return Config(path, root, _lines(path), None, {}, (root,))


def _check_same(config: Config, path: Path) -> None:
    """Raise where another file names the classes in another way; one that cannot be read says nothing."""
    try:
        one, other = config.class_of_id(), _read(path, config.root).class_of_id()
    except DataError:
        return
    differ = [class_id for class_id in sorted(one.keys() | other.keys()) if one.get(class_id) != other.get(class_id)]
    if differ and _has_labels(config.root):
        first = differ[0]
        named, again = (
            f"calls class {first} {names[first]!r}" if first in names else f"has no class {first}"
            for names in (one, other)
        )
        raise DataError(
            f"{config.path} {named}, and {path.relative_to(config.root)} {again}: delete the one that is wrong; if "
            "each is right for the labels beside it, renumber those of one."
        )


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
    return re.search(r"(?<![\w-])names[\"']?\s*:", read_text(path)) is not None


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
    for key, named in sorted(config.items(), key=lambda item: not str(item[0]).isalpha()):  # train before train_dir
        split = split_of(key) if isinstance(key, str) and _names_a_split(key, named) else None
        if split is None or not named or split in paths:
            continue
        entries = named if isinstance(named, list) else [named]
        if not all(isinstance(entry, str) and entry for entry in entries):
            raise DataError(f"{path}: `{key}` has to be a path, or a list of paths.")
        paths[split] = key, entries
    return {split: paths[split] for split in SPLITS if split in paths}


def _names_a_split(key: str, named: Any) -> bool:
    """Whether a key is `train`, or says as `train_dir` where its images are; not how many they are."""
    told = re.fullmatch(rf"[A-Za-z]+[_-]({_ABOUT_IMAGES})s?", key, re.IGNORECASE)
    return key.isalpha() or (told is not None and not str(named).isdigit())


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
