import pytest

from setpiece.data.sources import open_dataset
from setpiece.evaluation.analysis import analyse
from setpiece.inference.next_steps import next_steps
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


def test_where_all_is_right_nothing_is_said(dataset):
    assert steps(dataset, lambda one: one) == []


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


def test_loose_boxes_are_named(dataset):
    def loose(one):
        x, y, w, h = one["bbox"]
        return one | {"bbox": [x, y, w * 2, h * 1.5]} if one["image_id"] % 2 else one

    assert any("too loose or too tight" in text for text in steps(dataset, loose))


def test_a_number_that_is_hardly_known_says_so(dataset):
    said = steps(dataset, lambda one: None if one["image_id"] % 2 else one)
    assert any(text.startswith("AP is known to about") and "20 images are few" in text for text in said)
