"""All kinds of findings by their names, with what each looks for: what `--only` and `--skip` take."""

from __future__ import annotations

from setpiece.data.checks.files import RULES

__all__ = ["FAMILIES", "KINDS", "OF_PIXELS"]

FAMILIES = ("files", "boxes", "classes", "splits", "images", "labels")  # the parts of the names before the dot

KINDS: dict[str, str] = {
    "files.refused": "a split that cannot be read, and why",
    **{check: kind.plural for kind, (check, _, _) in RULES.items()},
    "files.byte-order-mark": "annotation files that begin with a byte order mark",
    "files.line-ends": "annotation files with the line ends of Windows",
    "files.backslashes": "names of images or folders with backslashes",
    "files.absolute": "names of images or folders that are absolute paths",
    "boxes.one-pixel": "boxes with a side of one pixel or less",
    "boxes.sliver": "boxes that are far longer than wide",
    "boxes.whole-image": "boxes of the whole image",
    "boxes.small": "objects that are too small at the input size",
    "boxes.nearly-twice": "two boxes of one class on one object",
    "boxes.two-classes": "two boxes of different classes on one object",
    "boxes.more-than-queries": "images with more objects than the model has queries",
    "classes.unused": "classes without any object",
    "classes.not-in-train": "classes with objects, and none in train",
    "classes.few": "classes with few objects in train",
    "classes.not-in-valid": "classes of train that valid does not show",
    "classes.not-in-test": "classes of train that test does not show",
    "classes.look-alike": "class names that may be one class in two spellings",
    "classes.numbers": "classes that are called by numbers",
    "classes.imbalance": "a class that is far rarer than another",
    "classes.skew": "a class that is far more frequent in one split than in another",
    "splits.no-valid": "no validation images",
    "splits.no-objects": "a split without objects",
    "splits.background": "a split of which most images have no object",
    "splits.few": "a validation split of few images",
    "splits.versions": "versions of one photo in two splits",
    "splits.one-file": "image files that two splits read",
    "splits.same-image": "copies of one image file in two splits",
    "splits.alike": "images that look nearly alike in two splits",
    "images.shape": "images that are very small or very long",
    "images.undecodable": "images that cannot be decoded to their end",
    "images.one-colour": "images of one colour",
    "images.copies": "the same image file twice in a split",
    "images.alike": "images that look nearly alike in one split",
    "labels.class": "labels of which a detector says that they are another class",
    "labels.unseen": "labels where a detector sees nothing",
    "labels.missing": "objects that a detector is sure of and nobody has labelled",
    "labels.off": "boxes that are far from where a detector sees the object",
}

# Those that need every pixel.
OF_PIXELS = frozenset(
    ("images.undecodable", "images.one-colour", "images.copies", "images.alike", "splits.same-image", "splits.alike")
)
