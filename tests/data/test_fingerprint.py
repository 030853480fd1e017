"""The same data set has the same fingerprint wherever it is; another one has another."""

import json

import pytest

from setpiece.data.fingerprint import fingerprint
from setpiece.data.sources import open_dataset

BOXES = ([[1, 2, 30, 40]], [[5, 5, 10, 10], [20, 5, 10, 10]])


def test_it_is_in_numbers_and_ready_for_json(write_coco):
    of_data = fingerprint(open_dataset(write_coco(*BOXES), "train"))
    assert (of_data["images"], of_data["objects"], of_data["classes"]) == (2, 3, ["cell"])
    assert json.loads(json.dumps(of_data)) == of_data


def test_a_data_set_that_moved_is_the_same(write_coco, tmp_path):
    before = fingerprint(open_dataset(write_coco(*BOXES), "train"))
    (tmp_path / "train").rename(tmp_path / "elsewhere")
    (tmp_path / "moved").mkdir()
    (tmp_path / "elsewhere").rename(tmp_path / "moved" / "train")
    assert fingerprint(open_dataset(tmp_path / "moved", "train")) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"boxes": ([[1, 2, 30, 41]], BOXES[1])},
        {"boxes": (BOXES[1], BOXES[0])},
        {"categories": [{"id": 1, "name": "other"}]},
    ],
)
def test_a_change_of_boxes_or_classes_changes_it(write_coco, changed):
    before = fingerprint(open_dataset(write_coco(*BOXES), "train"))
    boxes = changed.pop("boxes", BOXES)
    assert fingerprint(open_dataset(write_coco(*boxes, **changed), "train"))["sha256"] != before["sha256"]
