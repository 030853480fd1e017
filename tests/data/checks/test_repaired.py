"""The repaired copy reads as the original does, has nothing left to repair, and says what was changed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from setpiece.data.checks import Settings, examine
from setpiece.data.checks.repaired import write_repaired
from setpiece.data.checks.survey import survey
from setpiece.data.sources import open_dataset
from setpiece.errors import DataError, OutputError, UsageError
from setpiece.records import InputSize

from .planted import LAYOUTS, clean


def defective(layout, root):
    data = clean()
    boxes = data.splits["train"][3].boxes
    boxes += [("cat", (30.0, 30.0, 30.0, 50.0)), ("dog", (70.0, 2.0, 120.0, 25.0)), boxes[0]]
    data.write(root, layout)
    data.file(root, layout, "train", data.splits["train"][5]).write_text("no image")
    return root


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_reads_as_the_original_does_and_nothing_is_left_to_repair(tmp_path, layout):
    root = defective(layout, tmp_path / "data")
    before = contents(root)
    lines = write_repaired(survey(root), tmp_path / "repaired")
    assert contents(root) == before
    for split in ("train", "valid"):
        was, now = open_dataset(root, split), open_dataset(tmp_path / "repaired", split)
        assert now.classes == was.classes
        for one, other in zip(was.examples, now.examples, strict=True):
            assert one.path.read_bytes() == other.path.read_bytes()
            np.testing.assert_allclose(other.boxes_xyxy, one.boxes_xyxy, atol=1e-4)
            np.testing.assert_array_equal(other.labels, one.labels)
        assert not now.defects.counts
    assert not [
        f for f in examine(tmp_path / "repaired", Settings(InputSize(96, 96))).findings if f.check.startswith("files")
    ]
    log = (tmp_path / "repaired" / "changes.txt").read_text().splitlines()
    assert len(log) == lines == 4
    for change in (
        "zero size: dropped",
        "clipped",
        "there twice: one is kept",
        "unreadable image: left out",
    ):
        assert any(change in line for line in log)


def test_an_image_annotated_as_stored_is_saved_as_it_was_annotated(write_coco, tmp_path_factory):
    root = write_coco([[32, 0, 32, 48]])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("RGB", (64, 48))
    picture.paste((255, 255, 255), (32, 0, 64, 48))
    picture.save(root / "train" / "0.jpg", exif=exif, quality=95)
    target = tmp_path_factory.mktemp("repaired")
    write_repaired(survey(root), target)
    dataset = open_dataset(target, "train")
    assert not dataset.defects.counts
    with Image.open(dataset.examples[0].path) as saved:
        assert np.asarray(saved)[:, 34:].min() > 200


@pytest.mark.parametrize("files", [["a/0.jpg", "b/0.jpg"], ["2-0.jpg", "a/0.jpg", "b/0.jpg", "c/0.JPG", "d/2-0.jpg"]])
def test_images_of_one_name_are_all_kept(tmp_path, write_image, files):
    for seed, file in enumerate(files):
        write_image(tmp_path / "data" / "train" / file, seed=seed)
    images = [{"id": i, "file_name": file, "height": 48, "width": 64} for i, file in enumerate(files)]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 2, 30, 20 + i]} for i in range(len(files))]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cell"}]}
    (tmp_path / "data" / "train" / "_annotations.coco.json").write_text(json.dumps(content))
    write_repaired(survey(tmp_path / "data"), tmp_path / "repaired")
    was, now = open_dataset(tmp_path / "data", "train"), open_dataset(tmp_path / "repaired", "train")
    for one, other in zip(was.examples, now.examples, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
    assert len({example.path.name.lower() for example in now.examples}) == len(files)


def test_where_no_split_can_be_read_there_is_no_copy(tmp_path):
    root = defective("yolo", tmp_path / "data")
    for split in ("train", "valid"):
        next((root / "labels" / split).iterdir()).write_text("0 0.5 0.5")
    with pytest.raises(DataError, match=r"no split that can be read, so there is no repaired copy: .*2 numbers behind"):
        write_repaired(survey(root), tmp_path / "repaired")
    assert not (tmp_path / "repaired").exists()


def test_nothing_is_overwritten_and_nothing_half_written_is_left(tmp_path, monkeypatch):
    root = defective("coco", tmp_path / "data")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    with pytest.raises(UsageError, match="mine exists and is not empty"):
        write_repaired(survey(root), tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]

    with pytest.raises(UsageError, match="lies in the data set"):
        write_repaired(survey(root), root / "repaired")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OutputError, match=r"repaired could not be written .No space left"):
        write_repaired(survey(root), tmp_path / "repaired")
    assert not (tmp_path / "repaired").exists()


def test_images_whose_boxes_may_not_fit_are_left_out(write_coco, write_image, tmp_path_factory):
    root = write_coco([[1, 2, 30, 40]], [[1, 2, 30, 40]])
    write_image(root / "train" / "1.jpg", (32, 24))
    target = tmp_path_factory.mktemp("repaired")
    assert write_repaired(survey(root), target) == 2  # its box is clipped, too
    assert [e.path.name for e in open_dataset(target, "train").examples] == ["0.jpg"]
    assert "left out of this copy" in (target / "changes.txt").read_text()


def test_a_copy_without_any_image_is_refused_and_nothing_is_written(write_coco, tmp_path_factory):
    images = [{"id": 10 + index, "file_name": f"{index}.jpg", "height": 48, "width": 48} for index in range(2)]
    found = survey(write_coco([[1, 2, 30, 20]], [[1, 2, 30, 20]], images=images))
    target = tmp_path_factory.mktemp("parent") / "repaired"
    with pytest.raises(DataError, match=r"no image of the size that is declared \(0 of 2\), so there is no"):
        write_repaired(found, target)
    with pytest.raises(DataError, match="no image that can be read, so there is no repaired copy"):
        write_repaired(replace(found, splits={s: replace(of, examples=()) for s, of in found.splits.items()}), target)
    assert not target.exists()


def test_a_name_with_what_is_no_character_is_in_the_log(write_coco, tmp_path_factory):
    images = [{"id": 10 + i, "file_name": name} for i, name in enumerate(["0.jpg", "a\ud83d.jpg", "\udce9"])]
    target = tmp_path_factory.mktemp("repaired")
    write_repaired(survey(write_coco([[1, 2, 30, 20]], images=images)), target)
    log = (target / "changes.txt").read_bytes()
    assert b"a?.jpg: missing image" in log
    assert b"\xe9: missing image" in log
