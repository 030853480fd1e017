"""Files in the folder of a data set that no split reads: nobody would miss what they hold without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path

from setpiece.data.defects import Defect, Defects
from setpiece.data.formats.annotations import AnnotatedSplit
from setpiece.data.formats.files import composed, is_image, with_outputs

__all__ = ["note_unread"]

_OTHER_KINDS = ("captions_", "person_keypoints_", "stuff_", "panoptic_", "image_info_")


def note_unread(
    root: Path,
    layout: str,
    splits: Iterable[AnnotatedSplit],
    is_annotation: Mapping[str, Callable[[Path], bool]],
    defects: Defects,
) -> None:
    """Count the annotation files that no split reads, and the images that are outputs and no data.

    A YOLO label file may be called as an image that is read without objects: then it does not lie where it is looked
    for. One that is called as no image has lost its own. All others belong to another split, list or layout.

    Args:
        layout: the one that is read.
        splits: all splits of the data set, as they were read.
        is_annotation: for each layout, whether a file is one of its annotation files.
    """
    splits = list(splits)
    read = {file for split in splits for file in split.files}
    real = {file.resolve() for file in read}
    images = {image.path: image for split in splits for image in split.images}
    files, outputs = with_outputs(root)
    for path in outputs:
        if path not in images:  # which the annotations may name all the same
            defects.add(Defect.OUTPUT_IMAGE, str(path))
    others = {_name(path) for path in files if is_image(path) and path not in images}
    empty = {_name(path) for path, image in images.items() if not image.boxes} - others
    used = {_name(path) for path in images} | others
    for path in files:
        if is_image(path) or path in read:
            continue
        found = next((name for name, belongs in is_annotation.items() if belongs(path)), None)
        if found is None or path.resolve() in real or (found == layout == "COCO" and _is_other_kind(path, read)):
            continue
        where, name = path.relative_to(root), _name(path)
        if found == layout == "YOLO" and name in empty:
            defects.add(Defect.MISPLACED_LABELS, str(path))
        elif found == layout == "YOLO" and name not in used:
            defects.add(Defect.UNUSED_LABELS, str(path))
        else:
            other = "" if found == layout else f", {found} where {layout} is read"
            defects.add(Defect.UNREAD_ANNOTATIONS, f"{where}{other}")


def _is_other_kind(path: Path, read: Set[Path]) -> bool:
    """Whether a file holds what COCO says otherwise of images whose objects are read, as `person_keypoints_val2017`."""
    kind = next((kind for kind in _OTHER_KINDS if path.stem.startswith(kind)), None)
    return kind is not None and path.with_name(f"instances_{path.name.removeprefix(kind)}") in read


def _name(path: Path) -> str:
    """The name of an image or a label file without suffixes, in lower case: `a` of `A.JPG`, `a.txt` and `a.jpg.txt`."""
    stem = Path(composed(path.stem))
    return (stem.stem if is_image(stem) else str(stem)).casefold()
