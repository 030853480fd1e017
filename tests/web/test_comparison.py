"""The page of `setpiece compare --report` in a browser: both matchings are those of `setloss`, side by side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from setpiece.data.scenes import CLASSES
from setpiece.data.sources import open_dataset
from setpiece.evaluation import evaluate_coco
from setpiece.evaluation.comparison import Changed, Compared
from setpiece.evaluation.matches import ClassMatches
from setpiece.evaluation.precision import Interval
from setpiece.explain.comparison import comparison_payload
from setpiece.explain.sample import read_sample
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import create
from setpiece.setloss import match


@pytest.fixture(scope="module")
def dataset(scenes):
    return open_dataset(scenes, "valid")


@pytest.fixture(scope="module")
def predictors():
    """Two untrained models; the classes of the second have another order."""
    made = []
    for seed, classes in enumerate((CLASSES, CLASSES[::-1])):
        torch.manual_seed(seed)
        made.append(Predictor(create("detr-tiny", classes, shortest=64)))
    return made


@pytest.fixture(scope="module")
def payload(dataset, predictors):
    nothing = evaluate_coco({"images": [], "annotations": [], "categories": []}, [])
    ap = Interval(0.125, 0.375)
    old = Compared("old", replace(nothing, AP=0.25, AP50=0.5), ap, None, None, [])
    new = Compared("new", replace(nothing, AP=0.375, AP50=0.5), ap, 0.125, Interval(-0.0625, 0.25), sure(0.0))
    changed = [Changed(1, 2, 3), Changed(1, 0, -1)]
    return comparison_payload([old, new], predictors, changed, dataset, "Two models on scenes")


def sure(score):
    """Matches whose best threshold is near a score: one object of each class, which is found."""
    one = np.ones((10, 1), np.bool_)
    return [
        ClassMatches(name, np.array([score]), np.zeros(1, np.int64), one, ~one, np.ones(1, np.int64))
        for name in CLASSES
    ]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_shows_both_matchings_of_an_image(payload, dataset, predictors, open_page, width, scheme):
    page = open_page(payload, width=width, scheme=scheme)
    assert page.locator("[data-role=image]").get_attribute("data-name") == dataset.examples[0].path.name
    for side, predictor in enumerate(predictors):
        of = read_sample(dataset.examples[0], dataset.classes, predictor.checkpoint.classes)
        outputs = predictor.outputs(predictor.preprocess([of.pixels]))
        expected = match(outputs, of.targets, "softmax")[-1, 0].tolist()
        assert [int(text) for text in page.locator(f"[data-role=query-{side}]").all_inner_texts()] == expected
        figure = page.locator("figure.picture").nth(side)
        assert figure.locator("g.target").count() == figure.locator("g.prediction").count() == len(expected)
    queries = predictors[1].checkpoint.model.num_queries
    assert page.locator("figure.picture").nth(1).locator("g.idle").count() == queries - len(expected)  # all are shown
    assert page.locator("figure.picture").nth(0).locator("g.idle").count() == 0  # none is sure
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_table_says_how_sure_the_difference_is(payload, open_page):
    page = open_page(payload)
    values = page.locator("[data-role=difference]").evaluate_all("all => all.map((one) => one.dataset.value)")
    assert values == ["", "0.125"]
    assert page.locator("[data-role=interval]").all_inner_texts() == ["", "−0.063 to 0.250"]
    assert page.locator("[data-role=AP-interval]").all_inner_texts() == ["0.125 to 0.375"] * 2


def test_better_and_worse_images_are_shown_apart(payload, dataset, open_page):
    page = open_page(payload)
    assert page.locator("h3").inner_text() == f"{dataset.examples[0].path.name} (−1)"
    page.locator("[data-role=sign-1]").click()
    assert page.locator("h3").inner_text() == f"{dataset.examples[2].path.name} (+3)"


def test_a_target_can_be_looked_at_alone_in_both_pictures(payload, open_page):
    page = open_page(payload)
    button = page.locator("[data-role=pairs] button").first
    button.click()
    for figure in page.locator("figure.picture").all():
        assert figure.locator("g.target:not(.faded)").count() == 1
        assert figure.locator("g.prediction:not(.faded)").count() == 1
    button.click()
    assert page.locator(".faded").count() == 0


def test_models_that_are_equal_have_no_images_to_show(payload, open_page):
    page = open_page({**payload, "images": []})
    assert page.locator("[data-role=none]").inner_text() == "There are none."
