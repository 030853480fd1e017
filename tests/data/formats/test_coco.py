from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from setpiece.data import available_splits, open_dataset
from setpiece.data.defects import Defect
from setpiece.errors import DataError, UsageError


def test_reads_roboflow_folders(write_coco):
    root = write_coco([[10, 5, 20, 30]], [[1, 2, 3, 4], [0, 0, 64, 48]])
    dataset = open_dataset(root, "train")
    assert dataset.classes == ("cell",)
    assert dataset.category_ids == (1,)
    assert [example.image_id for example in dataset.examples] == [10, 11]
    np.testing.assert_array_equal(dataset.examples[0].boxes_xyxy, [[10, 5, 30, 35]])
    assert len(dataset.examples[1].labels) == 2
    assert dataset.defects.summary() == []


@pytest.mark.parametrize("folder", ["val2017", "images/val2017", "images/val", "val", "images", ""])
def test_reads_coco_folders_wherever_the_images_are(tmp_path, write_coco, folder):
    root = write_coco([[10, 5, 20, 30]])
    (root / "annotations").mkdir()
    (root / "train" / "_annotations.coco.json").rename(root / "annotations" / "instances_val2017.json")
    (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.move(root / "train" / "0.jpg", root / folder / "0.jpg")
    assert available_splits(root) == ("valid",)
    assert open_dataset(root, "val").examples[0].path == tmp_path / folder / "0.jpg"


def test_two_annotation_files_for_one_split_are_an_error(write_coco):
    root = write_coco([])
    (root / "annotations").mkdir()
    for year in (2014, 2017):
        shutil.copy(root / "train" / "_annotations.coco.json", root / "annotations" / f"instances_val{year}.json")
    (root / "train" / "_annotations.coco.json").unlink()
    with pytest.raises(DataError, match=r"instances_val2014\.json and instances_val2017\.json"):
        available_splits(root)


def test_val_and_valid_are_one_split_whichever_the_folder_is_called(write_coco):
    root = write_coco([], split="val")
    write_coco([])
    assert available_splits(root) == ("train", "valid")
    assert open_dataset(root, "val").split == open_dataset(root, "valid").split == "valid"


SPARSE = [
    {"id": 0, "name": "things", "supercategory": "none"},
    {"id": 90, "name": "fork", "supercategory": "things"},
    {"id": 7, "name": "cup", "supercategory": "things"},
]


def test_an_unused_root_category_is_no_class_and_ids_may_be_sparse(write_coco):
    root = write_coco([{"bbox": [1, 2, 3, 4], "category_id": 7}], categories=SPARSE)
    dataset = open_dataset(root, "train")
    assert dataset.classes == ("fork", "cup")
    assert dataset.category_ids == (90, 7)
    assert dataset.examples[0].labels.tolist() == [1]


def test_a_root_category_with_annotations_is_a_class(write_coco):
    root = write_coco([{"bbox": [1, 2, 3, 4], "category_id": 0}], categories=SPARSE)
    assert open_dataset(root, "train").classes == ("things", "fork", "cup")


def test_a_root_category_of_the_same_name_as_its_class_is_dropped(write_coco):
    categories = [
        {"id": 0, "name": "cup", "supercategory": "none"},
        {"id": 1, "name": "cup", "supercategory": "cup"},
    ]
    assert open_dataset(write_coco([[1, 2, 3, 4]], categories=categories), "train").classes == ("cup",)


def test_every_split_has_the_classes_of_the_train_split(write_coco):
    # The root category is used in `train` only.
    root = write_coco([{"bbox": [1, 2, 3, 4], "category_id": 0}], categories=SPARSE)
    write_coco([{"bbox": [1, 2, 3, 4], "category_id": 7}], split="valid", categories=SPARSE)
    dataset = open_dataset(root, "valid")
    assert dataset.classes == ("things", "fork", "cup")
    assert dataset.examples[0].labels.tolist() == [2]


def test_splits_that_disagree_about_a_category_are_an_error(write_coco):
    root = write_coco([[1, 2, 3, 4]])
    write_coco([], split="valid", categories=[{"id": 1, "name": "fork"}])
    with pytest.raises(DataError, match=r"Category 1 is 'fork' in .*valid.* and 'cell' in .*train"):
        open_dataset(root, "valid")


@pytest.mark.parametrize("number", [[1], {}, None, "1"])
def test_a_category_of_valid_whose_id_is_none_is_no_error_where_nothing_has_it(write_coco, number):
    root = write_coco([[1, 2, 30, 30]])
    write_coco([[1, 2, 30, 30]], split="valid", categories=[{"id": 1, "name": "cell"}, {"id": number, "name": "x"}])
    assert open_dataset(root, "valid").classes == ("cell",)


def test_ids_and_areas_survive_the_way_into_coco(write_coco):
    boxes = [
        {"bbox": [1, 2, 3, 4], "category_id": 7, "area": 5.5},
        {"bbox": [0, 0, 9, 9], "category_id": 90, "iscrowd": 1},
    ]
    coco = open_dataset(write_coco(boxes, [], categories=SPARSE), "train").to_coco()
    assert [image["id"] for image in coco["images"]] == [10, 11]
    assert coco["images"][0] == {"id": 10, "file_name": "0.jpg", "height": 48, "width": 64}
    assert [annotation["id"] for annotation in coco["annotations"]] == [1, 2]
    assert coco["annotations"][0] == {
        "id": 1,
        "image_id": 10,
        "category_id": 7,
        "bbox": [1.0, 2.0, 3.0, 4.0],
        "area": 5.5,
        "iscrowd": 0,
    }
    assert coco["annotations"][1]["area"] == 81.0
    assert coco["annotations"][1]["iscrowd"] == 1
    assert coco["categories"] == [{"id": 90, "name": "fork"}, {"id": 7, "name": "cup"}]
    json.dumps(coco)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"category_id": 5, "bbox": [1, 2, 3, 4]}, "the category 5, which is not among the 1 of `categories`; add it"),
        ({"category_id": "1", "bbox": [1, 2, 3, 4]}, "and its id is a text: write it without quotes"),
        ({"category_id": [1], "bbox": [1, 2, 3, 4]}, "annotation 0 has the category"),
        ({"image_id": 99, "bbox": [1, 2, 3, 4]}, "annotation 0 is for the image 99, .* add it to `images`, or delete"),
        ({"bbox": [1, 2, 3]}, "annotation 0 has the bbox"),
        ({"bbox": "1234"}, "annotation 0 has the bbox"),
        ({"bbox": ["a", 2, 3, 4]}, "annotation 0 has the bbox"),
        ({}, "annotation 0 has the bbox None"),
    ],
)
def test_an_annotation_that_cannot_be_understood_is_named(write_coco, annotation, message):
    root = write_coco([annotation])
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(root, "train")
    assert "_annotations.coco.json" in str(caught.value)


