"""One small data set, two bolts on four images and a nut on two others, written in every layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CLASSES = ("bolt", "nut")
BOXES = {"part": [(0, 8, 6, 16, 12), (0, 30, 20, 20, 18)], "held": [(1, 16, 12, 32, 24)]}  # class, xywh of 64x48
NAMES = {"train": ["part_1", "part_2", "part_3", "part_4"], "valid": ["held_1", "held_2"]}


def coco(names: list[str], suffix: str = ".jpg", **replace: Any) -> str:
    """An annotation file of images that are called so."""
    images = [
        {"id": number, "file_name": f"{name}{suffix}", "width": 64, "height": 48} for number, name in enumerate(names)
    ]
    boxes = [(number, box) for number, name in enumerate(names) for box in BOXES[_kind(name)]]
    annotations = [
        {"id": index, "image_id": number, "category_id": 1 + label, "bbox": xywh}
        for index, (number, (label, *xywh)) in enumerate(boxes)
    ]
    categories = [{"id": 1 + label, "name": name} for label, name in enumerate(CLASSES)]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories} | replace)


def yolo(name: str) -> str:
    """The label file of an image."""
    lines = [(label, (x + w / 2) / 64, (y + h / 2) / 48, w / 64, h / 48) for label, x, y, w, h in BOXES[_kind(name)]]
    return "".join(" ".join(map(str, line)) + "\n" for line in lines)


def voc(name: str, filename: str | None = None) -> str:
    """The XML file of an image."""
    objects = "".join(
        f"<object><name>{CLASSES[label]}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + w}</xmax>"
        f"<ymax>{y + h}</ymax></bndbox></object>"
        for label, x, y, w, h in BOXES[_kind(name)]
    )
    size = "<size><width>64</width><height>48</height></size>"
    return f"<annotation><filename>{filename or f'{name}.jpg'}</filename>{size}{objects}</annotation>"


def _kind(name: str) -> str:
    return "held" if "held" in name else "part"


@pytest.fixture
def write(tmp_path: Path, write_image: Callable[..., Path]) -> Callable[..., Path]:
    """Write files below the test's folder: an image where None is given, else the text. Returns the folder."""

    def write_all(files: dict[str, str | None]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            if text is None:
                write_image(path)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        return tmp_path

    return write_all
