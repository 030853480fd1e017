"""YOLO folders: the class names, and one text file of normalised boxes per image.

```
images/train/a.jpg   labels/train/a.txt        or        train/images/a.jpg   train/labels/a.txt
```

A line is `class centre_x centre_y width height`, or `class x1 y1 x2 y2 x3 y3 ...`, a polygon, of which the
hull box is taken. An image without a label file is background. Images are numbered from 1 in sorted order.
`yolo_config` says where the names and the splits are written, `yolo_lines` what a line means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from setpiece.data.defects import Defect, Defects, Place
from setpiece.data.formats.annotations import AnnotatedImage, AnnotatedSplit, read_text
from setpiece.data.formats.files import (
    NamedImage,
    composed,
    files_under,
    find_images,
    has_images,
    is_image,
    locate,
    note_other_files,
    visible,
)
from setpiece.data.formats.splits import SPLITS, Readers, named_after
from setpiece.data.formats.yolo_config import Config, find_config, is_annotation
from setpiece.data.formats.yolo_lines import boxes_of, check_poses, read_lines
from setpiece.errors import DataError

__all__ = ["find_splits", "find_whole", "is_annotation"]

_IMAGE_FOLDERS = {"images", "imgs", "image", "img", "jpegimages", "pictures", "photos"}


def find_splits(root: Path) -> Readers:
    """The splits of a YOLO data set, each with its reader; empty if the folder has another layout.

    Raises:
        DataError: the file with the names is malformed.
    """
    config = find_config(root)
    if config is None:
        return {}
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
    folders = [folder for folder in visible(root) if folder.name.lower() in _IMAGE_FOLDERS]
    source = next((folder for folder in [*folders, root] if has_images(folder)), None)
    if source is not None and not config.paths:
        return _read(config, [source], Defects())
    if config.only_names:
        return None
    key, entries = next(iter(config.paths.values()), ("", []))
    where = f" (`{key}` names {', '.join(entries)})" if key else ""
    raise DataError(
        f"{config.path} names no folder of images that exists{where}; put images/train beside it, or correct it."
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
    homes = [folder for folder in folders if folder.name.lower() in _IMAGE_FOLDERS]
    own = named_after(split, folders)
    below = [folder for home in homes for folder in named_after(split, visible(home))]
    inside = [folder for home in own for folder in visible(home) if folder.name.lower() in _IMAGE_FOLDERS]
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
    labels_of = cache(partial(_label_files, root=config.root))
    label_files = {path: _label_file(path, labels_of(path.parent)) for path in sorted(found)}
    label_files_of_others = {
        path: _label_file(path, labels_of(path.parent)) for path in _of_others(others, config.root) if path not in found
    }
    shared = {path: other for path, other in _shared(label_files | label_files_of_others).items() if path in found}
    lines = {path: read_lines(labels) for path, labels in label_files.items() if path not in shared}
    check_poses(list(lines.values()), config)
    images = [
        AnnotatedImage(
            image_id,
            path,
            None,
            boxes_of(lines[path], labels, label_of_id, config),
            normalised=True,
            notes=found[path].notes,
        )
        for image_id, (path, labels) in enumerate(label_files.items(), start=1)
        if path not in shared
    ]
    for path, other in shared.items():
        defects.add(Defect.AMBIGUOUS_NAME, Place(f"{label_files[path]}: {path} or {other}", path))
    unused: list[Path] = []
    if all(source.is_dir() for source in sources):
        folders = {folder for source in sources for folder in _label_folders(source, config.root)}.difference(sources)
        unused = _note_unused_labels(label_files, folders, defects)
    files = frozenset(path for path in (*label_files.values(), *unused, *sources) if path is not None)
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


def _label_folders(folder: Path, root: Path) -> list[Path]:
    """Where the label files of a folder of images may be: `labels` in the place of one of its folders, else beside.

    The folder called images is replaced first, then the others, the innermost first.
    """
    inside = folder.relative_to(root).parts if folder.is_relative_to(root) else folder.parts
    before = folder.parts[: len(folder.parts) - len(inside)]
    order = sorted(range(len(inside)), key=lambda place: (inside[place].lower() not in _IMAGE_FOLDERS, -place))
    places = [Path(*before, *inside[:place]) for place in order]
    rest = [inside[place + 1 :] for place in order]
    found = [
        candidate
        for place, after in zip(places, rest, strict=True)
        for labels in visible(place)
        if labels.name.lower() in ("labels", "label") and (candidate := labels.joinpath(*after)).is_dir()
    ]
    inside_it = [labels for labels in visible(folder) if labels.name.lower() == "labels" and labels.is_dir()]
    return [*found, *inside_it, folder]


def _label_files(folder: Path, root: Path) -> list[dict[str, Path]]:
    """The text files of each folder where labels may be, by their names without suffix."""
    return [
        {composed(path.stem): path for path in visible(place) if path.suffix.lower() == ".txt"}
        for place in _label_folders(folder, root)
    ]


def _label_file(image: Path, places: list[dict[str, Path]]) -> Path | None:
    """The one that is called as the image with its suffix, as `a.jpg.txt`; else as the image without, as `a.txt`."""
    names = composed(image.name), composed(image.stem)
    return next((files[name] for name in names for files in places if name in files), None)


def _shared(label_files: dict[Path, Path | None]) -> dict[Path, Path]:
    """The images that are to have one label file, each with another one of them: `a.jpg` and `a.png` have `a.txt`."""
    images_of: dict[Path, list[Path]] = {}
    for image, labels in label_files.items():
        if labels is not None and image.is_file():
            images_of.setdefault(labels, []).append(image)
    return {
        image: next(other for other in images if other != image)
        for images in images_of.values()
        if len(images) > 1
        for image in images
    }


def _note_unused_labels(used: dict[Path, Path | None], folders: Iterable[Path], defects: Defects) -> list[Path]:
    """Count the label files that belong to no image: the image is gone, or is called otherwise, or cannot be read."""
    files = {path for folder in folders for path in files_under(folder) if path.suffix.lower() == ".txt"}
    names = ("classes", "train", "val", "test")
    unused = [path for path in sorted(files - set(used.values())) if path.stem not in names]
    for path in unused:
        defects.add(Defect.UNUSED_LABELS, str(path))
    return unused