@pytest.mark.parametrize(
    ("replace", "message"),
    [
        ({"images": [{"id": 1, "file_name": "0.jpg"}, {"id": 1, "file_name": "1.jpg"}]}, "two images of id 1"),
        ({"images": [{"id": "one", "file_name": "0.jpg"}]}, "integer id"),
        ({"images": [{"id": "1", "file_name": "0.jpg"}]}, "and its id is a text: write it without quotes"),
        ({"categories": [{"id": 1, "name": " "}]}, "no name for class 1 of 1"),
        ({"images": None}, "no list of objects named 'images'"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}, "class 'a' twice"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "two categories of id 1"),
        ({"categories": [{"id": "1", "name": "a"}]}, "integer id"),
    ],
)
def test_a_malformed_list_is_an_error(write_coco, replace, message):
    with pytest.raises(DataError, match=message):
        open_dataset(write_coco([], **replace), "train")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"images": []}', "\xff", "[" * 100_000])
def test_a_file_that_is_no_annotation_file_is_named(write_coco, text):
    root = write_coco([])
    (root / "train" / "_annotations.coco.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"_annotations\.coco\.json"):
        open_dataset(root, "train")


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def test_a_file_that_git_left_in_the_place_of_a_large_one_is_told_with_what_fetches_it(write_coco):
    root = write_coco([[1, 2, 30, 30]], [[1, 2, 30, 30]])
    (root / "train" / "1.jpg").write_text(POINTER)
    (line,) = open_dataset(root, "train").defects.summary()
    assert line.startswith("1 unreadable image: left out")
    assert "1.jpg is a pointer of git-lfs" in line
    (root / "train" / "_annotations.coco.json").write_text(POINTER)
    with pytest.raises(
        DataError, match=r"coco\.json is a pointer of git-lfs, and not the file itself: run `git lfs pull`"
    ):
        open_dataset(root, "train")


def test_a_missing_folder_a_missing_split_and_an_unknown_layout_are_told_apart(tmp_path, write_coco):
    with pytest.raises(UsageError, match="does not exist"):
        open_dataset(tmp_path / "nowhere", "train")
    with pytest.raises(UsageError, match="is a file; give the folder"):
        open_dataset(Path(__file__), "train")
    with pytest.raises(DataError, match=r"No data set is recognised in .*data\.yaml"):
        open_dataset(tmp_path, "train")
    with pytest.raises(UsageError, match="no split 'test'; it has: train"):
        open_dataset(write_coco([]), "test")


def test_a_data_set_without_one_readable_image_is_an_error(write_coco):
    root = write_coco([], [])
    for path in root.glob("train/*.jpg"):
        path.unlink()
    with pytest.raises(
        DataError,
        match=r"None of the 2 images that .*coco\.json names is there, as .*train/0\.jpg: export again with images",
    ):
        open_dataset(root, "train")
    for number in range(2):
        (root / "train" / f"{number}.jpg").write_text("no image")
    with pytest.raises(DataError, match="no image that can be read: 2 unreadable images"):
        open_dataset(root, "train")


@pytest.mark.parametrize(
    ("written", "crowd"),
    [
        *((value, False) for value in (0, 0.0, False, None, "0", "false", "False", " FALSE ")),
        *((value, True) for value in (1, 1.0, True, "1", "true", "True")),
    ],
)
def test_a_crowd_is_said_in_any_spelling_of_a_truth_value(write_coco, written, crowd):
    dataset = open_dataset(write_coco([{"bbox": [1, 2, 30, 30], "iscrowd": written}]), "train")
    assert dataset.examples[0].crowd.tolist() == [crowd]


@pytest.mark.parametrize("written", [2, "no", "perhaps", []])
def test_what_is_no_truth_value_is_refused_by_name(write_coco, written):
    root = write_coco([{"bbox": [1, 2, 30, 30], "iscrowd": written}])
    with pytest.raises(DataError, match=r"coco\.json: annotation 0 has the iscrowd .*: write 0 or 1\."):
        open_dataset(root, "train")


def test_ids_that_pandas_wrote_as_fractions_are_integers(write_coco):
    images = [{"id": 10.0, "file_name": "0.jpg", "height": 48, "width": 64}]
    categories = [{"id": 1.0, "name": "cell"}]
    root = write_coco(
        [{"bbox": [1, 2, 30, 30], "image_id": 10.0, "category_id": 1.0}, {"bbox": [5, 5, 0, 9], "id": 7.0}],
        images=images,
        categories=categories,
    )
    dataset = open_dataset(root, "train")
    assert dataset.to_coco()["images"][0]["id"] == 10
    assert repr(dataset.category_ids) == "(1,)"
    assert len(dataset.examples[0].labels) == 1
    assert "annotation 7, " in dataset.defects.summary()[0]


@pytest.mark.parametrize("name", [0, 1.5])
def test_a_class_that_is_called_by_a_number_without_quotes_is_told_so(write_coco, name):
    root = write_coco([], categories=[{"id": 1, "name": name}])
    with pytest.raises(DataError, match="has a number as its name: write it in quotes"):
        open_dataset(root, "train")


def test_a_class_of_another_id_in_valid_is_told_with_both_ids(write_coco):
    root = write_coco([[1, 2, 30, 30]])
    box = {"bbox": [1, 2, 30, 30], "category_id": 11}
    write_coco([box], split="valid", categories=[{"id": 11, "name": "cell"}])
    with pytest.raises(
        DataError, match=r"annotation 0 is of the class 'cell', which has the id 11 there and 1 in .*train.*; give each"
    ):
        open_dataset(root, "valid")


@pytest.mark.parametrize(
    ("ids", "repeated"), [((1, 1, 1.0), 2), ((1, 2, 1), 1), ((1, 2, 3), 0), ((None, None, "a"), 0)]
)
def test_annotations_of_one_id_are_read_and_counted(write_coco, ids, repeated):
    boxes = [{"bbox": [1 + place, 2, 30, 30], "id": each} for place, each in enumerate(ids)]
    dataset = open_dataset(write_coco(boxes), "train")
    assert len(dataset.examples[0].labels) == 3
    assert dataset.defects.counts == ({Defect.REPEATED_ID: repeated} if repeated else {})


POINTS = [[10, 20], [30, 20], [30, 40], [10, 40]]


@pytest.mark.parametrize("outline", [[POINTS], POINTS, [POINTS, [[12, 22], [14, 22], [14, 24]]]])
def test_an_outline_of_pairs_has_the_box_around_it(write_coco, outline):
    dataset = open_dataset(write_coco([{"segmentation": outline, "bbox": None}]), "train")
    assert dataset.examples[0].boxes_xyxy.tolist() == [[10, 20, 30, 40]]
    assert dataset.defects.counts == {Defect.HULL_BOX: 1}


def renamed(root, names):
    """The annotation file of the train split, its images called otherwise."""
    path = root / "train" / "_annotations.coco.json"
    content = json.loads(path.read_text())
    for image, name in zip(content["images"], names, strict=True):
        image["file_name"] = name
    path.write_text(json.dumps(content))
    return root


def test_an_image_that_is_embedded_in_the_json_is_missing_and_told_what_to_do(write_coco):
    root = renamed(write_coco([[1, 2, 30, 30]], [[1, 2, 30, 30]]), ["0.jpg", "data:image/jpeg;base64," + "A/9b" * 2000])
    dataset = open_dataset(root, "train")
    assert [example.path.name for example in dataset.examples] == ["0.jpg"]
    line = dataset.defects.summary()[0]
    assert line.startswith("1 missing image: left out")
    assert "image 11, embedded in the JSON: save it as a file" in line
    assert len(line) < 400


@pytest.mark.parametrize("letter", ["a", "猫", "😀"])
def test_names_too_long_for_a_file_are_missing_images_each_said_shortly(write_coco, letter):
    names = ["0.jpg", *(letter * 300 + f"{number}" + letter * 300 + ".jpg" for number in range(2))]
    dataset = open_dataset(renamed(write_coco([[1, 2, 30, 30]], [], []), names), "train")
    assert dataset.defects.counts == {Defect.MISSING_IMAGE: 2, Defect.UNLISTED_IMAGE: 2}
    assert len(dataset.defects.summary()[0]) < 300


def test_names_that_go_up_and_down_again_are_the_files_that_they_lead_to(write_coco):
    names = ["../train/0.jpg", "sub/../1.jpg", "2.jpg"]
    dataset = open_dataset(renamed(write_coco([[1, 2, 30, 30]], [[1, 2, 30, 30]], [[1, 2, 30, 30]]), names), "train")
    assert [example.path.name for example in dataset.examples] == ["0.jpg", "1.jpg", "2.jpg"]
    assert dataset.defects.summary() == []


def test_one_file_under_two_names_is_read_once(write_coco):
    root = renamed(write_coco([[1, 2, 30, 30]], [[5, 6, 30, 30]]), ["0.jpg", "../train/0.jpg"])
    (root / "train" / "1.jpg").unlink()
    dataset = open_dataset(root, "train")
    assert [len(example.labels) for example in dataset.examples] == [2]
    assert dataset.defects.counts == {Defect.REPEATED_IMAGE: 1}


def test_images_of_the_train_folder_are_never_those_of_valid(write_coco):
    root = write_coco([[1, 2, 30, 30]], [[1, 2, 30, 30]])
    (root / "annotations").mkdir()
    for split in ("train", "val"):
        shutil.copy(root / "train" / "_annotations.coco.json", root / "annotations" / f"instances_{split}.json")
    (root / "train" / "_annotations.coco.json").unlink()
    (root / "images").mkdir()
    shutil.move(root / "train", root / "images" / "train")
    assert len(open_dataset(root, "train").examples) == 2
    with pytest.raises(DataError, match=r"None of the 2 images that .*instances_val\.json names is there"):
        open_dataset(root, "valid")
