"""Each kind of error on a case that shows it alone."""

import numpy as np
import pytest
from hypothesis import given, settings

from setpiece.evaluation import evaluate_coco
from setpiece.evaluation.errors import KINDS, error_breakdown

from .test_matches import scenes

CAT, DOG = 1, 2
CATEGORIES = [{"id": CAT, "name": "cat"}, {"id": DOG, "name": "dog"}]
OBJECT = [0, 0, 20, 20]


def broken_down(objects, detections):
    """Objects and detections are (image, class, box[, score or crowd])."""
    truth = {
        "images": [{"id": 1}, {"id": 2}],
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": bbox, "iscrowd": int(bool(crowd))}
            for image, category, bbox, *crowd in objects
        ],
        "categories": CATEGORIES,
    }
    results = [
        {"image_id": image, "category_id": category, "bbox": bbox, "score": score}
        for image, category, bbox, score in detections
    ]
    breakdown = error_breakdown(truth, results)
    expected = evaluate_coco(truth, results).AP50
    assert breakdown.ap50 == pytest.approx(expected, nan_ok=True)
    assert breakdown.costs.keys() == KINDS.keys()
    return breakdown


@pytest.mark.parametrize(
    ("kind", "detections", "cost"),
    [
        ("classification", [(1, DOG, OBJECT, 0.9)], 1.0),
        ("localisation", [(1, CAT, [0, 0, 20, 8], 0.9)], 1.0),
        ("both", [(1, DOG, [0, 0, 20, 8], 0.9)], 0.0),
        ("background", [(1, CAT, [50, 50, 9, 9], 0.9)], 0.0),
        ("missed", [], 1.0),
    ],
)
def test_one_object_and_one_error(kind, detections, cost):
    breakdown = broken_down([(1, CAT, OBJECT)], detections)
    kinds = {error.kind for error in breakdown.errors}
    assert kind in kinds
    assert kinds - {kind} <= {"missed"}
    assert breakdown.costs[kind] == pytest.approx(cost)


def test_an_object_that_a_wrong_detection_is_on_is_not_missed():
    for wrong in ((1, DOG, OBJECT, 0.9), (1, CAT, [0, 0, 20, 8], 0.9)):
        assert broken_down([(1, CAT, OBJECT)], [wrong]).counts()["missed"] == 0
    assert broken_down([(1, CAT, OBJECT)], [(1, DOG, [0, 0, 20, 8], 0.9)]).counts()["missed"] == 1


def test_a_second_detection_of_an_object_is_a_duplicate_and_costs_where_it_ranks_before_a_right_one():
    objects = [(1, CAT, OBJECT), (2, CAT, OBJECT)]
    before = [(1, CAT, OBJECT, 0.9), (1, CAT, [1, 0, 20, 20], 0.8), (2, CAT, OBJECT, 0.7)]
    breakdown = broken_down(objects, before)
    assert breakdown.counts()["duplicate"] == 1
    assert breakdown.costs["duplicate"] == pytest.approx(1 - breakdown.ap50)
    last = [*before[:1], (1, CAT, [1, 0, 20, 20], 0.6), before[2]]
    assert broken_down(objects, last).costs["duplicate"] == pytest.approx(0)


def test_of_two_errors_on_one_object_the_more_confident_is_put_right():
    breakdown = broken_down([(1, CAT, OBJECT)], [(1, DOG, OBJECT, 0.9), (1, DOG, [0, 0, 20, 19], 0.8)])
    assert breakdown.counts()["classification"] == 2
    assert breakdown.costs["classification"] == pytest.approx(1.0)


def test_a_missed_object_costs_what_ap_is_without_it():
    breakdown = broken_down([(1, CAT, OBJECT), (2, CAT, OBJECT)], [(1, CAT, OBJECT, 0.9)])
    assert breakdown.counts()["missed"] == 1
    assert breakdown.ap50 + breakdown.costs["missed"] == pytest.approx(1.0)


def test_what_lies_on_a_crowd_is_no_error():
    breakdown = broken_down([(1, CAT, OBJECT), (1, CAT, [40, 40, 50, 50], True)], [(1, CAT, [50, 50, 9, 9], 0.9)])
    assert breakdown.counts()["background"] == 0


@settings(max_examples=100)
@given(scenes(ties=True))
def test_ap50_is_that_of_the_reference_where_scores_are_alike(scene):
    truth, results = scene
    expected = evaluate_coco(truth, results).AP50
    assert error_breakdown(truth, results).ap50 == pytest.approx(expected, nan_ok=True)


def test_right_detections_are_no_errors():
    breakdown = broken_down([(1, CAT, OBJECT), (2, DOG, OBJECT)], [(1, CAT, OBJECT, 0.9), (2, DOG, OBJECT, 0.8)])
    assert breakdown.errors == ()
    assert breakdown.ap50 == 1.0
    assert all(cost == 0 for cost in breakdown.costs.values())


@pytest.mark.parametrize("seed", range(4))
def test_counts_at_a_threshold_are_those_of_the_detections_that_reach_it(seed):
    draw = np.random.default_rng(seed)
    images, categories = [{"id": i} for i in range(6)], [{"id": c, "name": str(c)} for c in (3, 5)]

    def box():
        return {
            "image_id": int(draw.integers(6)),
            "category_id": int(draw.choice([3, 5])),
            "bbox": [*draw.uniform(0, 20, 2).tolist(), *draw.uniform(10, 25, 2).tolist()],
        }

    crowded = [{"iscrowd": int(draw.random() < 0.2)} for _ in range(20)]
    annotations = [box() | {"id": number} | crowd for number, crowd in enumerate(crowded)]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    results = [box() | {"score": float(draw.choice(np.linspace(0.1, 0.9, 9)))} for _ in range(120)]
    breakdown = error_breakdown(truth, results)
    choices = [{3: a, 5: b} for a, b in draw.choice(np.linspace(0, 1, 11), (12, 2)).tolist()]
    for least, counts in zip(choices, breakdown.counts_at(choices), strict=True):
        kept = [one for one in results if one["score"] >= least[one["category_id"]]]
        anew = error_breakdown(truth, kept)
        assert counts == {kind: sum(error.kind == kind for error in anew.errors) for kind in KINDS}
