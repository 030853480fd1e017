"""Annotations in the folder of a data set that no split reads are counted, and a second layout is named."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image

from setpiece.data import available_splits, open_dataset
from setpiece.data.defects import Defect
from setpiece.data.sources import read_splits

from .checks.planted import LAYOUTS, clean, noise


def write(root, layout, keep=6):
    data = clean()
    data.splits = {split: pictures[:keep] for split, pictures in data.splits.items()}
    return data.write(root / "data", layout)


def unread(root, kind=Defect.UNREAD_ANNOTATIONS):
    """What is said of them: once, though there are two splits."""
    found = [place for dataset in read_splits(root).values() for place in dataset.defects.places.get(kind, [])]
    assert len(open_dataset(root, "train").defects.places.get(kind, [])) == len(found)
    return sorted(place.text.removeprefix(f"{root}/") for place in found)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_said_where_all_is_read(tmp_path, layout):
    root = write(tmp_path, layout)
    assert all(not dataset.defects.counts for dataset in read_splits(root).values())


@pytest.mark.parametrize("folder", ["train_aug", "holdout", "old_valid"])
def test_a_folder_in_the_layout_of_roboflow_that_is_no_split(tmp_path, folder):
    root = write(tmp_path, "coco")
    shutil.copytree(root / "train", root / folder)
    assert unread(root) == [f"{folder}/_annotations.coco.json"]


@pytest.mark.parametrize("name", ["train/_annotations.coco (1).json", "more/deep/instances_extra.json"])
def test_a_second_coco_file(tmp_path, name):
    root = write(tmp_path, "coco")
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / "train" / "_annotations.coco.json", root / name)
    (root / "statistics.json").write_text('{"images": 12}')
    assert unread(root) == [name]


def test_yolo_images_in_a_folder_of_no_split(tmp_path):
    root = write(tmp_path, "yolo")
    for folder in ("images", "labels"):
        shutil.copytree(root / folder / "train", root / folder / "extra")
    assert unread(root) == [f"labels/extra/train{number}.txt" for number in range(1, 7)]


def test_yolo_labels_of_images_that_no_list_names(tmp_path):
    root = write(tmp_path, "yolo")
    (root / "train.txt").write_text("".join(f"images/train/train{number}.jpg\n" for number in (1, 2, 3, 4)))
    config = root / "data.yaml"
    config.write_text(config.read_text().replace("images/train", "train.txt"))
    assert unread(root) == ["labels/train/train5.txt", "labels/train/train6.txt"]


def test_voc_files_and_lists_of_no_split(tmp_path):
    root = write(tmp_path, "voc")
    lists = root / "ImageSets" / "Main"
    (lists / "train.txt").write_text("train1\ntrain2\ntrain3\ntrain4\n")
    (lists / "holdout.txt").write_text("train5\n")
    for name in ("cat_train.txt", "cat_trainval.txt", "trainval.txt"):  # which VOC itself has
        (lists / name).write_text("train1 1\n")
    expected = ["Annotations/train5.xml", "Annotations/train6.xml", "ImageSets/Main/holdout.txt"]
    assert unread(root) == expected


@pytest.mark.parametrize("moved", ["flat", "another folder"])
def test_yolo_labels_that_lie_elsewhere_are_an_error_of_their_own(tmp_path, moved):
    root = write(tmp_path, "yolo")
    if moved == "flat":
        for path in list((root / "labels").rglob("*.txt")):
            path.rename(root / "labels" / path.name)
    else:
        (root / "labels").rename(root / "annotations")
    assert len(unread(root, Defect.MISPLACED_LABELS)) == 12
    assert unread(root) == []
    assert open_dataset(root, "train").defects.counts[Defect.EMPTY_IMAGE] == 6


def test_labels_of_another_image_of_the_name_are_not_those_of_a_background_image(tmp_path):
    root = write(tmp_path, "yolo")
    for folder in ("images", "labels"):
        shutil.copytree(root / folder / "train", root / folder / "extra")
    (root / "labels" / "train" / "train1.txt").write_text("")
    assert unread(root, Defect.MISPLACED_LABELS) == []
    assert len(unread(root)) == 6


@pytest.mark.parametrize(("first", "second"), [("coco", "yolo"), ("coco", "voc"), ("yolo", "voc")])
def test_of_two_layouts_in_a_folder_one_is_read_and_both_are_named(tmp_path, first, second):
    root = write(tmp_path, first)
    write(tmp_path, second)
    names = {"coco": "COCO", "yolo": "YOLO", "voc": "Pascal VOC"}
    said = unread(root)
    assert len(said) == 12
    assert all(text.endswith(f", {names[second]} where {names[first]} is read") for text in said)


@pytest.mark.parametrize(("partial", "whole"), [("coco", "yolo"), ("yolo", "voc"), ("coco", "voc")])
def test_the_layout_with_more_splits_is_read_so_that_validation_does_not_disappear(tmp_path, partial, whole):
    root = write(tmp_path, whole)
    data = clean()
    data.splits = {"train": data.splits["train"][:6]}
    data.write(root, partial)
    assert available_splits(root) == ("train", "valid")
    names = {"coco": "COCO", "yolo": "YOLO", "voc": "Pascal VOC"}
    assert all(f", {names[partial]} where {names[whole]} is read" in text for text in unread(root))
    assert unread(root)


OUTPUTS = {
    "run": {"cells/run.json": '{"data": "data", "model": "sprint-n"}', "cells/pictures/a.png": None},
    "run called as a split": {"train2/run.json": '{"data": ".", "model": "sprint-n"}', "train2/pictures/a.png": None},
    "run in runs": {"runs/data-sprint-n/recording/probe-0.jpg": None},
    "run of another trainer": {"runs/detect/predict/a.jpg": None, "runs/detect/predict/a.txt": "0 .5 .5 .1 .1 .9\n"},
    "predictions": {"predictions/predictions.json": '[{"category_name": "cat"}]', "predictions/a.png": None},
    "predictions of nothing": {"predictions/predictions.json": "[]\n", "predictions/a.png": None},
}


def put(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            Image.fromarray(noise(len(name))).save(root / name)
        else:
            (root / name).write_text(text)


@pytest.mark.parametrize("layout", [*LAYOUTS, "flat"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_pictures_and_labels_that_a_run_or_a_prediction_wrote_are_no_data_and_said_once(tmp_path, layout, output):
    if layout == "flat":
        root = tmp_path / "data"
        put(root, {"classes.txt": "cat\ndog\n"})
        put(
            root,
            {f"{number}.{end}": text for number in range(6) for end, text in (("jpg", None), ("txt", "0 .5 .5 .1 .1"))},
        )
    else:
        root = write(tmp_path, layout)
    before = {split: len(dataset.examples) for split, dataset in read_splits(root).items()}
    put(root, OUTPUTS[output])
    found = read_splits(root)
    assert {split: len(dataset.examples) for split, dataset in found.items()} == before
    said = unread(root, Defect.OUTPUT_IMAGE)
    assert len(said) == 1
    assert all(dataset.defects.counts.keys() <= {Defect.NO_SPLIT, Defect.OUTPUT_IMAGE} for dataset in found.values())


def test_nothing_is_said_of_outputs_without_images(tmp_path):
    root = write(tmp_path, "yolo")
    put(root, {"runs/x/run.json": "{}", "runs/x/metrics.jsonl": "{}"})
    assert all(not dataset.defects.counts for dataset in read_splits(root).values())


@pytest.mark.parametrize("name", ["run.json", "predictions.json"])
def test_files_of_other_programs_that_are_called_as_ours_hide_nothing(tmp_path, name):
    root = write(tmp_path, "yolo")
    put(root, {f"images/{split}/{name}": '[{"image_id": 1, "score": 0.5}]' for split in ("train", "valid")})
    assert [len(dataset.examples) for dataset in read_splits(root).values()] == [6, 6]


def test_a_data_set_in_a_folder_called_runs_is_read_where_that_is_named(tmp_path):
    root = write(tmp_path, "yolo").rename(tmp_path / "runs")
    assert len(open_dataset(root, "train").examples) == 6


def test_what_coco_says_otherwise_of_the_images_is_not_missed(tmp_path):
    root = write(tmp_path, "coco")
    (root / "annotations").mkdir()
    for split in ("train", "valid"):
        file = (root / split / "_annotations.coco.json").rename(root / "annotations" / f"instances_{split}.json")
        for kind in ("person_keypoints", "stuff"):
            shutil.copy(file, root / "annotations" / f"{kind}_{split}.json")
    assert unread(root) == []
    shutil.copy(file, root / "annotations" / "person_keypoints_other.json")
    assert unread(root) == ["annotations/person_keypoints_other.json"]
