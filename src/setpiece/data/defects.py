"""What is wrong or unusual in a data set: each kind has one rule, and its places are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

__all__ = ["Defect", "Defects", "Place"]


@dataclass(frozen=True)
class Place:
    """Where something was found.

    Attributes:
        text: what a person finds it by, as "cell.jpg, annotation 7".
        image: the file to show, if there is one.
        box_xyxy: in pixels of that image.
        upright: False where these are the pixels as stored, against the EXIF orientation.
    """

    text: str
    image: Path | None = None
    box_xyxy: tuple[float, float, float, float] | None = None
    upright: bool = True

    def __str__(self) -> str:
        return self.text


class Defect(Enum):
    """A kind of defect: what it is in the singular and the plural, and the rule that is applied to it."""

    NESTED = ("data set in a folder below", "data sets in a folder below", "read there")
    NO_SPLIT = (
        "image in no split",
        "images in no split",
        "about one in five is held out as valid, by its file's name",
    )
    OTHER_FOLDER = ("path that leads to no image", "paths that lead to no image", "the usual folder is read")
    OTHER_NAME = (
        "image under another name than annotated",
        "images under other names than annotated",
        "found by the end of the name, in another case or Unicode form, or without a suffix",
    )
    AMBIGUOUS_NAME = (
        "annotated name that does not say which file is meant",
        "annotated names that do not say which file is meant",
        "taken for missing",
    )
    OTHER_FILE = ("file that is not read as an image", "files that are not read as images", "left out")
    OUTPUT_IMAGE = (
        "image that a training or a prediction wrote",
        "images that a training or a prediction wrote",
        "left out",
    )
    UNUSED_LABELS = ("label file without its image", "label files without their images", "left out")
    MISPLACED_LABELS = (
        "label file that is not where it is looked for",
        "label files that are not where they are looked for",
        "left out, and the image of the name has no objects",
    )
    UNREAD_ANNOTATIONS = ("annotation file that no split reads", "annotation files that no split reads", "left out")
    MISSING_IMAGE = ("missing image", "missing images", "left out")
    UNREADABLE_IMAGE = ("unreadable image", "unreadable images", "left out")
    TRUNCATED_IMAGE = ("truncated image", "truncated images", "left out")
    BROKEN_IMAGE = ("image that is broken inside", "images that are broken inside", "left out")
    TOO_LARGE_IMAGE = (
        "image of too many pixels",
        "images of too many pixels",
        "left out; to use it, make it smaller and scale its boxes, or cut it up",
    )
    UNANNOTATED_IMAGE = ("image without its annotation file", "images without their annotation files", "left out")
    UNLISTED_IMAGE = ("image that no annotation file lists", "images that no annotation file lists", "left out")
    REPEATED_IMAGE = (
        "image that is listed twice",
        "images that are listed twice",
        "read once, with the annotations of both",
    )
    REPEATED_ID = (
        "annotation with the id of another one",
        "annotations with the ids of others",
        "read like the others, since their ids are not used",
    )
    ZERO_SIZE_BOX = ("box of zero size", "boxes of zero size", "dropped")
    SWAPPED_BOX = (
        "box whose corners are swapped: a negative width or height",
        "boxes whose corners are swapped: a negative width or height",
        "dropped",
    )
    NOT_FINITE_BOX = (
        "box with a coordinate that is not a number",
        "boxes with coordinates that are not numbers",
        "dropped",
    )
    OUTSIDE_BOX = ("box wholly outside its image", "boxes wholly outside their images", "dropped")
    CLIPPED_BOX = ("box partly outside its image", "boxes partly outside their images", "clipped to the image")
    OUTSIDE_IMAGE = (
        "image with all its boxes outside",
        "images with all their boxes outside",
        "left out: they show objects, and nobody knows where",
    )
    DUPLICATE_BOX = ("box that is there twice", "boxes that are there twice", "one is kept")
    HULL_BOX = ("outline without a box", "outlines without boxes", "the box around it is taken")
    ORIENTED_BOX = (
        "oriented box: four corners, or an angle, in the place of a box",
        "oriented boxes: four corners, or an angle, in the place of a box",
        "the upright box around it is taken",
    )
    CROWD = ("crowd annotation", "crowd annotations", "kept for evaluation, left out of training")
    DIFFICULT = ("object marked difficult", "objects marked difficult", "treated as crowd: left out of training")
    EMPTY_IMAGE = ("image without objects", "images without objects", "kept as background")
    SCALED = (
        "image of another size than its boxes were drawn on",
        "images of another size than their boxes were drawn on",
        "boxes are scaled from the declared size to the file's",
    )
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
        "left as stored, as the declared size or the boxes ask",
    )
    GREYSCALE = ("greyscale image", "greyscale images", "converted to RGB")
    PALETTE = ("palette image", "palette images", "converted to RGB")
    TRANSPARENT = ("image with transparency", "images with transparency", "laid over white")
    PAGES = ("image file of several pages", "image files of several pages", "the first page is read")
    INVISIBLE = (
        "image that is transparent all over",
        "images that are transparent all over",
        "read as if they were not transparent",
    )
    SIXTEEN_BIT = ("16-bit image", "16-bit images", "reduced to 8 bits, 65535 becoming 255")
    SPREAD = (
        "deep grey image that does not use its range",
        "deep grey images that do not use their range",
        "spread over 8 bits, the least value becoming 0 and the greatest 255",
    )
    DARK = (
        "colour image of 16 bits that does not use its range",
        "colour images of 16 bits that do not use their range",
        "nearly black, or of nearly one colour, as it is read; save it with 8 bits",
    )
    FLOATING = (
        "image of floating-point values",
        "images of floating-point values",
        "reduced to 8 bits, the end of their range (1 or 255) becoming 255",
    )
    OTHER_COLOURS = ("image in other colours than RGB", "images in other colours than RGB", "converted to RGB")

    def __init__(self, singular: str, plural: str, rule: str) -> None:
        self.singular = singular
        self.plural = plural
        self.rule = rule


@dataclass
class Defects:
    """Where each kind of defect was met.

    Example:
        >>> defects = Defects()
        >>> defects.add(Defect.ZERO_SIZE_BOX, "cell.jpg, annotation 7, box (5, 5) to (5, 9)")
        >>> defects.add(Defect.ZERO_SIZE_BOX, "cell.jpg, annotation 8, box (2, 3) to (2, 3)")
        >>> print(*defects.summary(), sep="\\n")
        2 boxes of zero size: dropped (for example cell.jpg, annotation 7, box (5, 5) to (5, 9))
    """

    places: dict[Defect, list[Place]] = field(default_factory=dict)

    def add(self, kind: Defect, place: str | Place) -> None:
        """Count one defect, and keep where it is."""
        self.places.setdefault(kind, []).append(place if isinstance(place, Place) else Place(place))

    @property
    def counts(self) -> dict[Defect, int]:
        """How often each kind was met."""
        return {kind: len(places) for kind, places in self.places.items()}

    def summary(self) -> list[str]:
        """One line per kind, in the order of `Defect`: how many, what, the rule, an example."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        for kind in Defect:
            if places := self.places.get(kind):
                count = len(places)
                what = kind.singular if count == 1 else kind.plural
                example = str(places[0]) if count == 1 else f"for example {places[0]}"
                yield f"{count} {what}: {kind.rule} ({example})"
