"""Which label file of YOLO is that of an image, where names or folders differ."""

from __future__ import annotations

import pytest

from setpiece.data import open_dataset
from setpiece.data.defects import Defect
from setpiece.data.sources import read_splits
from setpiece.errors import DataError

from .conftest import yolo

YAML = "train: images/{}\nval: images/val\nnames: [bolt, nut]\n"


@pytest.fixture
def read(write):
    """Write images and label files of a train split, and read it: (number of boxes by image, what was counted)."""

    def write_and_read(images, labels, folder="train"):
        files = {f"images/{name}": None for name in (*images, "val/held_1.jpg")}
        files |= {f"labels/{name}": yolo("part_1") for name in (*labels, "val/held_1.txt")}
        root = write(files | {"data.yaml": YAML.format(folder)})
        assert len(open_dataset(root, "valid").examples[0].labels) == 2
        dataset = open_dataset(root, "train")
        found = {str(each.path.relative_to(root / "images")): len(each.labels) for each in dataset.examples}
        return found, dataset.defects.counts

    return write_and_read


def test_labels_in_another_case_are_found_and_said(read):
    images = ["train/PART_1.JPG", "train/Ü.jpg", "train/part_3.jpg"]
    found, counts = read(images, ["train/part_1.txt", "train/ü.TXT", "train/part_3.txt"])
    assert found == dict.fromkeys(images, 2)
    assert counts == {Defect.OTHER_NAME: 2}


def test_images_that_differ_in_case_alone_keep_their_own_labels(read):
    found, counts = read(["train/a.jpg", "train/A.jpg"], ["train/a.txt"])
    assert found == {"train/a.jpg": 2, "train/A.jpg": 0}
    assert counts == {Defect.EMPTY_IMAGE: 1}


@pytest.mark.parametrize(("folder", "labels"), [("Train", "train"), ("train/Day", "TRAIN/day")])
def test_folders_of_labels_may_be_in_another_case(read, folder, labels):
    found, counts = read([f"{folder}/a.jpg", f"{folder}/b.jpg"], [f"{labels}/a.txt", f"{labels}/b.txt"], folder)
    assert set(found.values()) == {2}
    assert counts == {}


@pytest.mark.parametrize(("image", "labels"), [("part1/a", "a"), ("a", "part1/a"), ("day/part1/a", "part1/A")])
def test_labels_that_lie_deeper_or_less_deep_are_found_where_nothing_else_fits(read, image, labels):
    found, counts = read([f"train/{image}.jpg", "train/b.jpg"], [f"train/{labels}.txt", "train/b.txt"])
    assert set(found.values()) == {2}
    assert counts == {Defect.OTHER_NAME: 1}


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (["part1/a", "part2/a"], "a"),  # whose are they?
        (["part1/a"], "part2/a"),  # those of another image, which is gone
    ],
)
def test_labels_that_may_be_of_another_image_are_not_taken_and_not_to_be_deleted(read, images, labels):
    found, counts = read([f"train/{name}.jpg" for name in images], [f"train/{labels}.txt"])
    assert set(found.values()) == {0}
    assert counts == {Defect.MISPLACED_LABELS: 1, Defect.EMPTY_IMAGE: len(images)}


def test_labels_of_no_image_are_told_from_those_of_an_image_in_another_case(read):
    _, counts = read(["train/a.jpg"], ["train/a.txt", "train/gone.txt"])
    assert counts == {Defect.UNUSED_LABELS: 1}


def test_a_file_of_labels_is_taken_by_one_split_alone(write):
    files = {"train/a.jpg": None, "val/a.jpg": None, "labels/old/a.txt": yolo("part_1"), "data.yaml": "names: [b, n]"}
    train, valid = read_splits(write(files)).values()
    assert [len(train.examples[0].labels), len(valid.examples[0].labels)] == [0, 0]
    assert train.defects.counts[Defect.MISPLACED_LABELS] == 1


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "a/" * 3000 + "x.jpg", "data:image/png;base64," + "A/b+" * 2000])
def test_a_list_may_name_an_image_that_no_file_system_could_have(write, name):
    root = write({"images/a.jpg": None, "labels/a.txt": yolo("part_1"), "train.txt": f"images/a.jpg\n{name}\n"})
    write({"data.yaml": "train: train.txt\nnames: [bolt, nut]\n"})
    dataset = open_dataset(root, "train")
    assert len(dataset.examples[0].labels) == 2
    assert dataset.defects.counts == {Defect.MISSING_IMAGE: 1}


@pytest.mark.parametrize(
    "config",
    [
        {"obj.data": "classes=2\ntrain=data/train.txt\nnames=data/obj.names\n", "obj.names": "bolt\nnut\n",
         "train.txt": "data/obj_train_data/part_1.jpg\n"},
        {"classes.txt": "bolt\nnut\n"},
        {"data.yaml": "train: images/train\nnames: [bolt, nut]\n"},
    ],
)  # fmt: skip
def test_labels_without_any_image_say_that_first(write, config):
    root = write(config | {"obj_train_data/part_1.txt": yolo("part_1")})
    message = r"^The export in \S+ holds no images: export again with images, or put them beside .*obj_train_data\.$"
    with pytest.raises(DataError, match=message):
        open_dataset(root, "train")
