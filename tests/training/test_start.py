"""What a run is started on: data without objects, without images to evaluate on, and with files that break."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from setpiece.errors import DataError
from setpiece.runs.layout import RunFolder
from setpiece.training import loop
from setpiece.training.config import resolve
from setpiece.training.display import Display
from setpiece.training.start import open_data, start_training

SETTINGS = {"size": 64, "batch_size": 2, "evaluations": 2, "precision": "fp32"}


@pytest.fixture
def write(tmp_path):
    """Write a split in Roboflow's layout, one list of boxes (xywh) per image of 64x48 pixels. Returns the folder."""

    def write(split, *boxes_of_image):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        images, annotations = [], []
        for number, boxes in enumerate(boxes_of_image):
            noise = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
            Image.fromarray(noise).save(folder / f"{split}_{number}.jpg")
            images.append({"id": number, "file_name": f"{split}_{number}.jpg"})
            annotations += [{"id": 1, "image_id": number, "category_id": 1, "bbox": box} for box in boxes]
        content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "bolt"}]}
        (folder / "_annotations.coco.json").write_text(json.dumps(content))
        return tmp_path / "data"

    return write


@pytest.fixture
def train(tmp_path):
    """Train two epochs; returns the result, the run's folder and all that was said."""

    def train(data, display=Display):
        text = io.StringIO()
        config = resolve(data, "detr-tiny", epochs=2, **SETTINGS)
        result = start_training(config, tmp_path / "run", display=display(Console(file=text, width=500)))
        return result, RunFolder(tmp_path / "run"), text.getvalue()

    return train


BOX = [10, 5, 20, 30]


@pytest.mark.parametrize("boxes", [[[], []], [[[5, 5, 0, 0]], []]])
def test_training_images_without_objects_are_refused(write, boxes):
    root = write("train", *boxes)
    with pytest.raises(DataError, match=r"No training image of .*data has an object to learn from; .*2 images"):
        open_data(root)


def test_validation_images_without_objects_leave_nothing_to_measure_but_a_checkpoint(write, train):
    root = write("train", [BOX], [BOX])
    write("valid", [], [])
    result, run, said = train(root)
    assert "data/valid has no objects: there is nothing to measure" in said
    assert said.count("nothing to measure") == 3  # and at each evaluation
    assert "-1" not in said.replace("e-1", "")
    assert "nan" not in said
    assert result.folder == run.best
    assert json.loads((run.best / "metrics.json").read_text())["AP"] is None
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [row["AP"] for row in rows] == [None, None]
    assert (run.best / "model.safetensors").read_bytes() == (run.last / "model.safetensors").read_bytes()


@pytest.mark.parametrize("test_split", [False, True])
def test_a_validation_split_that_lists_no_image_counts_as_none(write, train, test_split):
    root = write("train", [BOX], [BOX])
    write("valid")
    if test_split:
        write("test", [BOX])
        assert [example.path.name for example in open_data(root)[1].examples] == ["test_0.jpg"]
    else:
        result, run, said = train(root)
        assert "has no images in a valid or test split: nothing will be evaluated" in said
        assert (result.folder, result.metrics) == (run.last, None)


def test_validation_images_that_are_all_missing_are_an_error(write):
    root = write("train", [BOX])
    write("valid", [BOX])
    (root / "valid" / "valid_0.jpg").unlink()
    with pytest.raises(DataError, match=r"valid.* leads to no image that can be read: 1 missing image"):
        open_data(root)


def test_files_that_break_during_a_run_do_not_stop_it(write, train, caplog):
    root = write("train", [BOX], [BOX], [BOX])
    write("valid", [BOX], [BOX])

    class Breaking(Display):
        def say(self, text):
            super().say(text)
            if text.startswith("Training detr-tiny"):  # the images were checked
                (root / "train" / "train_0.jpg").write_bytes(b"")
                (root / "valid" / "valid_1.jpg").unlink()

    result, run, _ = train(root, Breaking)
    assert result.metrics is not None
    assert len(list(run.pictures.iterdir())) == 2
    assert [record.message.count("valid_1.jpg does not exist") for record in caplog.records] == [1]


def test_a_training_file_that_breaks_before_its_turn_is_shown_without_objects(write, train, caplog, monkeypatch):
    root = write("train", [BOX], [BOX], [BOX])
    write("valid", [BOX])
    opened = loop.Trainer.__init__

    def breaking(self, config, accelerator, checkpoint, images, *rest):
        images._cache = []  # as where the images would take too much memory
        (root / "train" / "train_0.jpg").unlink()
        opened(self, config, accelerator, checkpoint, images, *rest)

    monkeypatch.setattr(loop.Trainer, "__init__", breaking)
    *_, said = train(root)
    assert "1 of the images could not be read any more when their turn came; a grey one without objects took" in said
    assert said.count("train_0.jpg") == 1
    assert "train_0.jpg does not exist. It could be read before; a grey image takes its place." in caplog.text
    assert len(caplog.records) == 1
