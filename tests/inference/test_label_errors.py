"""Label errors that are planted under the predictions of a detector that is right."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from setpiece.data.dataset import Dataset, Example
from setpiece.data.defects import Defects
from setpiece.errors import DataError
from setpiece.inference.label_errors import label_findings, suspects
from setpiece.inference.predictor import Predictor
from setpiece.records import InputSize, Outputs

CLASSES = ("cat", "dog")
TRUTH = [("cat", (10, 10, 40, 40)), ("dog", (60, 20, 90, 70)), ("cat", (20, 60, 50, 90))]


class Right(Predictor):
    """Predicts TRUTH with a probability of 0.9, and nothing else; in an image of 100 x 100 pixels."""

    def __init__(self):
        pass

    checkpoint = SimpleNamespace(
        classes=("dog", "bird", "cat"),  # another order than the data set's
        size=InputSize(96, 96),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        model=SimpleNamespace(form="sigmoid"),
    )

    def outputs(self, images):
        count = len(images.padding)
        logits = torch.full((2, count, 6, 3), -8.0)
        boxes = torch.full((2, count, 6, 4), 0.01)
        for query, (name, (left, top, right, bottom)) in enumerate(TRUTH):
            logits[1, :, query, self.checkpoint.classes.index(name)] = np.log(9)
            box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
            boxes[1, :, query] = torch.tensor(box) / 100
        return Outputs(logits, boxes)


def labelled(folder: Path, annotations, crowd=()) -> Dataset:
    Image.fromarray(np.zeros((100, 100, 3), np.uint8)).save(folder / "image.png")
    every = [*annotations, *crowd]
    boxes = np.array([box for _, box in every], np.float32).reshape(-1, 4)
    example = Example(
        image_id=7,
        path=folder / "image.png",
        height=100,
        width=100,
        boxes_xyxy=boxes,
        labels=np.array([CLASSES.index(name) for name, _ in every], np.int64),
        crowd=np.arange(len(every)) >= len(annotations),
        areas=(boxes[:, 2:] - boxes[:, :2]).prod(1),
    )
    return Dataset(folder, "train", CLASSES, (1, 2), (example,), Defects())


def found(folder, annotations, crowd=()):
    data = labelled(folder, annotations, crowd)
    return {one.check: one for one in label_findings(suspects(Right(), data), "train")}


def test_right_labels_are_not_doubted(tmp_path):
    assert not found(tmp_path, TRUTH)


def test_boxes_that_are_a_little_off_are_not_doubted(tmp_path):
    assert not found(tmp_path, [(name, tuple(np.array(box) + 3)) for name, box in TRUTH])


def test_a_label_of_another_class_is_found_with_its_cost(tmp_path):
    by_check = found(tmp_path, [("dog", TRUTH[0][1]), *TRUTH[1:]])
    assert by_check.keys() == {"labels.class"}
    text = by_check["labels.class"].examples[0].text
    assert text.startswith("image.png, box (10, 10) to (40, 40): labelled dog, predicted cat by 0.90 (cost ")
    assert "class " in text
    assert "l1 0.00, giou -2.00" in text


def test_a_label_where_nothing_is_predicted_is_found(tmp_path):
    by_check = found(tmp_path, [*TRUTH, ("dog", (70, 80, 95, 98))])
    assert by_check.keys() == {"labels.unseen"}
    assert by_check["labels.unseen"].count == 1
    assert by_check["labels.unseen"].examples[0].box_xyxy == (70, 80, 95, 98)


def test_an_object_that_nobody_labelled_is_found_unless_a_crowd_hides_it(tmp_path):
    by_check = found(tmp_path, TRUTH[1:])
    assert by_check.keys() == {"labels.missing"}
    assert "cat by 0.90, and no label" in by_check["labels.missing"].examples[0].text
    assert by_check["labels.missing"].examples[0].box_xyxy == pytest.approx(TRUTH[0][1], abs=0.01)
    assert not found(tmp_path, TRUTH[1:], crowd=[("cat", (0, 0, 50, 50))])
    assert found(tmp_path, [])["labels.missing"].count == 3


def test_a_box_that_is_far_off_is_found(tmp_path):
    by_check = found(tmp_path, [("cat", (18, 18, 48, 48)), *TRUTH[1:]])
    assert by_check.keys() == {"labels.off"}
    assert "cat, IoU 0.37 with its prediction (cost " in by_check["labels.off"].examples[0].text


def doubts(folder, annotations):
    return {one.check: one.doubt for one in suspects(Right(), labelled(folder, annotations))}


def test_the_doubt_of_every_kind_is_how_probable_the_detectors_opinion_is(tmp_path):
    unseen = ("dog", (70, 80, 95, 98))
    assert doubts(tmp_path, TRUTH[1:]) == {"labels.missing": pytest.approx(0.9)}
    assert doubts(tmp_path, [*TRUTH, unseen]) == {"labels.unseen": pytest.approx(1.0)}
    assert doubts(tmp_path, [("cat", (18, 18, 48, 48)), *TRUTH[1:]]) == {"labels.off": pytest.approx(0.9)}
    assert doubts(tmp_path, [("dog", TRUTH[0][1]), *TRUTH[1:]]) == {"labels.class": pytest.approx(1.0, abs=0.001)}


def test_what_is_contradicted_often_in_one_class_is_doubted_less(tmp_path):
    unseen = [("dog", (70, 80, 95, 98)), ("dog", (2, 80, 15, 98))]
    assert doubts(tmp_path, [*TRUTH, *unseen]) == {"labels.unseen": pytest.approx(0.5)}  # of two others, one is seen


def test_a_detector_that_does_not_know_a_class_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Right.checkpoint, "classes", ("dog", "bird"))
    with pytest.raises(DataError, match="does not know the class cat"):
        suspects(Right(), labelled(tmp_path, TRUTH))
