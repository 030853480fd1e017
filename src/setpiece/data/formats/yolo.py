"""YOLO folders: the class names, and one text file of normalised boxes per image.

```
images/train/a.jpg   labels/train/a.txt        or        train/images/a.jpg   train/labels/a.txt
```

A line is `class centre_x centre_y width height`, or `class x1 y1 x2 y2 x3 y3 ...`, a polygon, of which the
hull box is taken. An image without a label file is background. Images are numbered from 1 in sorted order.
`yolo_config` says where the names and the splits are written, `yolo_labels` which label file an image has, `yolo_lines`
what a line means.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from setpiece.data.defects import Defect, Defects, Place
from setpiece.data.formats.annotations import AnnotatedImage, AnnotatedSplit, read_text
from setpiece.data.formats.files import (
    composed,
    files_under,
    has_images,
    is_image,
    locate,
    note_other_files,
    visible,
)
from setpiece.data.formats.named_images import NamedImage, find_images
from setpiece.data.formats.splits import SPLITS, Readers, named_after
from setpiece.data.formats.yolo_config import Config, find_config, is_annotation, with_lists
from setpiece.data.formats.yolo_labels import IMAGE_FOLDERS, find_labels, label_folders, names_of, shared
from setpiece.data.formats.yolo_lines import boxes_of, check_ids, check_poses, read_lines
from setpiece.errors import DataError

__all__ = ["find_splits", "find_whole", "is_annotation"]


def find_splits(root: Path) -> Readers:
    """The splits of a YOLO data set, each with its reader; empty if the folder has another layout.

    Raises:
        DataError: the file with the names is malformed.
    """
    config = find_config(root)
    if config is None:
        return {}
    if not config.paths and not any(_usual(root, split) for split in SPLITS):
        config = with_lists(config)
    sources = {split: _sources(config, split) for split in SPLITS}
    # A path that leads nowhere is an error where it matters. Many files name test images that nobody has.
    named = {split for split in ("train", "valid") if config.paths.get(split)}
    if not any(sources.values()):
        return {}
    return {split: partial(_read_split, config, split, sources) for split in SPLITS if sources[split] or split in named}


def find_whole(root: Path) -> AnnotatedSplit | None:
    """All images of a data set without splits, read; None if the folder has another layout.

    Raises:
        DataError: there are no images where the file with the names says.
    """
    config = find_config(root)
    if config is None:
        return None
    folders = [folder for folder in visible(root) if folder.name.lower() in IMAGE_FOLDERS]
    source = next((folder for folder in [*folders, root] if has_images(folder)), None)
    if source is not None and not config.paths:
        return _read(config, [source], Defects())
    _refuse_labels_alone(root)
    if config.only_names:
        return None
    key, entries = next(iter(config.paths.values()), ("", []))
    where = f" (`{key}` names {', '.join(entries)})" if key else ""
    raise DataError(
        f"{config.path} names no folder of images that exists{where}; put images/train beside it, or correct it."
    )


def _refuse_labels_alone(root: Path) -> None:
    labels = None if has_images(root) else next(filter(is_annotation, files_under(root)), None)
    if labels is not None:
        raise DataError(
            f"The export in {root} holds no images: export again with images, or put them beside the label files in "
            f"{labels.parent}."
        )


def _sources(config: Config, split: str) -> list[Path]:
    """The folders and image lists of a split that exist: those that are named, else the usual ones."""
    _, entries = config.paths.get(split, ("", []))
    named = [source for entry in entries if (source := locate(entry, config.bases))]
    return [source for source in named if _has_images(source)] or _usual(config.root, split)


def _has_images(source: Path) -> bool:
    return has_images(source) if source.is_dir() else source.is_file()


def _usual(root: Path, split: str) -> list[Path]:
    """`images/train`, else `train/images`, else `train`; however they are spelt."""
    folders = [folder for folder in visible(root) if folder.is_dir()]
    homes = [folder for folder in folders if folder.name.lower() in IMAGE_FOLDERS]
    own = named_after(split, folders)
    below = [folder for home in homes for folder in named_after(split, visible(home))]
    inside = [folder for home in own for folder in visible(home) if folder.name.lower() in IMAGE_FOLDERS]
    return next(([folder] for folder in [*below, *inside, *own] if folder.is_dir() and _has_images(folder)), [])


def _read_split(config: Config, split: str, all_sources: dict[str, list[Path]]) -> AnnotatedSplit:
    sources = all_sources[split]
    others = [source for other, of_other in all_sources.items() if other != split for source in of_other]
    key, entries = config.paths.get(split, ("", []))
    defects = Defects()
    places = {entry: locate(entry, config.bases) for entry in entries}
    empty = {entry: place for entry, place in places.items() if place is None or not _has_images(place)}
    for entry, place in empty.items():
        if not sources or len(empty) < len(places):
            what = "which does not exist" if place is None else f"and {place} holds no image"
            hint = "" if split == "train" else "; without this line, training does without evaluation"
            raise DataError(f"{config.path}: `{key}` names {entry}, {what}: correct the path{hint}.")
        defects.add(Defect.OTHER_FOLDER, f"`{key}` names {entry}, and {sources[0]} is read")
    return _read(config, sources, defects, others)


def _read(config: Config, sources: list[Path], defects: Defects, others: Sequence[Path] = ()) -> AnnotatedSplit:
    """The images under folders and in lists, and the label file of each.

    Args:
        others: the folders and lists of the other splits, of whose images none shares a label file with one of these.

    Raises:
        DataError: the class names or a label file are malformed, or a class id is not declared.
    """
    class_of_id = config.class_of_id()
    label_of_id = {class_id: label for label, class_id in enumerate(class_of_id)}
    found: dict[Path, NamedImage] = {}
    for source in sources:
        found.update((image.path, image) for image in _images(source, config.root, defects))
    if not any(map(os.path.isfile, found)):
        _refuse_labels_alone(config.root)
    other_images = _of_others(others, config.root) - found.keys()
    folders = {each: label_folders(each, config.root) for each in (*sources, *others) if each.is_dir()}
    label_files, elsewhere = find_labels([*sorted(found), *sorted(other_images)], config.root, folders)
    clashes = {path: other for path, other in shared(label_files).items() if path in found}
    own = {path: label_files[path] for path in sorted(found)}
    lines = {path: read_lines(labels) for path, labels in own.items() if path not in clashes}
    check_ids(list(lines.values()), label_of_id, config)
    check_poses(list(lines.values()), config)
    images = [
        AnnotatedImage(
            image_id,
            path,
            None,
            boxes_of(lines[path], labels, label_of_id, config),
            normalised=True,
            notes=(*found[path].notes, *([(Defect.OTHER_NAME, f"{path} has {labels}")] if path in elsewhere else [])),
        )
        for image_id, (path, labels) in enumerate(own.items(), start=1)
        if path not in clashes
    ]
    for path, other in clashes.items():
        defects.add(Defect.AMBIGUOUS_NAME, Place(f"{label_files[path]}: {path} or {other}", path))
    unused: list[Path] = []
    if all(source.is_dir() for source in sources):
        places = {place for source in sources for place in folders[source]}.difference(sources)
        unused = _note_unused_labels(label_files, places, defects)
    files = frozenset(path for path in (*own.values(), *unused, *sources) if path is not None)
    return AnnotatedSplit(config.path, tuple(class_of_id.values()), tuple(class_of_id), images, defects, files)


def _of_others(sources: Sequence[Path], root: Path) -> set[Path]:
    """The images of other splits, as far as these can be read."""
    images: set[Path] = set()
    for source in sources:
        with suppress(DataError):
            images.update(image.path for image in _images(source, root, Defects()))
    return images


def _images(source: Path, root: Path, defects: Defects) -> list[NamedImage]:
    if source.is_dir():
        files = files_under(source)
        note_other_files(files, defects)
        return [NamedImage(path) for path in files if is_image(path)]
    if is_image(source):
        return [NamedImage(source)]
    lines = [line.strip() for line in read_text(source).splitlines() if line.strip()]
    return find_images(lines, [source.parent, root]) if lines else []


def _note_unused_labels(used: dict[Path, Path | None], folders: Iterable[Path], defects: Defects) -> list[Path]:
    """Count the label files that belong to no image: the image is gone, or is called otherwise, or cannot be read.

    One that is called as an image without labels is none of them. Where it belongs cannot be said here.
    """
    files = {path for folder in folders for path in files_under(folder) if path.suffix.lower() == ".txt"}
    wanted = {name for image, labels in used.items() if labels is None for name in names_of(image)}
    names = {"classes", "predefined_classes", "labels", "train", "val", "test"}
    unused = [path for path in sorted(files - set(used.values())) if path.stem not in names]
    unused = [path for path in unused if composed(path.stem).casefold() not in wanted]
    for path in unused:
        defects.add(Defect.UNUSED_LABELS, str(path))
    return unused
