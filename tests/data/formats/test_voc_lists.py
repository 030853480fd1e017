"""Splits of a VOC data set that somebody wrote down."""

from __future__ import annotations

import pytest

from setpiece.data import available_splits, open_dataset
from setpiece.data.defects import Defect
from setpiece.errors import DataError

from .conftest import NAMES, voc


@pytest.fixture
def write_listed(write):
    """A data set of VOC's folders with a line for each image in the list of its split."""

    def write_all(place, line, **others):
        files = {f"JPEGImages/{name}.jpg": None for names in NAMES.values() for name in names}
        files |= {f"Annotations/{name}.xml": voc(name) for names in NAMES.values() for name in names}
        for split, names in NAMES.items():
            files[place.format(split)] = "".join(f"{line.format(name)}\n" for name in names)
        return write(files | others)

    return write_all


def read_names(root):
    datasets = {split: open_dataset(root, split) for split in available_splits(root)}
    assert all(dataset.defects.counts == {} for dataset in datasets.values())
    return {split: sorted(example.path.stem for example in dataset.examples) for split, dataset in datasets.items()}


SORTED = {split: sorted(names) for split, names in NAMES.items()}


@pytest.mark.parametrize("place", ["ImageSets/Main/{}.txt", "ImageSets/{}.txt", "{}.txt", "{}_list.txt"])
@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "{}.jpg",
        "./JPEGImages/{}.jpg ./Annotations/{0}.xml",
        "JPEGImages/{}.jpg\tAnnotations/{0}.xml",
        "/data/set/JPEGImages/{}.JPG /data/set/Annotations/{0}.xml",
    ],
)
def test_a_list_of_a_split_is_read_wherever_it_lies_and_whether_or_not_it_names_the_xml(write_listed, place, line):
    line = line.replace("{}", "{0}")
    assert read_names(write_listed(place, line)) == SORTED


def test_names_with_spaces_are_no_pairs_by_themselves(write):
    files = {f"JPEGImages/{name}.jpg": None for name in ("a b", "c.v1 d")}
    files |= {f"Annotations/{name}.xml": voc("part_1") for name in ("a b", "c.v1 d")}
    root = write(files | {"train.txt": "a b\n./JPEGImages/c.v1 d.jpg ./Annotations/c.v1 d.xml\n"})
    assert read_names(root) == {"train": ["a b", "c.v1 d"]}


def test_a_pair_says_which_image_is_meant_even_where_another_one_is_called_as_the_xml(write):
    root = write({"JPEGImages/part_1.jpg": None, "JPEGImages/photo.jpg": None, "Annotations/part_1.xml": voc("x")})
    write({"train.txt": "JPEGImages/photo.jpg Annotations/part_1.xml"})
    assert read_names(root) == {"train": ["photo"]}


def test_texts_beside_the_folders_that_name_no_xml_file_are_no_lists(write_listed):
    others = {"train_log.txt": "epoch 1\n", "test.txt": "a note\n", "label_list.txt": "bolt\nnut\n"}
    assert read_names(write_listed("{}.txt", "{}", **others)) == SORTED


def test_two_lists_of_one_split_are_an_error_that_names_both(write_listed):
    root = write_listed("{}.txt", "{}", **{"train_list.txt": "part_1\n"})
    with pytest.raises(DataError, match=r"Both .*train\.txt and .*train_list\.txt list the split 'train'"):
        available_splits(root)


def test_images_in_the_folder_of_another_split_are_never_meant(write):
    root = write({f"Annotations/{name}.xml": voc(name) for name in ("part_1", "held_1", "held_2")})
    write({"ImageSets/Main/train.txt": "part_1", "ImageSets/Main/val.txt": "held_1\nheld_2"})
    write({f"JPEGImages/train/{name}.jpg": None for name in ("part_1", "held_1")} | {"JPEGImages/held_2.jpg": None})
    assert [example.path.stem for example in open_dataset(root, "train").examples] == ["part_1"]
    dataset = open_dataset(root, "valid")
    assert [example.path.stem for example in dataset.examples] == ["held_2"]
    assert dataset.defects.counts == {Defect.MISSING_IMAGE: 1}


def test_a_missing_image_is_said_by_the_name_that_its_file_says_cut_where_no_file_can_have_it(write):
    root = write({"train/part_1.xml": voc("part_1"), "train/part_1.jpg": None})
    write({"train/part_2.xml": voc("part_2", "y" * 300 + ".jpg")})
    dataset = open_dataset(root, "train")
    assert [example.path.stem for example in dataset.examples] == ["part_1"]
    (line,) = dataset.defects.summary()
    assert line.startswith("1 missing image: left out")
    assert "train/yyyyyyyy" in line
    assert len(line) < 300
