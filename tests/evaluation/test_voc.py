"""Pascal VOC's average precision: the published values, and its rule on cases by hand."""

import json
from pathlib import Path

import pytest

from setpiece.evaluation import VocPrecision, evaluate_voc

from ..shared import SHARED

FIXTURES = SHARED / "coco_eval_fixtures"


def read(folder: Path) -> list[tuple[str, list[float]]]:
    """(image name, numbers) of every line "object numbers..." of a folder of text files."""
    return [
        (file.stem, [float(word) for word in line.split()[1:]])
        for file in sorted(folder.glob("*.txt"))
        for line in file.read_text().splitlines()
        if line.strip()
    ]


@pytest.mark.skipif(not FIXTURES.exists(), reason="the shared evaluation fixtures are not beside this checkout")
@pytest.mark.parametrize("threshold", ["0.1", "0.3", "0.5", "0.75"])
def test_published_values_are_reproduced(threshold: str) -> None:
    expected = json.loads((FIXTURES / "expected.json").read_text())["review_voc_case1"]
    objects, found = (read(FIXTURES / expected[key]) for key in ("gt", "dt"))
    truth = {
        "categories": [{"id": 0, "name": "object"}],
        "annotations": [{"image_id": image, "category_id": 0, "bbox": box} for image, box in objects],
    }
    results = [{"image_id": image, "category_id": 0, "score": n[0], "bbox": n[1:]} for image, n in found]
    precision = evaluate_voc(truth, results, float(threshold))["object"]
    assert precision.eleven_point == pytest.approx(expected["eleven_point"][threshold], abs=1e-9)
    assert precision.every_point == pytest.approx(expected["every_point"][threshold], abs=1e-9)


def case(*objects: dict) -> dict:
    annotations = [{"image_id": 1, "category_id": 1, **one} for one in objects]
    return {"categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "none"}], "annotations": annotations}


def detection(left: float, score: float) -> dict:
    return {"image_id": 1, "category_id": 1, "bbox": [left, 0, 9, 9], "score": score}


def test_a_second_detection_of_an_object_is_wrong_even_where_another_object_would_do() -> None:
    truth = case({"bbox": [0, 0, 9, 9]}, {"bbox": [1, 0, 9, 9]})
    precision = evaluate_voc(truth, [detection(0, 0.9), detection(0, 0.8)])["cell"]
    assert precision.eleven_point == pytest.approx(6 / 11)
    assert precision.every_point == pytest.approx(0.5)


def test_detections_of_a_crowd_count_neither_way_and_it_is_not_missed() -> None:
    truth = case({"bbox": [0, 0, 9, 9]}, {"bbox": [50, 0, 9, 9], "iscrowd": 1})
    precision = evaluate_voc(truth, [detection(50, 0.9), detection(0, 0.8)])["cell"]
    assert precision == VocPrecision(1.0, 1.0)


def test_a_class_without_objects_is_left_out_and_nothing_found_is_zero() -> None:
    assert evaluate_voc(case({"bbox": [0, 0, 9, 9]}), []) == {"cell": VocPrecision(0.0, 0.0)}
