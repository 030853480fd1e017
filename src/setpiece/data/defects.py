"""What is wrong or unusual in a data set: each kind has one rule, is counted, and keeps one example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Defect", "Defects"]


class Defect(Enum):
    """A kind of defect: what it is in the singular and the plural, and the rule that is applied to it."""

    MISSING_IMAGE = ("missing image", "missing images", "left out")
    UNREADABLE_IMAGE = ("unreadable image", "unreadable images", "left out")
    TRUNCATED_IMAGE = ("truncated image", "truncated images", "left out")
    UNANNOTATED_IMAGE = ("image without its annotation file", "images without their annotation files", "left out")
    ZERO_SIZE_BOX = ("box of zero or negative size", "boxes of zero or negative size", "dropped")
    NOT_FINITE_BOX = (
        "box with a coordinate that is not a number",
        "boxes with coordinates that are not numbers",
        "dropped",
    )
    OUTSIDE_BOX = ("box wholly outside its image", "boxes wholly outside their images", "dropped")
    CLIPPED_BOX = ("box partly outside its image", "boxes partly outside their images", "clipped to the image")
    CROWD = ("crowd annotation", "crowd annotations", "kept for evaluation, left out of training")
    DIFFICULT = ("object marked difficult", "objects marked difficult", "treated as crowd: left out of training")
    EMPTY_IMAGE = ("image without objects", "images without objects", "kept as background")
    OTHER_SIZE = (
        "image of another size than declared",
        "images of another size than declared",
        "boxes are read as pixels of the file, which is wrong if it was resized after annotation",
    )
    OTHER_ASPECT = (
        "image of another size and aspect ratio than declared",
        "images of another size and aspect ratio than declared",
        "boxes are read as pixels of the file, which is wrong if it was resized after annotation",
    )
    TURNED = ("image stored rotated or mirrored (EXIF)", "images stored rotated or mirrored (EXIF)", "turned upright")
    NOT_TURNED = (
        "rotated image (EXIF) annotated as stored",
        "rotated images (EXIF) annotated as stored",
        "left as stored, as the declared size asks",
    )
    GREYSCALE = ("greyscale image", "greyscale images", "converted to RGB")
    PALETTE = ("palette image", "palette images", "converted to RGB")
    TRANSPARENT = ("image with transparency", "images with transparency", "laid over white")
    SIXTEEN_BIT = ("16-bit image", "16-bit images", "reduced to 8 bits, 65535 becoming 255")
    OTHER_COLOURS = ("image in other colours than RGB", "images in other colours than RGB", "converted to RGB")

    def __init__(self, singular: str, plural: str, rule: str) -> None:
        self.singular = singular
        self.plural = plural
        self.rule = rule


@dataclass
class Defects:
    """How often each kind of defect was met, and the first example of each.

    Example:
        >>> defects = Defects()
        >>> defects.add(Defect.ZERO_SIZE_BOX, "cell.jpg, annotation 7, box (5, 5) to (5, 9)")
        >>> defects.add(Defect.ZERO_SIZE_BOX, "cell.jpg, annotation 8, box (2, 3) to (2, 3)")
        >>> print(*defects.summary(), sep="\\n")
        2 boxes of zero or negative size: dropped (for example cell.jpg, annotation 7, box (5, 5) to (5, 9))
    """

    counts: dict[Defect, int] = field(default_factory=dict)
    first: dict[Defect, str] = field(default_factory=dict)

    def add(self, kind: Defect, example: str) -> None:
        """Count one defect; `example` says where it is, and is kept if it is the first of its kind."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.first.setdefault(kind, example)

    def summary(self) -> list[str]:
        """One line per kind, in the order of `Defect`: how many, what, the rule, an example."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        for kind in Defect:
            if count := self.counts.get(kind, 0):
                what = kind.singular if count == 1 else kind.plural
                example = self.first[kind] if count == 1 else f"for example {self.first[kind]}"
                yield f"{count} {what}: {kind.rule} ({example})"
