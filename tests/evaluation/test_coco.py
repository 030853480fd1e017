"""The metrics are pycocotools' numbers, and the published ones."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.console import Console

from setpiece.errors import DataError
from setpiece.evaluation import CocoMetrics, evaluate_coco

from ..shared import SHARED

FIXTURES = SHARED / "coco_eval_fixtures"
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
# pycocotools adds the smallest float to a denominator and faster-coco-eval does not: the last bit may differ.
LAST_BIT = 1e-12


def oracle(ground_truth: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, Any]:
    """What pycocotools says, in the layout of `CocoMetrics.to_dict`."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        truth.dataset = copy.deepcopy(ground_truth)
        truth.createIndex()
        if results:
            found = truth.loadRes(copy.deepcopy(results))
        else:  # pycocotools cannot load an empty list
            found.dataset = {**copy.deepcopy(ground_truth), "annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()

    def mean(precision: np.ndarray) -> float | None:
        return float(precision[precision > -1].mean()) if (precision > -1).any() else None

    precision = evaluation.eval["precision"][..., 0, -1]  # (IoU thresholds, recalls, classes)
    recall = evaluation.eval["recall"][..., 0, -1]  # (IoU thresholds, classes)
    names = [truth.cats[c]["name"] for c in evaluation.params.catIds]
    stats = {n: None if s == -1 else float(s) for n, s in zip(NAMES, evaluation.stats, strict=True)}
    per_class = {
        n: {"AP": mean(precision[..., k]), "AP50": mean(precision[0, :, k]), "AR100": mean(recall[:, k])}
        for k, n in enumerate(names)
    }
    return {**stats, "per_class": per_class}


def random_case(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Crowds, ties, images without objects, more than 100 detections, sparse ids, classes nobody has."""
    random = np.random.default_rng(seed)
    categories = [int(c) for c in random.choice(90, size=random.integers(1, 5), replace=False) + 1]
    images = [int(i) for i in random.choice(1000, size=random.integers(1, 6), replace=False)]
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []

    def found(image: int, category: int, box: np.ndarray) -> None:
        score = round(float(random.random()), 1)  # one decimal: many ties
        results.append({"image_id": image, "category_id": category, "bbox": np.abs(box).tolist(), "score": score})

    for image in images:
        for _ in range(random.integers(0, 7)):
            box = np.concatenate([random.uniform(0, 150, 2), np.exp(random.uniform(2, 5.5, 2))])
            category = int(random.choice(categories))
            annotation = {"id": len(annotations) + 1, "image_id": image, "category_id": category, "bbox": box.tolist()}
            annotations.append({**annotation, "area": box[2] * box[3], "iscrowd": int(random.random() < 0.15)})
            for _ in range(random.integers(0, 4)):
                guess = category if random.random() < 0.8 else int(random.choice(categories))
                found(image, guess, box + random.normal(0, 4, 4))
        for _ in range(random.choice([0, 3, 130])):
            found(image, int(random.choice(categories)), random.uniform(1, 200, 4))
    truth = {
        "images": [{"id": i, "width": 400, "height": 300} for i in images],
        "annotations": annotations,
        "categories": [{"id": c, "name": f"class {c}"} for c in categories],
    }
    return truth, results


def assert_same(ours: dict[str, Any], theirs: dict[str, Any], tolerance: float = LAST_BIT) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if isinstance(value, dict):
            assert_same(ours[name], value, tolerance)
        else:
            assert ours[name] == (value if value is None else pytest.approx(value, abs=tolerance, rel=0)), name


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_random_cases_equal_pycocotools(seed: int) -> None:
    truth, results = random_case(seed)
    assert_same(evaluate_coco(truth, results).to_dict(), oracle(truth, results))


def box_case(*annotations: dict[str, Any], classes: int = 2) -> dict[str, Any]:
    defaults = {"image_id": 1, "category_id": 1, "iscrowd": 0}
    return {
        "images": [{"id": i, "width": 300, "height": 300} for i in (1, 2)],
        "annotations": [
            {"id": i, "area": a["bbox"][2] * a["bbox"][3], **defaults, **a} for i, a in enumerate(annotations, start=1)
        ],
        "categories": [{"id": i, "name": f"class {i}"} for i in range(1, classes + 1)],
    }


def result(bbox: list[float], score: float = 0.5, image_id: int = 1, category_id: int = 1) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": category_id, "bbox": bbox, "score": score}


HAND_MADE = {
    "a perfect box": (box_case({"bbox": [10, 10, 50, 50]}), [result([10, 10, 50, 50])]),
    "no results": (box_case({"bbox": [10, 10, 50, 50]}), []),
    "no objects": (box_case(), [result([10, 10, 50, 50])]),
    "nothing at all": (box_case(), []),
    "a duplicate": (box_case({"bbox": [10, 10, 50, 50]}), [result([10, 10, 50, 50]), result([11, 10, 50, 50])]),
    "an IoU of exactly one half": (box_case({"bbox": [0, 0, 100, 100]}), [result([0, 0, 100, 50])]),
    "the wrong class": (box_case({"bbox": [10, 10, 50, 50]}), [result([10, 10, 50, 50], category_id=2)]),
    "the wrong image": (box_case({"bbox": [10, 10, 50, 50]}), [result([10, 10, 50, 50], image_id=2)]),
    "a class nobody knows": (box_case({"bbox": [10, 10, 50, 50]}), [result([10, 10, 50, 50], category_id=77)]),
    "only a crowd": (box_case({"bbox": [0, 0, 200, 200], "iscrowd": 1}), [result([10, 10, 50, 50])]),
    "a crowd swallows many": (
        box_case({"bbox": [0, 0, 200, 200], "iscrowd": 1}, {"bbox": [220, 220, 40, 40]}),
        [result([10, 10, 50, 50], 0.9), result([60, 60, 50, 50], 0.8), result([220, 220, 40, 40], 0.7)],
    ),
    "areas of exactly 32² and 96²": (
        box_case({"bbox": [0, 0, 32, 32]}, {"bbox": [100, 100, 96, 96]}),
        [result([0, 0, 32, 32]), result([100, 100, 96, 96])],
    ),
    "the hundred and first is right": (
        box_case({"bbox": [10, 10, 50, 50]}),
        [result([100 + i, 100, 50, 50], 0.9) for i in range(100)] + [result([10, 10, 50, 50], 0.1)],
    ),
    "boxes of no size": (box_case({"bbox": [10, 10, 0, 0]}), [result([10, 10, 0, 0])]),
}


@pytest.mark.parametrize("case", HAND_MADE)
def test_hand_made_cases_equal_pycocotools(case: str) -> None:
    truth, results = HAND_MADE[case]
    assert_same(evaluate_coco(truth, results).to_dict(), oracle(truth, results))


@pytest.mark.skipif(not FIXTURES.exists(), reason="the shared COCO fixtures are not beside this checkout")
@pytest.mark.parametrize("case", ["cocoapi_val2014_100", "review_coco_sampled"])
def test_published_values_are_reproduced(case: str) -> None:
    expected = json.loads((FIXTURES / "expected.json").read_text())[case]
    truth, results = (json.loads((FIXTURES / expected[key]).read_text()) for key in ("gt", "dt"))
    tolerance = expected.get("tolerance", 0.5 * 10 ** -expected.get("places", 0))
    numbers = evaluate_coco(truth, results).to_dict()
    for name, published in zip(NAMES, expected["stats"], strict=True):
        assert numbers[name] == pytest.approx(published, abs=tolerance, rel=0), name
    assert_same(numbers, oracle(truth, results))


def test_an_annotation_with_id_zero_counts_like_any_other() -> None:
    truth = box_case({"bbox": [10, 10, 50, 50]})
    truth["annotations"][0]["id"] = 0
    metrics = evaluate_coco(truth, [result([10, 10, 50, 50])])
    assert metrics.to_dict()["AP"] == pytest.approx(1)


def test_an_annotation_without_area_has_the_area_of_its_box() -> None:
    truth = box_case({"bbox": [10, 10, 50, 50]})
    del truth["annotations"][0]["area"], truth["annotations"][0]["iscrowd"]
    metrics = evaluate_coco(truth, [result([10, 10, 50, 50])])
    assert metrics.APm == pytest.approx(1)


def test_neither_argument_is_changed_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    truth, results = random_case(5)
    before = copy.deepcopy((truth, results))
    evaluate_coco(truth, results)
    assert (truth, results) == before
    assert capfd.readouterr() == ("", "")


def test_two_classes_of_one_name_are_told_apart_by_their_ids() -> None:
    truth = box_case({"bbox": [10, 10, 50, 50]})
    for category in truth["categories"]:
        category["name"] = "cell"
    assert set(evaluate_coco(truth, []).per_class) == {"cell (1)", "cell (2)"}


def test_a_result_for_an_image_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match="image id 404"):
        evaluate_coco(box_case({"bbox": [10, 10, 50, 50]}), [result([10, 10, 50, 50], image_id=404)])


def test_what_cannot_be_measured_is_nan_none_in_json_and_a_dash_in_the_table() -> None:
    metrics = evaluate_coco(box_case({"bbox": [10, 10, 50, 50]}), [result([10, 10, 50, 50])])
    assert isinstance(metrics, CocoMetrics)
    assert math.isnan(metrics.APl)
    assert math.isnan(metrics.per_class["class 2"]["AP"])
    assert json.loads(json.dumps(metrics.to_dict(), allow_nan=False))["APl"] is None
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(metrics.table())
    text = console.export_text()
    assert all(name in text for name in (*NAMES, "1.000", "–"))
