"""Confusions, calibration, and the whole of an analysis."""

import json
import math

import numpy as np
import pytest
import supervision as sv
from hypothesis import given, settings

from setpiece.evaluation import evaluate_coco
from setpiece.evaluation.analysis import analyse, confusion_matrix
from setpiece.evaluation.calibration import calibration
from setpiece.evaluation.matches import ClassMatches, class_matches

from .test_matches import found_in, scenes, truth_of


def detections(boxes, scores=None):
    corners = np.array([[x, y, x + w, y + h] for x, y, w, h in (each["bbox"] for each in boxes)], np.float32)
    return sv.Detections(
        corners.reshape(-1, 4),
        class_id=np.array([each["category_id"] - 1 for each in boxes], int),
        confidence=None if scores is None else np.array([each["score"] for each in boxes], np.float32),
    )


def without_rivals(boxes):
    """Whether no two boxes overlap, so that any rule pairs them in the same way."""
    corners = [(x, y, x + w, y + h) for x, y, w, h in (each["bbox"] for each in boxes)]
    return all(
        min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1])
        for i, a in enumerate(corners)
        for b in corners[:i]
    )


@settings(max_examples=150)
@given(scenes())
def test_confusions_are_those_of_supervision_where_the_pairs_are_clear(scene):
    truth, results = scene
    truth["annotations"] = [each for each in truth["annotations"] if not each["iscrowd"]]
    of_images = []
    for image in truth["images"]:
        there = [each for each in truth["annotations"] if each["image_id"] == image["id"]]
        found = [each for each in results if each["image_id"] == image["id"]]
        if not (without_rivals(there) and without_rivals(found)):
            truth["annotations"] = [each for each in truth["annotations"] if each not in there]
            results = [each for each in results if each not in found]
            there = found = []
        of_images.append((detections(found, "score"), detections(there)))
    matrix = confusion_matrix(truth, results)
    theirs = sv.ConfusionMatrix.from_detections(
        predictions=[found for found, _ in of_images],
        targets=[there for _, there in of_images],
        classes=["cat", "dog"],
        conf_threshold=0.0,
        iou_threshold=0.4999,
    ).matrix
    np.testing.assert_array_equal(matrix, theirs)


def test_an_object_that_is_found_is_not_confused_where_another_class_is_on_the_same_box():
    truth = truth_of(3) | {"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}
    both = [*found_in(range(3), score=0.8), *(one | {"category_id": 2, "score": 0.9} for one in found_in(range(3)))]
    assert confusion_matrix(truth, both).tolist() == [[3, 0, 0], [0, 0, 0], [0, 3, 0]]
    theirs = sv.ConfusionMatrix.from_detections(
        predictions=[detections([one for one in both if one["image_id"] == i], "score") for i in range(3)],
        targets=[detections([one for one in truth["annotations"] if one["image_id"] == i]) for i in range(3)],
        classes=["cat", "dog"],
        conf_threshold=0.0,
    ).matrix
    assert confusion_matrix(truth, both).tolist() == theirs.tolist()


def test_a_class_without_objects_has_no_threshold_and_no_f1():
    truth = truth_of(20) | {"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}
    analysis = analyse(truth, [*found_in(range(15)), *(one | {"category_id": 2} for one in found_in(range(2)))])
    assert analysis.to_dict()["at_best_threshold"]["dog"] == {"precision": None, "recall": None, "F1": None}
    assert any(line.endswith("cat 0.45. dog has none, so 0.5 is taken.") for line in analysis.lines())


def test_what_lies_on_a_crowd_is_confused_with_nothing():
    crowd = {"image_id": 0, "category_id": 1, "bbox": [40, 40, 50, 50], "iscrowd": 1}
    truth = truth_of(1) | {"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}
    truth["annotations"].append(crowd)
    on_crowd = [one | {"bbox": [50, 50, 20, 20]} for one in found_in([0])]
    assert confusion_matrix(truth, found_in([0]) + on_crowd).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    of_another_class = [one | {"category_id": 2} for one in on_crowd]
    assert confusion_matrix(truth, of_another_class).tolist() == [[0, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_confidences_that_mean_what_they_say_have_no_calibration_error():
    scores = np.repeat([0.85, 0.25], 20)
    found = np.concatenate([np.arange(20) < 17, np.arange(20) < 5])[None].repeat(10, 0)
    of = ClassMatches("cat", scores, np.zeros(40, np.int64), found, np.zeros_like(found), np.array([22]))
    right = calibration([of])
    assert right.error == pytest.approx(0)
    assert right.count.tolist() == [0, 0, 20, 0, 0, 0, 0, 0, 20, 0]
    sure = calibration([ClassMatches("cat", np.ones(40), of.images, found, of.ignored, of.objects)])
    assert sure.error == pytest.approx(18 / 40)
    assert math.isnan(calibration(class_matches(truth_of(1), [])).error)


def test_an_analysis_says_all_of_it_and_is_ready_for_json():
    truth = truth_of(20)
    wrong = [one | {"bbox": [60, 60, 5, 5]} for one in found_in(range(10), score=0.3)]
    analysis = analyse(truth, found_in(range(15)) + wrong)
    numbers = json.loads(json.dumps(analysis.to_dict()))
    assert numbers["AP"] == pytest.approx(evaluate_coco(truth, found_in(range(15)) + wrong).AP)
    low, high = numbers["intervals"]["AP"]
    assert low < numbers["AP"] < high
    assert 0.3 < numbers["thresholds"]["cat"] < 0.9
    assert numbers["at_best_threshold"]["cat"] == pytest.approx({"precision": 1.0, "recall": 0.75, "F1": 1.5 / 1.75})
    assert numbers["errors"]["background"]["count"] == 0  # at the best threshold, as the page begins
    assert numbers["errors"]["missed"] == {"count": 5, "AP50": pytest.approx(0.25, abs=0.01)}
    assert numbers["confusion"] == [[15, 5], [0, 0]]
    assert "95 % confidence interval" in analysis.sentence()
    assert analysis.sentence().endswith("20 images are few: the true intervals are wider.")


def test_how_sure_one_image_is_cannot_be_said():
    analysis = analyse(truth_of(1), found_in([0]))
    assert analysis.sentence() == "AP 1.000, AP50 1.000. How sure that is cannot be said from one image."
    assert analysis.to_dict()["intervals"] == {"AP": [None, None], "AP50": [None, None]}


def test_without_objects_an_analysis_has_nothing_to_measure():
    analysis = analyse(truth_of(2) | {"annotations": []}, found_in([0]))
    assert json.loads(json.dumps(analysis.to_dict()))["intervals"] == {"AP": [None, None], "AP50": [None, None]}
    assert analysis.sentence() == "There are no objects to measure AP on."
