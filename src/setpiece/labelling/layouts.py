"""Labels as a data set for others: a zip in the layout of COCO (Roboflow's folders), YOLO or Pascal VOC.

We write the layouts ourselves, since what is read back has to be equal: the writers of `supervision` round boxes to
whole pixels (VOC) or to five digits (YOLO).
"""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import yaml

from setpiece.data.dataset import Dataset, Example
from setpiece.data.formats.coco_files import ROBOFLOW_FILE
from setpiece.errors import OutputError

__all__ = ["Layout", "write_zip"]

Layout = Literal["coco", "yolo", "voc"]
VOC_SPLITS = {"train": "train", "valid": "val"}


def write_zip(file: Path, layout: Layout, splits: Sequence[Dataset]) -> None:
    """Write the splits that have images, with their photos as they are.

    Args:
        file: the zip.
        layout: of what is in it.
        splits: "train" and "valid", with the same classes.

    Raises:
        OutputError: it cannot be written, or a photo cannot be read.
    """
    used = [split for split in splits if split.examples]
    names = _names([example.path for split in used for example in split.examples], splits[0].root)
    write = {"coco": _coco, "yolo": _yolo, "voc": _voc}[layout]
    try:
        # A photo's time may be one before 1980, which a zip cannot hold.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
            for name, content in write(used, names):
                if isinstance(content, Path):
                    archive.write(content, name, zipfile.ZIP_STORED)  # photos are compressed
                else:
                    archive.writestr(name, content)
    except BaseException as error:
        file.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"The zip could not be written ({error.strerror or error}).") from error
        raise


def _names(paths: Sequence[Path], root: Path) -> dict[Path, str]:
    """A name for each photo in one folder: its own, with those of its folders where another photo is called so."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        parts = path.relative_to(root).parts
        shown = [part.encode("utf-8", "replace").decode().replace("\\", "_") for part in parts]
        numbered = (f"{number}_{shown[-1]}" for number in itertools.count(2))
        candidates = itertools.chain((shown[-1], "_".join(shown)), numbered)
        names[path] = next(name for name in candidates if Path(name).stem.lower() not in taken)
        taken.add(Path(names[path]).stem.lower())
    return names


def _coco(splits: Sequence[Dataset], names: dict[Path, str]) -> Iterator[tuple[str, str | Path]]:
    for split in splits:
        content = split.to_coco()
        for image, example in zip(content["images"], split.examples, strict=True):
            image["file_name"] = names[example.path]
            yield f"{split.split}/{names[example.path]}", example.path
        yield f"{split.split}/{ROBOFLOW_FILE}", json.dumps(content)


def _yolo(splits: Sequence[Dataset], names: dict[Path, str]) -> Iterator[tuple[str, str | Path]]:
    folders = {("val" if split.split == "valid" else split.split): f"{split.split}/images" for split in splits}
    classes = list(splits[0].classes) if splits else []
    yield (
        "data.yaml",
        yaml.safe_dump({**folders, "nc": len(classes), "names": classes}, sort_keys=False, allow_unicode=True),
    )
    for split in splits:
        for example in split.examples:
            name = names[example.path]
            yield f"{split.split}/images/{name}", example.path
            yield f"{split.split}/labels/{Path(name).stem}.txt", "".join(_yolo_lines(example))


def _yolo_lines(example: Example) -> Iterator[str]:
    """A line for each object; the layout has no crowds, so those are left out."""
    for (left, top, right, bottom), label, crowd in _objects(example):
        if not crowd:
            centre, size = ((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top)
            sides = (example.width, example.height) * 2
            fractions = (f"{value / side:.9f}" for value, side in zip((*centre, *size), sides, strict=True))
            yield f"{label} {' '.join(fractions)}\n"


def _voc(splits: Sequence[Dataset], names: dict[Path, str]) -> Iterator[tuple[str, str | Path]]:
    for split in splits:
        stems = "".join(f"{Path(names[example.path]).stem}\n" for example in split.examples)
        yield f"ImageSets/Main/{VOC_SPLITS[split.split]}.txt", stems
        for example in split.examples:
            name = names[example.path]
            yield f"JPEGImages/{name}", example.path
            yield f"Annotations/{Path(name).stem}.xml", _voc_text(example, name, split.classes)


def _voc_text(example: Example, name: str, classes: Sequence[str]) -> str:
    root = Element("annotation")
    SubElement(root, "folder").text = "JPEGImages"
    SubElement(root, "filename").text = name
    size = SubElement(root, "size")
    for side, pixels in (("width", example.width), ("height", example.height), ("depth", 3)):
        SubElement(size, side).text = str(pixels)
    for corners, label, crowd in _objects(example):
        one = SubElement(root, "object")
        SubElement(one, "name").text = classes[label]
        SubElement(one, "difficult").text = str(int(crowd))
        box = SubElement(one, "bndbox")
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            SubElement(box, side).text = f"{value:.8g}"
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _objects(example: Example) -> Iterator[tuple[list[float], int, bool]]:
    """Corners, class and crowd of each object."""
    rows = zip(example.boxes_xyxy.tolist(), example.labels.tolist(), example.crowd.tolist(), strict=True)
    for corners, label, crowd in rows:
        yield [round(value, 3) for value in corners], label, crowd
