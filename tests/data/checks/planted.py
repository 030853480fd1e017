"""A clean data set in each layout, to plant defects in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (96, 80)  # width, height
LAYOUTS = ("coco", "yolo", "voc")


@dataclass
class Picture:
    """An image to be written: noise, or `pixels`; boxes are (class, (left, top, right, bottom))."""

    name: str
    boxes: list[tuple[str, tuple[float, float, float, float]]]
    pixels: np.ndarray


def noise(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Patches of random colours: images that look alike to nobody."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.NEAREST))


@dataclass
class Data:
    """Splits of pictures, and what is done to the files once they are written."""

    classes: list[str] = field(default_factory=lambda: ["cat", "dog"])
    splits: dict[str, list[Picture]] = field(default_factory=dict)
    after: list[Callable[[Path], object]] = field(default_factory=list)

    def file(self, root: Path, layout: str, split: str, picture: Picture) -> Path:
        folder = {"coco": f"{split}", "yolo": f"images/{split}", "voc": "JPEGImages"}[layout]
        return root / folder / picture.name

    def write(self, root: Path, layout: str) -> Path:
        for split, pictures in self.splits.items():
            for picture in pictures:
                file = self.file(root, layout, split, picture)
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture.pixels).save(file, quality=95)
            {"coco": self._coco, "yolo": self._yolo, "voc": self._voc}[layout](root, split, pictures)
        return root

    def _coco(self, root: Path, split: str, pictures: list[Picture]) -> None:
        images, annotations = [], []
        for number, picture in enumerate(pictures):
            height, width = picture.pixels.shape[:2]
            images.append({"id": number, "file_name": picture.name, "height": height, "width": width})
            for name, (left, top, right, bottom) in picture.boxes:
                box = {"bbox": [left, top, right - left, bottom - top], "category_id": self.classes.index(name)}
                annotations.append(box | {"id": len(annotations), "image_id": number})
        categories = [{"id": number, "name": name} for number, name in enumerate(self.classes)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / split / "_annotations.coco.json").write_text(json.dumps(content))

    def _yolo(self, root: Path, split: str, pictures: list[Picture]) -> None:
        paths = {split: f"images/{split}" for split in self.splits}
        (root / "data.yaml").write_text(json.dumps({"names": self.classes, **paths}))
        (root / "labels" / split).mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            height, width = picture.pixels.shape[:2]
            lines = [
                f"{self.classes.index(name)} {(left + right) / 2 / width} {(top + bottom) / 2 / height} "
                f"{(right - left) / width} {(bottom - top) / height}\n"
                for name, (left, top, right, bottom) in picture.boxes
            ]
            (root / "labels" / split / picture.name).with_suffix(".txt").write_text("".join(lines))

    def _voc(self, root: Path, split: str, pictures: list[Picture]) -> None:
        for folder in ("Annotations", "ImageSets/Main"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        stems = [Path(picture.name).stem for picture in pictures]
        name = {"valid": "val"}.get(split, split)
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text("".join(f"{stem}\n" for stem in stems))
        for picture in pictures:
            height, width = picture.pixels.shape[:2]
            objects = "".join(
                f"<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax>"
                f"<ymax>{bottom}</ymax></bndbox></object>"
                for name, (left, top, right, bottom) in picture.boxes
            )
            size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
            text = f"<annotation><filename>{picture.name}</filename>{size}{objects}</annotation>"
            (root / "Annotations" / picture.name).with_suffix(".xml").write_text(text)


def clean() -> Data:
    """Two classes, two objects in each image, no image like another."""
    data, seed = Data(), 0
    for split, count in (("train", 24), ("valid", 20)):
        data.splits[split] = []
        for _ in range(count):
            seed += 1
            left, top = seed % 7, seed % 5
            boxes = [("cat", (left, top, left + 30, top + 40)), ("dog", (left + 45, top + 30, left + 85, top + 60))]
            data.splits[split].append(Picture(f"{split}{seed}.jpg", boxes, noise(seed)))
    return data
