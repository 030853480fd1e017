"""Validation images with the ground truth on the left and predictions on the right."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import supervision as sv
from PIL import Image

from setpiece.atomic import write_whole
from setpiece.data.dataset import Dataset, Example
from setpiece.data.items import read_example
from setpiece.evaluation import beside
from setpiece.inference.predictor import Predictor

__all__ = ["write_pictures"]

IMAGES = 8
THRESHOLD = 0.4


def write_pictures(predictor: Predictor, dataset: Dataset, folder: Path) -> None:
    """Draw a few images of a data set, evenly chosen, into a folder."""
    step = max(1, len(dataset.examples) // IMAGES)
    chosen = dataset.examples[::step][:IMAGES]
    shown = replace(dataset, examples=chosen)
    found = dict(predictor.detect(shown, threshold=THRESHOLD))
    for example in chosen:
        picture = beside(
            read_example(example)[0],
            truth_of(example, dataset.classes),
            found[example.image_id],
        )
        write_whole(folder / f"{example.path.stem}.png", partial(Image.fromarray(picture).save, format="PNG"))


def truth_of(example: Example, classes: tuple[str, ...]) -> sv.Detections:
    """The annotations of an image, as detections without confidence."""
    return sv.Detections(
        xyxy=example.boxes_xyxy,
        class_id=example.labels,
        data={"class_name": np.array([classes[label] for label in example.labels], dtype=str)},
    )
