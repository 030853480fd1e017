"""Image files -> pictures with labelled boxes, and COCO results: what `setpiece predict` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from setpiece.atomic import write_whole
from setpiece.data.images import read_image
from setpiece.errors import DataError, UsageError
from setpiece.evaluation import draw, to_coco_results
from setpiece.inference.detecting import BATCH_SIZE
from setpiece.inference.detects import Detects
from setpiece.inference.thresholds import Threshold

__all__ = ["predict_files"]


def predict_files(predictor: Detects, files: Sequence[Path], output: Path, threshold: Threshold) -> int:
    """Write a picture per image and `predictions.json` into a folder; returns how many objects were found.

    A picture has its image's name, with the `image_id` before it where two images are called the same.
    The results are COCO's, one per object, with `file_name` and `category_name` beside the ids: `image_id` counts the
    images from 0, and `category_id` is the class's index in the model.

    Raises:
        DataError: images cannot be read; everything is written for all others first.
        UsageError: `output` is a file or holds some of the images, or the threshold is outside [0, 1].
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: choose another --output.")
    if output.resolve() in {file.parent.resolve() for file in files}:
        raise UsageError(f"{output} holds some of the images, and pictures may replace them: choose another --output.")
    alike = len({file.stem for file in files}) < len(files)  # a.jpg and a.png, or a.jpg of two folders
    results: list[dict[str, Any]] = []
    unreadable: list[DataError] = []
    for start in range(0, len(files), BATCH_SIZE):
        images: dict[int, np.ndarray] = {}
        for image_id, file in enumerate(files[start : start + BATCH_SIZE], start):
            try:
                images[image_id] = read_image(file)
            except DataError as error:
                unreadable.append(error)
        found = predictor.predict(list(images.values()), threshold=threshold)
        for (image_id, image), detections in zip(images.items(), found, strict=True):
            file = files[image_id]
            picture = Image.fromarray(draw(image, detections))
            name = f"{image_id}-{file.stem}.png" if alike else f"{file.stem}.png"
            write_whole(output / name, partial(picture.save, format="PNG"))
            names = detections.data["class_name"]
            coco = to_coco_results([detections], [image_id], range(len(predictor.classes)))
            results += [
                {**result, "file_name": str(file), "category_name": str(name)}
                for result, name in zip(coco, names, strict=True)
            ]
    if len(unreadable) < len(files):
        text = json.dumps(results, indent=1) + "\n"
        write_whole(output / "predictions.json", text)
    if unreadable:
        others = f" ({len(unreadable)} of {len(files)} images could not be read.)" if len(files) > 1 else ""
        raise DataError(f"{unreadable[0]}{others}")
    return len(results)
