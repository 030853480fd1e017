"""Annotation files with any damage are read, or refused by an error of ours."""

from __future__ import annotations

import io
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from setpiece.data import available_splits, open_dataset
from setpiece.errors import DataError, UsageError

from .conftest import coco, voc, yolo

_JPEG = io.BytesIO()
Image.new("RGB", (64, 48)).save(_JPEG, "JPEG")

YAML = "path: .\ntrain: images/train\nval: [images/val]\nnc: 2\nnames: {0: bolt, 1: nut}\n"
DARKNET = "classes = 2\ntrain = train.txt\nvalid = valid.txt\nnames = obj.names\n"
# The file that is damaged, its text, and the other files; None is an image.
SETS: dict[str, tuple[str, str, dict[str, str | None]]] = {
    "coco": ("train/_annotations.coco.json", coco(["part_1", "part_2"]), {"train/part_1.jpg": None}),
    "one coco file": ("result.json", coco(["part_1", "held_1"]), {"images/part_1.jpg": None}),
    "yaml": ("data.yaml", YAML, {"images/train/part_1.jpg": None, "labels/train/part_1.txt": yolo("part_1")}),
    "labels": ("labels/train/part_1.txt", yolo("part_1"), {"data.yaml": YAML, "images/train/part_1.jpg": None}),
    "darknet": ("obj.data", DARKNET, {"obj.names": "bolt\nnut", "train.txt": "part_1.jpg", "part_1.jpg": None}),
    "list": ("train.txt", "part_1.jpg\n", {"obj.data": DARKNET, "obj.names": "bolt\nnut", "part_1.jpg": None}),
    "xml": ("train/part_1.xml", voc("part_1"), {"train/part_1.jpg": None}),
    "listed xml": (
        "Annotations/part_1.xml",
        voc("part_1"),
        {"ImageSets/Main/train.txt": "part_1\n", "JPEGImages/part_1.jpg": None},
    ),
}
ODD = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"{",
    b"]",
    b"&x;",
    b"<",
    b"null",
    b"-1e999",
    b"9" * 30,
    b'"',
    b"..",
    b"/",
    b"*a",
    b"!!",
]


@pytest.mark.parametrize("kind", SETS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_damaged_annotation_file_is_read_or_refused(kind, data):
    damaged, text, others = SETS[kind]
    content = text.encode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 12)))
        inserted = data.draw(st.sampled_from(ODD) | st.binary(max_size=6))
        content = content[:start] + inserted + content[end:]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for name, other in {**others, damaged: ""}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(_JPEG.getvalue() if other is None else other.encode())
        (root / damaged).write_bytes(content)
        with suppress(DataError, UsageError):
            for split in available_splits(root):
                open_dataset(root, split)


def test_what_is_damaged_here_can_be_read_undamaged(tmp_path):
    for number, (damaged, text, others) in enumerate(SETS.values()):
        root = tmp_path / str(number)
        for name, other in {**others, damaged: text}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(_JPEG.getvalue() if other is None else other.encode())
        assert len(open_dataset(root, "train").examples[0].labels) == (0 if "obj.data" in {damaged, *others} else 2)
        shutil.rmtree(root)
