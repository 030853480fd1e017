"""Where the class names and the splits of a YOLO data set are written, and what happens if two files say it."""

from __future__ import annotations

import pytest

from setpiece.data import available_splits, open_dataset
from setpiece.data.defects import Defect
from setpiece.errors import DataError

from .conftest import CLASSES, NAMES, yolo

LIST, OTHER = "bolt\nnut\n", "nut\nbolt\n"


def in_splits(image="images/{}/{}.jpg", labels="labels/{}/{}.txt"):
    """The images of both splits with their labels."""
    named = [(folder, name) for folder, split in (("train", "train"), ("val", "valid")) for name in NAMES[split]]
    return {image.format(*each): None for each in named} | {labels.format(*each): yolo(each[1]) for each in named}


def together():
    """The images of both splits in one folder."""
    names = NAMES["train"] + NAMES["valid"]
    return {f"images/{name}.jpg": None for name in names} | {f"labels/{name}.txt": yolo(name) for name in names}


def stems(root, split):
    return [example.path.stem for example in open_dataset(root, split).examples]


def darknet(name):
    return f"classes=2\ntrain=images/train\nvalid=images/val\nnames={name}.names\n"


TWO_LISTS = [
    ({"train/classes.txt": LIST}, {"val/classes.txt": OTHER}, "train/classes.txt", "val/classes.txt"),
    ({"labels/train/classes.txt": LIST}, {"labels/val/classes.txt": OTHER}, "train/classes.txt", "val/classes.txt"),
    ({"data.yaml": "names: [bolt, nut]\n"}, {"classes.txt": OTHER}, "data.yaml", "classes.txt"),
    ({"data.yaml": "names: [bolt, nut]\n"}, {"labels/classes.txt": OTHER}, "data.yaml", "labels/classes.txt"),
    ({"a.data": darknet("a"), "a.names": LIST}, {"b.data": darknet("b"), "b.names": OTHER}, "a.data", "b.data"),
]


@pytest.mark.parametrize(("one", "other", "first", "second"), TWO_LISTS)
def test_two_lists_of_classes_that_differ_are_refused_by_their_names(write, one, other, first, second):
    beside = "train/classes.txt" in one
    files = in_splits("{}/{}.jpg", "{}/{}.txt") if beside else in_splits()
    root = write(files | one)
    assert open_dataset(root, "train").classes == CLASSES
    write({name: text.replace(OTHER, LIST) for name, text in other.items()})
    assert open_dataset(root, "train").classes == CLASSES  # they say the same
    write(other)
    with pytest.raises(DataError, match=rf"{first} calls class 0 'bolt', and \S*{second} calls class 0 'nut': delete"):
        available_splits(root)


def test_a_list_of_classes_that_ends_earlier_is_another(write):
    root = write(in_splits() | {"data.yaml": "names: [bolt, nut, rivet]\n", "classes.txt": LIST})
    with pytest.raises(DataError, match=r"calls class 2 'rivet', and classes\.txt has no class 2"):
        available_splits(root)


def test_a_list_of_classes_in_a_folder_without_labels_says_nothing_against_another(write):
    root = write(in_splits() | {"data.yaml": "names: [bolt, nut]\n", "old/classes.txt": OTHER})
    assert open_dataset(root, "train").classes == CLASSES


def test_the_classes_that_labelimg_offers_count_only_where_no_others_are(write):
    root = write(together() | {"predefined_classes.txt": "dog\nbolt\ncat\nnut\n"})
    assert open_dataset(root, "train").classes == ("dog", "bolt", "cat", "nut")
    write({"labels/classes.txt": LIST})
    assert open_dataset(root, "train").classes == CLASSES


@pytest.mark.parametrize("names", [{"classes.txt": LIST}, {"data.yaml": "names: [bolt, nut]\n"}])
@pytest.mark.parametrize("line", ["images/{}.jpg\n", "/old/disk/images/{}.jpg\n", "{}\n"])
def test_lists_that_are_called_after_their_splits_are_read_without_a_yaml_that_names_them(write, names, line):
    lists = {"train.txt": "train", "val.txt": "valid"}
    files = {file: "".join(line.format(name) for name in NAMES[split]) for file, split in lists.items()}
    root = write(together() | names | files)
    assert available_splits(root) == ("train", "valid")
    assert all(stems(root, split) == NAMES[split] for split in lists.values())
    assert Defect.NO_SPLIT not in open_dataset(root, "train").defects.counts


def test_lists_beside_folders_of_splits_are_not_needed(write):
    root = write(in_splits() | {"classes.txt": LIST, "train.txt": "images/train/part_1.jpg\n"})
    assert stems(root, "train") == NAMES["train"]


def test_the_labels_of_an_image_called_train_are_no_list(write):
    root = write({"classes.txt": LIST} | {f"{name}.jpg": None for name in ("train", "part_1", "part_2")})
    write({"train.txt": yolo("part_1"), "part_1.txt": yolo("part_1"), "part_2.txt": ""})
    assert sum(len(open_dataset(root, split).examples) for split in available_splits(root)) == 3


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"val.txt": "images/held_1.jpg\n"}, r"val\.txt lists images, and no train\.txt does: write the lists"),
        (
            {"train.txt": "images/part_1.jpg\n", "training.txt": "images/part_2.jpg\n"},
            r"Both \S*train\.txt and training\.txt list the images of one split; keep one",
        ),
    ],
)
def test_lists_that_do_not_say_which_images_are_train_are_refused(write, lists, message):
    root = write(together() | {"classes.txt": LIST} | lists)
    with pytest.raises(DataError, match=message):
        available_splits(root)


@pytest.mark.parametrize("key", ["{}_dir", "{}-images", "{}_path"])
def test_a_key_that_says_where_the_images_of_a_split_are_is_read(write, key):
    files = in_splits("shots/{}/{}.jpg", "shots/{}/{}.txt")
    paths = "".join(f"{key.format(split)}: shots/{split}\n" for split in ("train", "val"))
    root = write(files | {"data.yaml": f"{paths}val_images: 2\ntrain_labels: none\nnames: [bolt, nut]\n"})
    assert available_splits(root) == ("train", "valid")
    assert all(stems(root, split) == NAMES[split] for split in NAMES)


def test_a_key_that_leads_nowhere_is_named(write):
    root = write(in_splits("shots/{}/{}.jpg", "shots/{}/{}.txt"))
    write({"data.yaml": "train_dir: shots/tarin\nval_dir: shots/val\nnames: [bolt, nut]\n"})
    with pytest.raises(DataError, match="`train_dir` names shots/tarin, which does not exist"):
        open_dataset(root, "train")
