import json
import re
from dataclasses import replace

import pytest

from setpiece.data.sources import open_dataset
from setpiece.errors import UsageError
from setpiece.evaluation.analysis import analyse
from setpiece.inference.next_steps import Outlook, next_steps
from setpiece.records import InputSize

from ..data.checks.planted import clean


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(clean().write(tmp_path_factory.mktemp("data"), "coco"), "valid")


def steps(dataset, change, size=640):
    """What is said where each annotation is detected as `change` makes it; None for not at all."""
    results = []
    for annotation in dataset.to_coco()["annotations"]:
        detection = {name: annotation[name] for name in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        if (changed := change(detection)) is not None:
            results.append(changed)
    return next_steps(analyse(dataset.to_coco(), results), dataset, InputSize(size, size))


def test_where_all_is_right_nothing_stands_out(dataset):
    assert steps(dataset, lambda one: one) == ["Nothing stands out: more images and longer training help most."]


def test_without_objects_there_is_nothing_to_measure(dataset):
    empty = analyse(dataset.to_coco() | {"annotations": []}, [])
    said = ["There is nothing to measure: label objects in these images."]
    assert next_steps(empty, dataset, InputSize(64, 64)) == said


@pytest.mark.parametrize(("score", "said"), [(0.95, "20 with a confidence of 0.5 or more"), (0.4, "all below")])
def test_detections_of_nothing_are_named_by_their_confidence(dataset, score, said):
    found = [
        {name: one[name] for name in ("image_id", "category_id", "bbox")} | {"score": 0.3}
        for one in dataset.to_coco()["annotations"]
    ]
    category = dataset.category_ids[0]
    found += [
        {"image_id": e.image_id, "category_id": category, "bbox": [1, 70, 8, 8], "score": score}
        for e in dataset.examples
    ]
    (first, *_) = next_steps(analyse(dataset.to_coco(), found), dataset, InputSize(640, 640))
    assert first.startswith("Detections of nothing cost")
    assert said in first


def test_duplicates_are_named_and_what_costs_most_comes_first(dataset):
    found = []
    for number, one in enumerate(dataset.to_coco()["annotations"]):
        detection = {name: one[name] for name in ("image_id", "category_id", "bbox")}
        found += [detection | {"score": 0.9}, detection | {"score": 0.8}] if number % 4 < 2 else []
        found += [] if number % 4 < 2 or number % 8 == 2 else [detection | {"score": 0.5}]
    said = next_steps(analyse(dataset.to_coco(), found), dataset, InputSize(640, 640))
    costs = [float(re.search(r"costs? ([\d.]+) of AP50", text)[1]) for text in said if "of AP50" in text]
    assert any(text.startswith("Objects that are found twice") for text in said)
    assert costs == sorted(costs, reverse=True)


def test_what_more_images_would_bring_is_said_where_it_is_known(dataset, tmp_path):
    file = tmp_path / "curve.json"
    outlook = {"images": 100, "more": 100, "ap": 0.5, "low": 0.53, "high": 0.56, "rises": True}
    file.write_text(json.dumps({"outlook": outlook, "measured_on": "ab"}))
    truth = dataset.to_coco()
    (said,) = (
        text
        for text in next_steps(analyse(truth, []), dataset, InputSize(64, 64), Outlook.read(file, "ab"))
        if "more images" in text
    )
    assert said == "The curve still rises: 100 more images should bring 0.03 to 0.06 of AP."
    with pytest.raises(UsageError, match="was measured on other images than these"):
        Outlook.read(file, "cd")
    assert Outlook(100, 100, 0.5, 0.3, 0.6, rises=False).sentence().startswith("AP did not grow with the images")
    file.write_text("{}")
    with pytest.raises(UsageError, match="is not a file that setpiece curve --json has written"):
        Outlook.read(file, "ab")


def test_small_objects_that_are_missed_ask_for_more_pixels(dataset):
    (first, *_) = steps(dataset, lambda one: None if one["image_id"] % 2 else one, size=32)
    assert "objects are missed" in first
    assert "are under 12 px at 32: train with --size 64." in first
    (first, *_) = steps(dataset, lambda one: None if one["image_id"] % 2 else one)
    assert "train longer, or add images" in first


def test_a_class_that_is_taken_for_another_is_named(dataset):
    cat, dog = dataset.category_ids

    def taken(one):
        return one | {"category_id": dog} if one["category_id"] == cat and one["image_id"] % 2 else one

    assert any(text.startswith("cat is taken for dog in 10 of 20 cases") for text in steps(dataset, taken))


def test_classes_that_are_confused_now_and_then_are_spoken_of(dataset):
    cat, dog = dataset.category_ids

    def taken(one):
        return one | {"category_id": dog} if one["category_id"] == cat and one["image_id"] % 8 == 1 else one

    (first, *_) = steps(dataset, taken)
    assert re.match(
        r"Objects that are taken for another class cost 0\.\d\d of AP50, most often cat for dog \(\d\)", first
    )


def test_a_training_that_was_too_short_comes_first(dataset):
    truth, size = dataset.to_coco(), InputSize(64, 64)
    found = [{name: one[name] for name in ("image_id", "category_id", "bbox")} for one in truth["annotations"][::2]]
    analysis = analyse(truth, [one | {"score": 0.9} for one in found])
    said = {
        history: next_steps(analysis, dataset, size, history=history)[0] for history in [(0.3, 0.5), (0.5, 0.3), ()]
    }
    assert said[0.3, 0.5] == "AP still rose at the end of the training (0.300, 0.500): train longer first."
    assert "train longer first" not in said[0.5, 0.3] + said[()]
    assert next_steps(analyse(truth, []), dataset, size)[0].startswith("AP is near 0")


def test_images_that_say_little_of_a_class_or_of_anything_are_named(dataset):
    truth = dataset.to_coco()
    cat, _ = truth["categories"]
    truth["annotations"] = [one for one in truth["annotations"] if one["category_id"] == cat["id"]]
    found = [{name: one[name] for name in ("image_id", "category_id", "bbox")} for one in truth["annotations"]]
    analysis = analyse(truth, [one | {"score": 0.9} for one in found])
    said = next_steps(analysis, dataset, InputSize(64, 64))
    assert said == ["There is no object of dog in these images, so nothing is known of it: label some."]
    one = replace(dataset, examples=dataset.examples[:1])
    assert next_steps(analysis, one, InputSize(64, 64))[0].startswith("1 image says next to nothing")


def test_loose_boxes_are_named(dataset):
    def loose(one):
        x, y, w, h = one["bbox"]
        return one | {"bbox": [x, y, w * 2, h * 1.5]} if one["image_id"] % 2 else one

    assert any("too loose or too tight" in text for text in steps(dataset, loose))


def test_a_number_that_is_hardly_known_says_so(dataset):
    said = steps(dataset, lambda one: None if one["image_id"] % 2 else one)
    assert any(text.startswith("AP is known to about") and "20 images are few" in text for text in said)
