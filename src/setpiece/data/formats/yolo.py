"""YOLO folders: a `data.yaml` with the class names, and one text file of normalised boxes per image.

```
images/train/a.jpg   labels/train/a.txt        or        train/images/a.jpg   train/labels/a.txt
```

A line is `class centre_x centre_y width height`, or `class x1 y1 x2 y2 x3 y3 ...`, a polygon, of which the
hull box is taken. An image without a label file is background. Images are numbered from 1 in sorted order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from setpiece.data.formats.annotations import (
    IMAGE_SUFFIXES,
    AnnotatedBox,
    AnnotatedImage,
    AnnotatedSplit,
    check_unique_classes,
    images_under,
    read_text,
)
from setpiece.errors import DataError

__all__ = ["find_splits", "read_yolo"]


_KEYS = {"train": ("train",), "valid": ("val", "valid"), "test": ("test",)}


def find_splits(root: Path) -> dict[str, Callable[[], AnnotatedSplit]]:
    """The splits of a YOLO data set, each with its reader; empty if the folder has another layout.

    Raises:
        DataError: `data.yaml` is malformed, or none of its image folders exists.
    """
    path = next((path for name in ("data.yaml", "data.yml") if (path := root / name).is_file()), None)
    if path is None:
        return {}
    config = _load(path)
    splits: dict[str, Callable[[], AnnotatedSplit]] = {
        split: partial(read_yolo, path, config, sources)
        for split, keys in _KEYS.items()
        if (sources := _sources(path, config, keys))
    }
    if not splits:
        raise DataError(f"{path} names no folder of images that exists; put images/train beside it, or correct it.")
    return splits


def read_yolo(path: Path, config: dict[str, Any], sources: list[Path]) -> AnnotatedSplit:
    """One split: the images under its folders and lists, and the label file of each.

    Raises:
        DataError: the class names or a label file are malformed, or a class id is not declared.
    """
    class_of_id = _classes(path, config)
    label_of_id = {class_id: label for label, class_id in enumerate(class_of_id)}
    images = [
        AnnotatedImage(image_id, image, None, _boxes(_label_file(image), label_of_id, path), normalised=True)
        for image_id, image in enumerate(sorted(set(chain.from_iterable(map(_images, sources)))), start=1)
    ]
    return AnnotatedSplit(path, tuple(class_of_id.values()), tuple(class_of_id), images)


def _load(path: Path) -> dict[str, Any]:
    try:
        # The base loader leaves every scalar a string, so that a class called `no` or `1.0` keeps its name.
        config = yaml.load(read_text(path), Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise DataError(f"{path} is not valid YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(config, dict) or not isinstance(config.get("names"), list | dict):
        raise DataError(f"{path} is not a YOLO data set's description: it has no `names`, the list of the classes.")
    return config


def _classes(path: Path, config: dict[str, Any]) -> dict[int, str]:
    names = config["names"]
    try:
        class_of_id = {
            int(key): str(name) for key, name in (names.items() if isinstance(names, dict) else enumerate(names))
        }
        declared = int(config.get("nc", len(names)))
    except ValueError as error:
        raise DataError(f"{path}: `nc` and the keys of `names` have to be integers.") from error
    if declared != len(names):
        raise DataError(f"{path} declares nc: {declared} but names {len(names)} classes; correct one of them.")
    check_unique_classes(tuple(class_of_id.values()), path)
    return class_of_id


def _sources(path: Path, config: dict[str, Any], keys: tuple[str, ...]) -> list[Path]:
    """The folders and image lists of a split that exist: those that the yaml names, else the usual ones."""
    named: str | list[Any] = next((config[key] for key in keys if config.get(key)), [])
    bases = [path.parent / str(config.get("path", "")), path.parent]
    entries = [named] if isinstance(named, str) else named
    found = [source for entry in entries if (source := _locate(str(entry), bases))]
    usual = chain.from_iterable((f"images/{key}", f"{key}/images") for key in keys)
    return found or [folder for name in usual if (folder := path.parent / name).is_dir()]


def _locate(entry: str, bases: list[Path]) -> Path | None:
    """The path of an entry: as written, or the longest end of it that exists, because data sets are moved."""
    parts = PurePosixPath(entry.replace("\\", "/")).parts
    endings = ["/".join(parts[start:]) for start in range(len(parts))]
    # A folder called images may hold all splits, so `images` counts only if it is the whole entry.
    candidates = [entry, *(ending for ending in endings if ending != "images")]
    return next((path for name in candidates for base in bases if (path := base / name).exists()), None)


def _images(source: Path) -> list[Path]:
    if source.is_dir():
        return images_under(source)
    if source.suffix.lower() in IMAGE_SUFFIXES:
        return [source]
    lines = [line.strip() for line in read_text(source).splitlines() if line.strip()]
    return [_locate(line, [source.parent]) or source.parent / line for line in lines]


def _label_file(image: Path) -> Path:
    """`.../images/.../a.jpg` -> `.../labels/.../a.txt`, or the file beside the image where that does not exist."""
    parts = list(image.with_suffix(".txt").parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    in_labels = Path(*parts)
    return in_labels if in_labels.is_file() else image.with_suffix(".txt")


def _boxes(path: Path, label_of_id: dict[int, int], declared_in: Path) -> list[AnnotatedBox]:
    if not path.is_file():
        return []
    boxes = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            class_id, corners = _parse(line)
        except (ValueError, OverflowError) as error:
            raise DataError(
                f"{path}, line {number}: {line.strip()[:60]!r} is neither `class cx cy w h` nor a polygon."
            ) from error
        if class_id not in label_of_id:
            raise DataError(f"{path}, line {number}: class {class_id} is not among the names of {declared_in}.")
        boxes.append(AnnotatedBox(f"line {number}", corners, label_of_id[class_id]))
    return boxes


def _parse(line: str) -> tuple[int, tuple[float, float, float, float]]:
    class_id, *numbers = map(float, line.split())
    if class_id != int(class_id):
        raise ValueError("a class id is an integer")
    if len(numbers) == 4:
        x, y, width, height = numbers
        return int(class_id), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError("a polygon has three points or more")
    xs, ys = numbers[::2], numbers[1::2]
    return int(class_id), (min(xs), min(ys), max(xs), max(ys))
