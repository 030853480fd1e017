"""A data set of many pictures, in a folder."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from .kinds import classes
from .photos import Album
from .scene import draw

__all__ = ["ANNOTATIONS", "write"]

ANNOTATIONS = "_annotations.coco.json"  # as Roboflow calls it

Written = tuple[dict[str, Any], list[list[float]], list[int]]  # what COCO says of an image, its boxes and its labels


def write(folder: Path, album: Album, images: int, seed: int, processes: int = 1) -> None:
    """Write a COCO training split, `folder/train/`. The folder appears whole or not at all.

    Args:
        folder: where the data set goes; its parent folders are made.
        album: photographs to use; may be empty.
        images: how many to draw.
        seed: any natural number.
        processes: how many to draw with at a time. The result does not depend on it.

    Raises:
        FileExistsError: `folder` is there already.

    References:
        https://cocodataset.org/#format-data
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; delete it or name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    seeds = np.random.SeedSequence(seed).generate_state(images, dtype=np.uint32).tolist()
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        draft = Path(temporary) / folder.name
        split = draft / "train"
        split.mkdir(parents=True)
        jobs = [(split, image_id, seed) for image_id, seed in enumerate(seeds, start=1)]
        if processes == 1:
            _remember(album)
            written = _collected(map(_write_image, jobs), images)
        else:
            with multiprocessing.Pool(processes, _remember, (album,)) as pool:
                written = _collected(pool.imap(_write_image, jobs, chunksize=16), images)
        (split / ANNOTATIONS).write_text(json.dumps(_coco(written, classes(album), seed)), encoding="utf-8")
        draft.rename(folder)


_ALBUM = Album([])  # of this process: to send it along with each job would take longer than to draw


def _remember(album: Album) -> None:
    global _ALBUM
    _ALBUM = album


def _write_image(job: tuple[Path, int, int]) -> Written:
    """Draw and save one image."""
    folder, image_id, seed = job
    pixels, boxes_xyxy, labels = draw(seed, _ALBUM)
    name = f"collage_{image_id:06}.jpg"
    Image.fromarray(pixels).save(folder / name, quality=85 + seed % 8)
    record = {"id": image_id, "file_name": name, "height": pixels.shape[0], "width": pixels.shape[1]}
    return record, boxes_xyxy.round(2).tolist(), labels.tolist()


def _collected(results: Iterable[Written], total: int) -> list[Written]:
    """Wait for all results, and say every thousand how long one takes."""
    collected, start = [], time.perf_counter()
    for result in results:
        collected.append(result)
        if len(collected) % 1000 == 0 or len(collected) == total:
            pace = 1000 * (time.perf_counter() - start) / len(collected)
            print(f"{len(collected)} of {total} images, {pace:.1f} ms each", flush=True)
    return collected


def _coco(written: list[Written], names: list[str], seed: int) -> dict[str, Any]:
    """The annotation file."""
    annotations: list[dict[str, Any]] = []
    for record, boxes_xyxy, labels in written:
        for (left, top, right, bottom), label in zip(boxes_xyxy, labels, strict=True):
            width, height = round(right - left, 2), round(bottom - top, 2)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": record["id"],
                    "category_id": label + 1,
                    "bbox": [left, top, width, height],
                    "area": round(width * height, 2),
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
    categories = [{"id": i, "name": name, "supercategory": "collage"} for i, name in enumerate(names, start=1)]
    info = {"description": "setpiece collage", "seed": seed}
    images = [record for record, _, _ in written]
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}
