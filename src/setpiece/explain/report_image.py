"""One image of a report: its name and picture, and the facts of its set prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from setpiece.errors import NonFiniteCostError
from setpiece.explain.facts import ImageFacts, image_facts
from setpiece.explain.sample import picture_url
from setpiece.records import Outputs, Targets
from setpiece.setloss import SetCriterion

__all__ = ["ReportImage", "make_report_image"]

NOT_ANNOTATED = "This image has no annotations: its predictions are shown, and nothing is matched."
NO_OBJECTS = "This image has no objects: every query learns to predict no-object."
SIDE_WITHOUT_PICTURE = 640  # pixels


@dataclass(frozen=True)
class ReportImage:
    """One image of a report.

    Attributes:
        image_id: the data set's own.
        name: of its file.
        width: of the original image, in pixels.
        height: of the original image, in pixels.
        src: a small picture of it as a data URL, or None.
        facts: its match, costs, losses and gradients.
        note: a sentence to show with it, or "".
        annotated: whether its objects are known. If not, it has no targets.
    """

    image_id: int
    name: str
    width: int
    height: int
    src: str | None
    facts: ImageFacts
    note: str = ""
    annotated: bool = True


def make_report_image(
    name: str,
    image_id: int,
    pixels: np.ndarray | None,
    outputs: Outputs,
    targets: Targets | None,
    criterion: SetCriterion,
) -> ReportImage:
    """Compute the facts of an image.

    Args:
        name: of its file.
        image_id: the data set's own.
        pixels: HWC RGB uint8; without them, the boxes are shown on an empty square.
        outputs: of this image alone, (L, 1, Q, ...).
        targets: of this image alone; None where its objects are not known.
        criterion: the loss that the model is trained with.

    Raises:
        NonFiniteCostError: a logit or box is NaN or infinite; names the image, layer and query.
    """
    try:
        facts = image_facts(outputs, Targets.none(1) if targets is None else targets, criterion)
    except NonFiniteCostError as error:
        raise NonFiniteCostError(f"{name} cannot be explained. {error}", error.index) from error
    height, width = (SIDE_WITHOUT_PICTURE, SIDE_WITHOUT_PICTURE) if pixels is None else pixels.shape[:2]
    src = None if pixels is None else picture_url(pixels)
    note = NOT_ANNOTATED if targets is None else "" if len(facts.labels) else NO_OBJECTS
    return ReportImage(image_id, name, width, height, src, facts, note, annotated=targets is not None)
