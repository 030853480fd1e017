"""One image of a report: what a person knows it by, and its facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from setpiece.errors import NonFiniteCostError
from setpiece.explain.facts import ImageFacts, image_facts
from setpiece.explain.sample import picture
from setpiece.records import Outputs, Targets
from setpiece.setloss import SetCriterion

UNKNOWN = "Nobody said what is in this image: it shows what is predicted, and nothing is matched."
EMPTY = "This image has no objects: every query is taught to find nothing."
UNKNOWN_SIDE = 640  # pixels, of an image that is not there to be shown


@dataclass(frozen=True)
class ReportImage:
    """One image of a report.

    Attributes:
        image_id: the data set's own.
        name: of its file.
        width: pixels of the original image.
        height: likewise.
        src: a picture of it as a data URL, or None.
        facts: what the set prediction made of it.
        note: a sentence to show with it, or "".
        annotated: whether somebody said what is in it; else it has no targets.
    """

    image_id: int
    name: str
    width: int
    height: int
    src: str | None
    facts: ImageFacts
    note: str = ""
    annotated: bool = True


def show(
    name: str,
    image_id: int,
    pixels: np.ndarray | None,
    outputs: Outputs,
    targets: Targets | None,
    criterion: SetCriterion,
) -> ReportImage:
    """Compute the facts of an image.

    Args:
        pixels: HWC RGB uint8; without them, the boxes are shown on an empty square.
        outputs: of this image alone, (L, 1, Q, ...).
        targets: likewise; None where nobody said what is in it.

    Raises:
        NonFiniteCostError: a logit or box is NaN or infinite; names the image, layer and query.
    """
    known = targets if targets is not None else _nothing()
    try:
        facts = image_facts(outputs, known, criterion)
    except NonFiniteCostError as error:
        raise NonFiniteCostError(f"{name} cannot be explained. {error}", error.index) from error
    height, width = (UNKNOWN_SIDE, UNKNOWN_SIDE) if pixels is None else pixels.shape[:2]
    src = None if pixels is None else picture(pixels)
    note = UNKNOWN if targets is None else "" if len(facts.labels) else EMPTY
    return ReportImage(image_id, name, width, height, src, facts, note, annotated=targets is not None)


def _nothing() -> Targets:
    return Targets(torch.zeros(1, 0, dtype=torch.int64), torch.zeros(1, 0, 4), torch.tensor([0]))
