"""Image files -> pictures with labelled boxes, and COCO results: what `setpiece predict` does."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from setpiece.atomic import write_whole
from setpiece.data.images import read_image
from setpiece.errors import DataError, OutputError, UsageError
from setpiece.evaluation import draw, sv, to_coco_results
from setpiece.inference.detects import Detects
from setpiece.inference.thresholds import Threshold

__all__ = ["predict_files"]


def predict_files(
    predictor: Detects,
    files: Sequence[Path],
    output: Path,
    threshold: Threshold,
    say: Callable[[int, int], object] = lambda *_: None,
) -> int:
    """Write a picture per image and `predictions.json` into a folder; returns how many objects were found.

    A picture has its image's name, with the `image_id` before it where two images are called the same.
    The results are COCO's, one per object, with `file_name` and `category_name` beside the ids: `image_id` counts the
    images from 0, and `category_id` is the class's index in the model. Where it is stopped or fails, those of the
    pictures that are there are written.

    Args:
        say: told how many objects were found in how many images, once all is written, before an error of images that
            cannot be read; not where none can.

    Raises:
        DataError: images cannot be read; everything is written for all others first.
        OutputError: a file cannot be written.
        UsageError: `output` is a file or holds some of the images, or the threshold is outside [0, 1].
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: choose another --output.")
    if output.resolve() in {file.parent.resolve() for file in files}:
        raise UsageError(f"{output} holds some of the images, and pictures may replace them: choose another --output.")
    alike = len({file.stem for file in files}) < len(files)  # a.jpg and a.png, or a.jpg of two folders
    results: list[dict[str, Any]] = []
    unreadable: list[DataError] = []
    read: deque[tuple[int, np.ndarray]] = deque()  # images that wait for what is found in them
    drawn = 0
    try:
        for detections in predictor.predict(_images(files, read, unreadable), threshold=threshold):
            image_id, image = read.popleft()
            file = files[image_id]
            picture = Image.fromarray(draw(image, detections))
            name = f"{image_id}-{file.stem}.png" if alike else f"{file.stem}.png"
            write_whole(output / name, partial(picture.save, format="PNG"))
            results += _results(detections, image_id, file, len(predictor.classes))
            drawn += 1
    except BaseException:
        if drawn:
            with suppress(OutputError):  # the reason why it failed is said
                _write_results(output, results)
        raise
    if drawn:
        _write_results(output, results)
        say(len(results), drawn)
    if unreadable:
        others = f" ({len(unreadable)} of {len(files)} images could not be read.)" if len(files) > 1 else ""
        raise DataError(f"{unreadable[0]}{others}")
    return len(results)


def _images(files: Sequence[Path], read: deque[tuple[int, np.ndarray]], unreadable: list[DataError]) -> Iterator[Path]:
    """The files that can be read, whose pixels are kept. The model takes them batches ahead of what it has found."""
    for image_id, file in enumerate(files):
        try:
            image = read_image(file)
        except DataError as error:
            unreadable.append(error)
            continue
        read.append((image_id, image))
        yield file  # and not its pixels, so that the same is found as by `Detector.predict(file)`


def _results(found: sv.Detections, image_id: int, file: Path, classes: int) -> list[dict[str, Any]]:
    coco = to_coco_results([found], [image_id], range(classes))
    names = found.data["class_name"]
    return [
        {**result, "file_name": str(file), "category_name": str(name)} for result, name in zip(coco, names, strict=True)
    ]


def _write_results(output: Path, results: list[dict[str, Any]]) -> None:
    write_whole(output / "predictions.json", json.dumps(results, indent=1) + "\n")
