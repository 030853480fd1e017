"""Our matching is COCO's: the AP that follows from it is that of the reference implementation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setpiece.evaluation import evaluate_coco
from setpiece.evaluation.matches import class_matches
from setpiece.evaluation.precision import average_precision, bootstrap, paired_bootstrap, right_per_image
from setpiece.evaluation.thresholds import curve

box = st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(4, 20)] * 2).map(list)


@st.composite
def scenes(draw, *, ties=False):
    """Some images with objects and crowds, and detections that are often near an object; scores differ but for ties."""
    images = [{"id": i} for i in range(1, draw(st.integers(1, 4)) + 1)]
    annotations = [
        {
            "id": number,
            "image_id": draw(st.sampled_from(images))["id"],
            "category_id": draw(st.integers(1, 2)),
            "bbox": draw(box),
            "iscrowd": int(draw(st.integers(0, 5)) == 0),
        }
        for number in range(1, draw(st.integers(1, 8)) + 1)
    ]
    results = []
    for number in range(draw(st.integers(0, 12))):
        near = draw(st.sampled_from(annotations))
        shift = [draw(st.integers(-3, 3)) for _ in range(2)]
        results.append(
            {
                "image_id": near["image_id"],
                "category_id": draw(st.integers(1, 2)),
                "bbox": [a + b for a, b in zip(near["bbox"], [*shift, 0, 0], strict=True)],
                "score": draw(st.integers(1, 3)) / 4 if ties else (draw(st.integers(1, 99)) + number / 100) / 100,
            }
        )
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    return {"images": images, "annotations": annotations, "categories": categories}, results


@settings(max_examples=200)
@given(scenes())
def test_ap_that_follows_from_the_matches_is_that_of_the_reference(scene):
    truth, results = scene
    metrics = evaluate_coco(truth, results)
    for of_class in class_matches(truth, results):
        expected = metrics.per_class[of_class.name]
        at = average_precision(of_class)
        assert at.mean() == pytest.approx(expected["AP"], nan_ok=True, abs=1e-9)
        assert at[0] == pytest.approx(expected["AP50"], nan_ok=True, abs=1e-9)


@settings(max_examples=50)
@given(scenes(), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_weight_counts_an_image_as_often(scene, weights):
    truth, results = scene
    of_images = np.array(weights[: len(truth["images"])], float)
    copies = {"categories": truth["categories"], "images": [], "annotations": []}
    copied = []
    for image, weight in zip(truth["images"], of_images, strict=True):
        for copy in range(int(weight)):
            image_id = image["id"] * 10 + copy
            copies["images"].append({"id": image_id})
            for source, target in ((truth["annotations"], copies["annotations"]), (results, copied)):
                target += [each | {"image_id": image_id} for each in source if each["image_id"] == image["id"]]
    for once, often in zip(class_matches(truth, results), class_matches(copies, copied), strict=True):
        np.testing.assert_allclose(average_precision(once, of_images), average_precision(often))


def truth_of(count):
    return {
        "images": [{"id": i} for i in range(count)],
        "annotations": [{"image_id": i, "category_id": 1, "bbox": [10, 10, 20, 20]} for i in range(count)],
        "categories": [{"id": 1, "name": "cat"}],
    }


def found_in(images, score=0.9):
    return [{"image_id": i, "category_id": 1, "bbox": [10, 10, 20, 20], "score": score - i / 1e4} for i in images]


def test_the_interval_holds_ap_and_narrows_with_more_images():
    widths = []
    for count in (10, 40, 160):
        truth, results = truth_of(count), found_in(range(0, count, 2))
        matches = class_matches(truth, results)
        ap, _ = bootstrap(matches)
        assert ap.low <= evaluate_coco(truth, results).AP <= ap.high
        widths.append(ap.high - ap.low)
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


def test_the_interval_of_a_difference_is_that_of_the_same_images():
    truth = truth_of(40)
    half, most = class_matches(truth, found_in(range(20))), class_matches(truth, found_in(range(36)))
    difference = paired_bootstrap(half, most)
    assert 0.2 < difference.low < difference.high < 0.6
    same = paired_bootstrap(half, half)
    assert (same.low, same.high) == (0, 0)


def test_of_one_image_there_is_no_interval():
    one = class_matches(truth_of(1), found_in([0]))
    assert all(math.isnan(interval.low) for interval in (*bootstrap(one), paired_bootstrap(one, one)))
    assert str(bootstrap(one)[0]) == "–"


def test_more_right_detections_make_an_image_better_and_wrong_ones_worse():
    truth = truth_of(3)
    wrong = [{"image_id": 2, "category_id": 1, "bbox": [60, 60, 5, 5], "score": 0.95}]
    assert right_per_image(class_matches(truth, found_in([0, 1]) + wrong)).tolist() == [1, 1, -1]


def test_confident_detections_count_as_wrong_where_nothing_of_the_class_is_right():
    wrong = [{"image_id": 1, "category_id": 1, "bbox": [60, 60, 5, 5], "score": score} for score in (0.95, 0.9, 0.1)]
    assert right_per_image(class_matches(truth_of(2), wrong)).tolist() == [0, -2]


def test_without_objects_there_is_nothing_to_measure():
    truth = truth_of(2) | {"annotations": []}
    (of_class,) = class_matches(truth, found_in([0]))
    assert np.isnan(average_precision(of_class)).all()
    assert math.isnan(bootstrap([of_class])[0].low)
    assert math.isnan(curve(of_class).best)


def test_the_best_threshold_lies_between_the_last_right_detections_and_the_first_wrong_ones():
    truth = truth_of(10)
    wrong = [one | {"bbox": [60, 60, 5, 5]} for one in found_in(range(10), score=0.3)]
    (of_class,) = class_matches(truth, found_in(range(8)) + wrong)
    of = curve(of_class)
    assert 0.3 < of.best < 0.9
    assert of.at(of.best) == pytest.approx((1.0, 0.8, 2 * 0.8 / 1.8))
    assert of.at(0.0) == pytest.approx((8 / 18, 0.8, 16 / 28))
    assert of.at(0.95)[1:] == (0.0, 0.0)
    assert math.isnan(of.at(0.95)[0])


@settings(max_examples=100)
@given(scenes())
def test_precision_and_recall_at_a_threshold_are_those_of_the_detections_above_it(scene):
    truth, results = scene
    for of_class in class_matches(truth, results):
        of = curve(of_class)
        for threshold in (0.2, 0.5, 0.8):
            kept = (of_class.scores >= threshold) & ~of_class.ignored[0]
            right = int(of_class.found[0][kept].sum())
            precision, recall, f1 = of.at(threshold)
            if kept.sum():
                assert precision == pytest.approx(right / kept.sum())
            if kept.sum() and of.objects:
                assert f1 == pytest.approx(2 * right / (kept.sum() + of.objects))
            if of.objects:
                assert recall == pytest.approx(right / of.objects)
