"""From the pixels of files to COCO metrics, with a model that measures the right answer in the pixels it is given."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from setpiece.data.sources import open_dataset
from setpiece.errors import DataError, NonFiniteCostError
from setpiece.inference.evaluation import evaluate, match_classes
from setpiece.inference.predictor import Predictor
from setpiece.records import Outputs

from ..colours import COLOURS, IMAGES, Measuring, measuring

SPARSE = {"blue": 42, "red": 7, "green": 90}  # in another order than the model's classes


@pytest.fixture
def valid(write_colours):
    """Images of five sizes under sparse category ids."""
    return open_dataset(write_colours(SPARSE), "valid")


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_the_ground_truth_as_prediction_has_ap_one(valid, form, batch_size):
    metrics = evaluate(Predictor(measuring(form)), valid, batch_size=batch_size)
    assert metrics.to_dict()["AP"] == pytest.approx(1.0)
    assert {name: row["AP"] for name, row in metrics.per_class.items()} == pytest.approx(dict.fromkeys(COLOURS, 1.0))


@pytest.mark.parametrize(("shortest", "longest"), [(64, 64), (48, 200), (128, 160)])
def test_boxes_come_back_in_pixels_of_the_original_image_at_every_input_size(valid, shortest, longest):
    found = dict(Predictor(measuring(shortest=shortest, longest=longest)).detect(valid, threshold=0.5))
    for index, (_, boxes_xyxy) in enumerate(IMAGES):
        detections = found[100 - 7 * index]
        measured = dict(zip(detections["class_name"].tolist(), detections.xyxy, strict=True))
        assert measured.keys() == boxes_xyxy.keys()
        for name, box_xyxy in boxes_xyxy.items():
            np.testing.assert_allclose(measured[name], box_xyxy, atol=0.5)


class TakesPaddingForImage(Measuring):
    """Measures boxes in fractions of the padded image."""

    def forward(self, images, padding):
        return super().forward(images, torch.zeros_like(padding))


class SwapsClasses(Measuring):
    """Calls the first class by the second's name."""

    def forward(self, images, padding):
        outputs = super().forward(images, padding)
        return Outputs(outputs.logits[..., [1, 0, 2, 3]], outputs.boxes)


@pytest.mark.parametrize("mistaken", [TakesPaddingForImage, SwapsClasses])
def test_a_model_that_makes_one_mistake_does_not_have_ap_one(valid, mistaken):
    checkpoint = measuring()
    checkpoint.model.__class__ = mistaken
    assert evaluate(Predictor(checkpoint), valid, batch_size=8).AP < 0.8


def test_classes_are_brought_together_by_name_and_those_the_data_does_not_have_are_left_out(valid):
    assert match_classes(("green", "cyan", "blue", "red"), valid) == [90, None, 42, 7]


def test_a_class_that_the_model_does_not_know_is_named(valid):
    with pytest.raises(DataError, match=r"detects red, blue and does not know the class green of .*colours"):
        evaluate(Predictor(measuring(classes=("red", "blue"))), valid)


def test_a_model_that_computes_nan_is_an_error_that_names_the_image_file(valid):
    class Broken(Measuring):
        def forward(self, *args):
            outputs = super().forward(*args)
            outputs.logits[-1, 1, 0, 0] = float("nan")
            return outputs

    checkpoint = replace(measuring(), model=Broken("softmax", COLOURS))
    with pytest.raises(
        NonFiniteCostError, match=r"^Nothing can be detected in \S+\.png\. Query 0 of image 1 in the batch"
    ) as caught:
        evaluate(Predictor(checkpoint), valid)
    assert any(str(example.path) in str(caught.value) for example in valid.examples)


def test_processes_share_the_images_between_them(valid):
    shares = [
        [image_id for image_id, _ in Predictor(measuring()).detect(valid, rank=rank, world_size=2)] for rank in (0, 1)
    ]
    assert sorted(shares[0] + shares[1]) == sorted(example.image_id for example in valid.examples)
    assert abs(len(shares[0]) - len(shares[1])) <= 1


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_left_in_the_mode_that_it_was_found_in(valid, training):
    checkpoint = measuring()
    checkpoint.model.train(training)
    evaluate(Predictor(checkpoint), valid)
    assert checkpoint.model.training is training
