"""Splits: whether there is something to learn from and to measure on."""

from __future__ import annotations

from collections.abc import Iterator

from setpiece.data.checks.finding import Finding, Severity
from setpiece.data.checks.survey import Settings, Survey

__all__ = ["amounts"]

FEW = 20  # images of a validation split, below which a metric is mostly chance
BACKGROUND = 0.5  # share of the images


def amounts(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Splits that are missing, small, or without objects."""
    held_out = [split for split in ("valid", "test") if split in survey.splits and survey.splits[split].examples]
    if not held_out and not survey.unreadable:
        what = "there are no validation images: nothing says how good a detector is"
        yield Finding("splits.no-valid", Severity.WARNING, None, 1, what, "move about a fifth of the images to valid")
    for split, dataset in survey.splits.items():
        images = len(dataset.examples)
        objects = sum(int((~example.crowd).sum()) for example in dataset.examples)
        empty = sum(not len(example.labels) for example in dataset.examples)
        if not objects:
            worst = Severity.ERROR if split == "train" else Severity.WARNING
            marked = sum(len(example.crowd) for example in dataset.examples)
            what = f"no object in any image ({images})"
            advice = "annotate them"
            if marked:
                what += f", but {marked} that {'is' if marked == 1 else 'are'} marked as crowd or difficult"
                advice = "take that mark off what is to be learned"
            yield Finding("splits.no-objects", worst, split, images, what, advice)
        elif empty > BACKGROUND * images:
            what = f"{empty} of {images} images have no object"
            advice = "nothing, if that is how it is where the detector will be used; else take most of them out"
            yield Finding("splits.background", Severity.WARNING, split, empty, what, advice)
        if split in held_out and images < FEW:
            what = f"only {images} image{'s' if images > 1 else ''} to measure on: a metric of so few is mostly chance"
            yield Finding("splits.few", Severity.NOTE, split, images, what, "hold out more of them")
