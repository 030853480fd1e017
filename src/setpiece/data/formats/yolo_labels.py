"""Which label file of YOLO is that of an image.

It is called as the image, and lies in a folder `labels` in the place of any folder above the image, or beside it. Where
there is none, one in another case is taken, and then one that lies deeper or less deep in the folder of labels: if no
other image may have it, and no other label file fits.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import cache
from pathlib import Path

from setpiece.data.formats.files import composed, files_under, lies_within, visible

__all__ = ["IMAGE_FOLDERS", "LABEL_FOLDERS", "find_labels", "label_folders", "names_of", "shared"]

IMAGE_FOLDERS = {"images", "imgs", "image", "img", "jpegimages", "pictures", "photos"}
LABEL_FOLDERS = {"labels", "label"}


def find_labels(
    images: Sequence[Path], root: Path, folders: Mapping[Path, list[Path]]
) -> tuple[dict[Path, Path | None], set[Path]]:
    """The label file of each image, None where it has none; and the images whose label file has not just their name.

    Args:
        images: those of all splits, so that none takes the label file of another.
        root: the folder of the data set.
        folders: those that were named as the images of a split, each with its `label_folders`.
    """
    files_of = cache(lambda folder: _label_files(folder, root))
    found = {image: _label_file(image, files_of(image.parent)) for image in images}
    taken = set(found.values())
    without = [image for image, labels in found.items() if labels is None and os.path.isfile(image)]
    folded = cache(lambda folder: _in_lower_case(files_of(folder), taken))
    found |= _only_ones(without, lambda image: _called(image, folded(image.parent)))
    taken = set(found.values())
    still = [image for image in without if found[image] is None]
    deeper = {folder: _files_below(set(folders[folder]).difference(folders), taken) for folder in folders if still}
    found |= _only_ones(still, lambda image: _in_another_folder(image, deeper))
    return found, {image for image in without if found[image] is not None}


def _only_ones(images: Iterable[Path], fitting: Callable[[Path], set[Path]]) -> dict[Path, Path]:
    """The label file of each image to which exactly one fits, where it fits no other image."""
    fit = {image: fitting(image) for image in images}
    claims = Counter(labels for each in fit.values() for labels in each)
    single = {image: next(iter(each)) for image, each in fit.items() if len(each) == 1}
    return {image: labels for image, labels in single.items() if claims[labels] == 1}


def label_folders(folder: Path, root: Path) -> list[Path]:
    """Where the label files of a folder of images may be: `labels` in the place of one of its folders, else beside.

    The folder called images is replaced first, then the others, the innermost first.
    """
    inside = folder.relative_to(root).parts if folder.is_relative_to(root) else folder.parts
    before = folder.parts[: len(folder.parts) - len(inside)]
    order = sorted(range(len(inside)), key=lambda place: (inside[place].lower() not in IMAGE_FOLDERS, -place))
    places = [Path(*before, *inside[:place]) for place in order]
    rest = [inside[place + 1 :] for place in order]
    found = [
        candidate
        for place, after in zip(places, rest, strict=True)
        for labels in visible(place)
        if labels.name.lower() in LABEL_FOLDERS and (candidate := _joined(labels, after)) is not None
    ]
    inside_it = [labels for labels in visible(folder) if labels.name.lower() == "labels" and labels.is_dir()]
    return [*found, *inside_it, folder]


def _joined(folder: Path, parts: Sequence[str]) -> Path | None:
    """The folder below that is called so, or the only one that is in another case; None where there is none."""
    for part in parts:
        if not os.path.isdir(exact := folder / part):
            alike = [path for path in visible(folder) if _folded(path.name) == _folded(part) and path.is_dir()]
            if len(alike) != 1:
                return None
            folder = alike[0]
        else:
            folder = exact
    return folder if os.path.isdir(folder) else None


def _label_files(folder: Path, root: Path) -> list[dict[str, Path]]:
    """The text files of each folder where labels may be, by their names without suffix."""
    return [
        {composed(path.stem): path for path in visible(place) if _is_text(path)}
        for place in label_folders(folder, root)
    ]


def _label_file(image: Path, places: list[dict[str, Path]]) -> Path | None:
    """The one that is called as the image with its suffix, as `a.jpg.txt`; else as the image without, as `a.txt`."""
    names = composed(image.name), composed(image.stem)
    return next((files[name] for name in names for files in places if name in files), None)


ByName = dict[str, set[Path]]  # label files by their names without suffix, in lower case


def _by_name(paths: Iterable[Path]) -> ByName:
    found: ByName = {}
    for path in paths:
        found.setdefault(_folded(path.stem), set()).add(path)
    return found


def _in_lower_case(places: Iterable[dict[str, Path]], taken: Set[Path | None]) -> ByName:
    return _by_name(path for files in places for path in files.values() if path not in taken)


def _called(image: Path, files: ByName) -> set[Path]:
    return {path for name in names_of(image) for path in files.get(name, ())} if files else set()


def _files_below(places: Iterable[Path], taken: Set[Path | None]) -> dict[Path, ByName]:
    """The label files of no image in folders of labels and below them."""
    free = {place: [path for path in files_under(place) if _is_text(path) and path not in taken] for place in places}
    return {place: _by_name(paths) for place, paths in free.items() if paths}


def _in_another_folder(image: Path, deeper: dict[Path, dict[Path, ByName]]) -> set[Path]:
    return {
        path
        for home, places in deeper.items()
        if places and home in image.parents
        for place, files in places.items()
        for path in _called(image, files)
        if lies_within(_all_folded(image.parent.relative_to(home)), _all_folded(path.parent.relative_to(place)))
    }


def names_of(image: Path) -> set[str]:
    """What its label file may be called, without suffix and in lower case."""
    return {_folded(image.name), _folded(image.stem)}


def _all_folded(folders: Path) -> list[str]:
    return [_folded(part) for part in folders.parts]


def _folded(name: str) -> str:
    return composed(name).casefold()


def _is_text(path: Path) -> bool:
    return path.suffix.lower() == ".txt"


def shared(label_files: dict[Path, Path | None]) -> dict[Path, Path]:
    """The images that are to have one label file, each with another one of them: `a.jpg` and `a.png` have `a.txt`."""
    images_of: dict[Path, list[Path]] = {}
    for image, labels in label_files.items():
        if labels is not None and os.path.isfile(image):
            images_of.setdefault(labels, []).append(image)
    return {
        image: next(other for other in images if other != image)
        for images in images_of.values()
        if len(images) > 1
        for image in images
    }
