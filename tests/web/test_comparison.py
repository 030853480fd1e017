"""The page of `setpiece compare --report` in a browser: what the change of an image counts, and both matchings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from setpiece.data.scenes import CLASSES
from setpiece.data.sources import open_dataset
from setpiece.evaluation.comparison import changed_images, compare
from setpiece.evaluation.matches import xyxy
from setpiece.evaluation.precision import Interval, right_per_image
from setpiece.explain.comparison import comparison_payload
from setpiece.explain.sample import read_sample
from setpiece.inference.evaluation import results_of
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import create
from setpiece.setloss import match

LABELLED = 2  # objects of an image


@pytest.fixture(scope="module")
def predictors():
    """Two untrained models that score each class by itself; the classes of the second have another order."""
    made = []
    for seed, classes in enumerate((CLASSES, CLASSES[::-1])):
        torch.manual_seed(seed)
        made.append(Predictor(create("sprint-n", classes, shortest=64)))
    return made


@pytest.fixture(scope="module")
def dataset(scenes, predictors):
    """Images of which the objects are what the first model is most sure of."""
    read = open_dataset(scenes, "valid")
    index = {category: number for number, category in enumerate(read.category_ids)}
    results = results_of(predictors[0], read)
    examples = []
    for example in read.examples:
        top = [one for one in results if one["image_id"] == example.image_id][:LABELLED]
        labels = np.array([index[one["category_id"]] for one in top])
        boxes = xyxy(top).astype(np.float32)
        crowd, areas = np.zeros(len(top), np.bool_), (boxes[:, 2:] - boxes[:, :2]).prod(1)
        examples.append(replace(example, boxes_xyxy=boxes, labels=labels, crowd=crowd, areas=areas))
    return replace(read, examples=tuple(examples))


@pytest.fixture(scope="module")
def results(predictors, dataset):
    return [results_of(predictor, dataset) for predictor in predictors]


@pytest.fixture(scope="module")
def compared(dataset, results):
    return compare(dataset.to_coco(), list(zip(("old", "new"), results, strict=True)))


@pytest.fixture(scope="module")
def changed(compared):
    return changed_images(compared, 4)


@pytest.fixture(scope="module")
def payload(dataset, predictors, compared, changed):
    old, new = compared
    old = replace(old, ap=Interval(0.125, 0.375))
    new = replace(new, ap=Interval(0.125, 0.375), difference=0.125, interval=Interval(-0.0625, 0.25))
    return comparison_payload([old, new], predictors, changed, dataset, "Two models on scenes")


def test_the_change_of_an_image_is_what_its_detections_say(payload, dataset, results, compared, changed):
    names = dict(zip(dataset.category_ids, dataset.classes, strict=True))
    assert any(one.change < 0 for one in changed)
    for one, image in zip(changed, payload["images"], strict=True):
        assert image["change"] == one.change
        for of, found, side in zip(compared, results, image["sides"], strict=True):
            detections = side["detections"]
            counted = [
                (names[each["category_id"]], pytest.approx(each["score"]))
                for each in found
                if each["image_id"] == dataset.examples[one.image].image_id
                and each["score"] >= of.thresholds()[names[each["category_id"]]]
            ]
            assert [(each["class"], each["score"]) for each in detections] == counted
            right = sum(each["right"] for each in detections)
            assert right - (len(detections) - right) == right_per_image(of.matches)[one.image]
    boxes = [tuple(each["box"]) for each in payload["images"][0]["sides"][1]["detections"]]
    assert len(set(boxes)) < len(boxes)  # a query is a detection of several classes


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_shows_what_is_counted_and_both_matchings(payload, dataset, predictors, open_page, width, scheme):
    page = open_page(payload, width=width, scheme=scheme)
    image = next(image for image in payload["images"] if image["change"] < 0)
    example = next(each for each in dataset.examples if each.path.name == image["name"])
    first = page.locator("[data-role=image]").first
    assert first.get_attribute("data-name") == image["name"]
    totals = []
    for side, predictor in enumerate(predictors):
        of = read_sample(example, dataset.classes, predictor.checkpoint.classes)
        outputs = predictor.outputs(predictor.preprocess([of.pixels]))
        expected = match(outputs, of.targets, "sigmoid")[-1, 0].tolist()
        assert [int(text) for text in first.locator(f"[data-role=query-{side}]").all_inner_texts()] == expected
        figure = first.locator(f"[data-role=side-{side}]")
        assert figure.locator("g.target").count() == LABELLED
        detections = image["sides"][side]["detections"]
        right, wrong = figure.locator("g.right").count(), figure.locator("g.wrong").count()
        assert right == sum(each["right"] for each in detections)
        assert right + wrong == len(detections)
        said = [f"{'✓' if each['right'] else '✗'} {each['class']} {each['score']:.2f}" for each in detections]
        assert figure.locator(".chips button").all_inner_texts() == said
        assert figure.locator("figcaption").inner_text() == f"{('old', 'new')[side]}: {right} right, {wrong} wrong"
        totals.append(right - wrong)
    assert first.locator("h3").inner_text() == f"{image['name']} (−{totals[0] - totals[1]})"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    place = page.locator("[data-role=interval]").nth(1).bounding_box()  # without scrolling its table
    assert place["x"] + place["width"] <= width


def test_the_table_says_how_sure_the_difference_is(payload, open_page):
    page = open_page(payload)
    values = page.locator("[data-role=difference]").evaluate_all("all => all.map((one) => one.dataset.value)")
    assert values == ["", "0.125"]
    assert page.locator("[data-role=interval]").all_inner_texts() == ["", "−0.063 to 0.250"]
    assert page.locator("[data-role=AP-interval]").all_inner_texts() == ["0.125 to 0.375"] * 2


def test_better_and_worse_images_are_shown_apart(payload, open_page):
    worse = next(image for image in payload["images"] if image["change"] < 0)
    better = {**worse, "name": "better.jpg", "change": 3}
    page = open_page({**payload, "images": [better, {**worse, "change": -1}]})
    assert page.locator("h3").inner_text() == f"{worse['name']} (−1)"
    page.locator("[data-role=sign-1]").click()
    assert page.locator("h3").inner_text() == "better.jpg (+3)"


def test_a_target_or_a_detection_can_be_looked_at_alone(payload, open_page):
    worse = next(image for image in payload["images"] if image["change"] < 0)
    page = open_page({**payload, "images": [worse]})
    sides = page.locator("figure.picture").all()
    assert all(not side.locator("g.prediction").nth(0).is_visible() for side in sides)
    target = page.locator("[data-role=pairs] button").first
    target.click()
    for side in sides:
        assert side.locator("g.target:not(.faded)").count() == 1
        assert side.locator("g.prediction:visible").count() == 1
        assert side.locator("g.right:not(.faded), g.wrong:not(.faded)").count() == 0
    target.click()
    assert page.locator(".faded").count() == 0
    sides[0].locator(".chips button").first.click()
    assert page.locator("g.right:not(.faded), g.wrong:not(.faded)").count() == 1


def test_models_that_are_equal_have_no_images_to_show(payload, open_page):
    page = open_page({**payload, "images": []})
    assert page.locator("[data-role=none]").inner_text() == "There are none."


def test_an_image_without_objects_says_so(payload, open_page):
    (image, *_) = payload["images"]
    sides = [{**side, "pairs": []} for side in image["sides"]]
    page = open_page({**payload, "images": [{**image, "change": -1, "targets": [], "sides": sides}]})
    assert page.get_by_text("No object is in this image.").is_visible()
    assert page.locator("[data-role=pairs]").count() == 0
