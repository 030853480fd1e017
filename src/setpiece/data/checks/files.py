"""Files and annotations: what the readers met on their way, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from setpiece.data.checks.finding import Finding, Severity, counted, finding
from setpiece.data.checks.survey import Settings, Survey
from setpiece.data.defects import Defect

__all__ = ["RULES", "readers"]

ERROR, WARNING, NOTE = Severity

# Of every defect: the name of its check, how bad it is, and what to do.
RULES: dict[Defect, tuple[str, Severity, str]] = {
    Defect.NESTED: ("files.nested", NOTE, "nothing, or name the folder below"),
    Defect.NO_SPLIT: ("splits.none", NOTE, "nothing, or divide it yourself into train and valid"),
    Defect.OTHER_FOLDER: ("files.paths", WARNING, "correct the path in the file that names it"),
    Defect.OTHER_NAME: ("files.names", NOTE, "nothing, or rename the files as they are annotated"),
    Defect.AMBIGUOUS_NAME: ("files.ambiguous", ERROR, "write the folder into the annotated name, or rename one file"),
    Defect.OTHER_FILE: ("files.others", NOTE, "nothing, if they are no images; else save them as JPEG or PNG"),
    Defect.OUTPUT_IMAGE: ("files.outputs", NOTE, "nothing, or write outputs into a folder beside the data"),
    Defect.UNUSED_LABELS: ("files.labels-without-image", WARNING, "bring the images back, or delete the label files"),
    Defect.MISPLACED_LABELS: (
        "files.labels-elsewhere",
        ERROR,
        "move them: images/train/a.jpg has labels/train/a.txt, or the label file beside it",
    ),
    Defect.UNREAD_ANNOTATIONS: (
        "files.unread",
        WARNING,
        "nothing, if they are not meant; else add them to a split, or keep one layout alone in the folder",
    ),
    Defect.MISSING_IMAGE: ("files.missing", ERROR, "bring them back, or delete their annotations"),
    Defect.UNREADABLE_IMAGE: ("files.unreadable", ERROR, "save them again, or delete them with their annotations"),
    Defect.TRUNCATED_IMAGE: ("files.truncated", ERROR, "copy them again from where they came from"),
    Defect.BROKEN_IMAGE: ("files.broken", ERROR, "copy them again from where they came from"),
    Defect.TOO_LARGE_IMAGE: ("files.too-large", ERROR, "make them smaller and scale their boxes, or cut them up"),
    Defect.UNANNOTATED_IMAGE: ("files.unannotated", WARNING, "annotate them, or take them off the list"),
    Defect.UNLISTED_IMAGE: ("files.unlisted", WARNING, "add them to the annotations, also if they show no object"),
    Defect.REPEATED_IMAGE: ("files.repeated", WARNING, "list each image once"),
    Defect.REPEATED_ID: ("files.repeated-ids", WARNING, "number the annotations anew: other programs mix them up"),
    Defect.ZERO_SIZE_BOX: ("boxes.zero-size", ERROR, "draw them again, or delete them"),
    Defect.SWAPPED_BOX: ("boxes.swapped", ERROR, "swap them, or draw them again"),
    Defect.NOT_FINITE_BOX: ("boxes.not-finite", ERROR, "draw them again, or delete them"),
    Defect.OUTSIDE_BOX: ("boxes.outside", ERROR, "draw them again, or delete them; was the image changed since?"),
    Defect.CLIPPED_BOX: (
        "boxes.sticking-out",
        WARNING,
        "nothing, if the border cuts objects off; else redraw them",
    ),
    Defect.OUTSIDE_IMAGE: (
        "images.outside",
        ERROR,
        "look at one: its boxes may be of another image, or in other units",
    ),
    Defect.DUPLICATE_BOX: ("boxes.twice", WARNING, "delete one of the two"),
    Defect.HULL_BOX: ("boxes.outlines", NOTE, "nothing; export boxes if the outlines are not wanted"),
    Defect.ORIENTED_BOX: (
        "boxes.oriented",
        NOTE,
        "nothing, if upright boxes are wanted: they are larger than the objects",
    ),
    Defect.CROWD: ("boxes.crowds", NOTE, "nothing"),
    Defect.DIFFICULT: ("boxes.difficult", NOTE, "nothing, or remove the mark to train on them"),
    Defect.EMPTY_IMAGE: ("images.empty", NOTE, "nothing, if they show no object; else annotate them"),
    Defect.SCALED: ("images.scaled", WARNING, "look at one: the boxes should fit; else annotate these files"),
    Defect.OTHER_SIZE: ("images.other-size", WARNING, "look whether the boxes fit; if not, annotate these files"),
    Defect.OTHER_ASPECT: (
        "images.other-aspect",
        ERROR,
        "look whether the boxes fit; if not, annotate these files",
    ),
    Defect.TURNED: ("images.turned", NOTE, "look at one: the boxes should fit the upright image"),
    Defect.NOT_TURNED: ("images.not-turned", WARNING, "look at one: the boxes should fit the image as it is stored"),
    Defect.GREYSCALE: ("images.greyscale", NOTE, "nothing"),
    Defect.PALETTE: ("images.palette", NOTE, "nothing"),
    Defect.TRANSPARENT: ("images.transparent", NOTE, "nothing, if white behind them is right"),
    Defect.PAGES: (
        "images.pages",
        WARNING,
        "nothing, if the annotations are of the first page; else save each by itself",
    ),
    Defect.INVISIBLE: ("images.invisible", WARNING, "look at one; save them without an alpha channel"),
    Defect.SIXTEEN_BIT: ("images.sixteen-bit", NOTE, "nothing"),
    Defect.SPREAD: ("images.spread", WARNING, "look at one; save them with 8 bits to decide yourself"),
    Defect.DARK: ("images.dark", WARNING, "save them with 8 bits"),
    Defect.FLOATING: ("images.floating", WARNING, "look at one; save them with 8 bits to decide yourself"),
    Defect.OTHER_COLOURS: ("images.colours", NOTE, "nothing"),
}


OF_ALL_SPLITS = (Defect.MISPLACED_LABELS, Defect.UNREAD_ANNOTATIONS, Defect.OUTPUT_IMAGE)


def readers(survey: Survey, _: Settings) -> Iterator[Finding]:
    """What the readers refused or repaired."""
    for split, sentence in survey.unreadable.items():
        yield Finding("files.refused", ERROR, split, 1, sentence.removesuffix("."), "correct that first")
    for split, dataset in survey.splits.items():
        for kind, places in dataset.defects.places.items():
            check, severity, advice = RULES[kind]
            what = f"{counted(places, kind.singular, kind.plural)}: {kind.rule}"
            yield finding(check, severity, None if kind in OF_ALL_SPLITS else split, places, what, advice)
