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
from setpiece.data.images import has_frames, read_image
from setpiece.errors import DataError, OutputError, UsageError
from setpiece.evaluation import draw, sv, to_coco_results
from setpiece.evaluation.numbers import listed
from setpiece.inference.detects import Detects
from setpiece.inference.pictures import require_content
from setpiece.inference.thresholds import Threshold

__all__ = ["PICTURES", "predict_file", "predict_files", "unreadable"]

PICTURES: dict[str, dict[str, Any]] = {  # what a picture is written as, and how
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 95},
    ".jpeg": {"format": "JPEG", "quality": 95},
    ".webp": {"format": "WEBP"},
    ".tif": {"format": "TIFF"},
    ".tiff": {"format": "TIFF"},
    ".bmp": {"format": "BMP"},
}
NAMED = 10  # files that are listed; of more there is the count

Unreadable = list[tuple[object, DataError]]  # files with what is wrong with each


def predict_file(
    predictor: Detects,
    file: Path,
    picture: Path,
    threshold: Threshold,
    say: Callable[[str], object] = lambda _: None,
) -> int:
    """Write the picture of one image; returns how many objects were found.

    Args:
        picture: its suffix is one of `PICTURES`.
        say: told in sentences what was found and where it is, and whether only a part of the image was looked at.

    Raises:
        DataError: the image cannot be read.
        OutputError: the picture cannot be written.
        UsageError: the threshold cannot be used.
    """
    require_content(file)
    image = read_image(file)
    [found] = predictor.predict([file], threshold=threshold)
    _write_picture(picture, image, found)
    say(f"{len(found)} objects in 1 image: see {picture}")
    _say_frames([file], say)
    return len(found)


def predict_files(
    predictor: Detects,
    files: Sequence[Path],
    output: Path,
    threshold: Threshold,
    say: Callable[[str], object] = lambda _: None,
) -> int:
    """Write a picture per image and `predictions.json` into a folder; returns how many objects were found.

    A picture has its image's name, with the `image_id` before it where two images are called the same.
    The results are COCO's, one per object, with `file_name` and `category_name` beside the ids: `image_id` counts the
    images from 0, and `category_id` is the class's index in the model. Where it is stopped or fails, those of the
    pictures that are there are written.

    Args:
        say: told in sentences how many objects were found in how many images and where they are, and of how many images
            the first frame alone was looked at. That is once all is written, before an error of images that cannot be
            read; not where none can.

    Raises:
        DataError: images cannot be read; everything is written for all others first.
        OutputError: a file cannot be written.
        UsageError: `output` is a file or holds some of the images, or the threshold cannot be used.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: choose another --output.")
    if output.resolve() in {file.parent.resolve() for file in files}:
        raise UsageError(f"{output} holds some of the images, and pictures may replace them: choose another --output.")
    alike = len({file.stem for file in files}) < len(files)  # a.jpg and a.png, or a.jpg of two folders
    results: list[dict[str, Any]] = []
    failed: Unreadable = []
    read: deque[tuple[int, np.ndarray]] = deque()  # images that wait for what is found in them
    drawn: list[Path] = []
    try:
        for detections in predictor.predict(_images(files, read, failed), threshold=threshold):
            image_id, image = read.popleft()
            file = files[image_id]
            name = f"{image_id}-{file.stem}.png" if alike else f"{file.stem}.png"
            _write_picture(output / name, image, detections)
            results += _results(detections, image_id, file, len(predictor.classes))
            drawn.append(file)
    except BaseException:
        if drawn:
            with suppress(OutputError):  # the reason why it failed is said
                _write_results(output, results)
        raise
    if drawn:
        _write_results(output, results)
        say(f"{len(results)} objects in {len(drawn)} images: see {output}/ and {output / 'predictions.json'}")
        _say_frames(drawn, say)
    if failed:
        raise DataError(unreadable(failed, len(files), "images"))
    return len(results)


def unreadable(failed: Unreadable, of: int, things: str) -> str:
    """What is wrong with the first file, how many there are, and which.

    Args:
        failed: names of the files, with their errors.
        of: how many files there were.
        things: what the files are called.

    Example:
        >>> unreadable([("a.png", DataError("a.png is empty.")), ("c.png", DataError("..."))], 3, "images")
        'a.png is empty. (2 of 3 images could not be read: a.png, c.png.)'
    """
    if of == 1:
        return str(failed[0][1])
    names = f": {listed([name for name, _ in failed], NAMED)}" if len(failed) > 1 else ""
    return f"{failed[0][1]} ({len(failed)} of {of} {things} could not be read{names}.)"


def _say_frames(files: Sequence[Path], say: Callable[[str], object]) -> None:
    """Of an animation or of several pages the first alone is looked at."""
    several = []
    for file in files:
        with Image.open(file) as image:
            if has_frames(image):
                several.append(file)
    if len(several) == 1:
        say(f"{several[0]} has several frames or pages, and only the first was looked at: for all, make a video of it.")
    elif several:
        say(
            f"{len(several)} images have several frames or pages, and only the first of each was looked at: for all, "
            f"make videos of them. They are {listed(several, NAMED)}."
        )


def _write_picture(picture: Path, image: np.ndarray, found: sv.Detections) -> None:
    write_whole(picture, partial(Image.fromarray(draw(image, found)).save, **PICTURES[picture.suffix.lower()]))


def _images(files: Sequence[Path], read: deque[tuple[int, np.ndarray]], failed: Unreadable) -> Iterator[Path]:
    """The files that can be read, whose pixels are kept. The model takes them batches ahead of what it has found."""
    for image_id, file in enumerate(files):
        try:
            require_content(file)
            image = read_image(file)
        except DataError as error:
            failed.append((file, error))
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
