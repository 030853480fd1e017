"""The page of `setpiece eval --report` in a browser: its numbers are Python's, and its parts answer."""

from __future__ import annotations

import re

import numpy as np
import pytest

from setpiece.data.sources import open_dataset
from setpiece.evaluation.analysis import analyse
from setpiece.evaluation.errors import error_breakdown
from setpiece.inference.analysis_page import analysis_payload
from setpiece.inference.next_steps import next_steps
from setpiece.records import InputSize

from ..data.checks.planted import clean


def results_on(dataset):
    """Detections of every kind: right ones, and each error."""
    draw = np.random.default_rng(0)
    results = []
    for number, annotation in enumerate(dataset.to_coco()["annotations"]):
        x, y, w, h = annotation["bbox"]
        category = annotation["category_id"]
        (other,) = set(dataset.category_ids) - {category}
        kinds = {
            0: [(category, [x, y, w, h * 0.4])],  # localisation
            1: [(other, [x, y, w, h])],  # classification
            2: [],  # missed
            3: [(category, [x, y, w, h]), (category, [x + 1, y, w, h])],  # duplicate
            4: [(category, [x, y, w, h]), (category, [1, 70, 8, 8])],  # background
            5: [(other, [x, y, w, h * 0.3])],  # both
        }
        for kind, bbox in kinds.get(number % 8, [(category, [x, y, w, h])]):
            score = float(draw.uniform(0.2, 0.99))
            results.append({"image_id": annotation["image_id"], "category_id": kind, "bbox": bbox, "score": score})
    return results


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    root = clean().write(tmp_path_factory.mktemp("data"), "coco")
    dataset = open_dataset(root, "valid")
    analysis = analyse(dataset.to_coco(), results_on(dataset))
    steps = next_steps(analysis, dataset, InputSize(64, 64))
    return analysis, analysis_payload(analysis, dataset, "A detector on cats and dogs", steps)


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    """`at(threshold)`: the breakdown of those results that reach it, computed anew; of each class's best where None."""
    dataset = open_dataset(clean().write(tmp_path_factory.mktemp("data"), "coco"), "valid")
    truth, results = dataset.to_coco(), results_on(dataset)
    best = dict(zip(dataset.category_ids, [of.best for of in analyse(truth, results).curves], strict=True))

    def breakdown(threshold):
        kept = [
            one for one in results if one["score"] >= (best[one["category_id"]] if threshold is None else threshold)
        ]
        return error_breakdown(truth, kept)

    return breakdown


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_shows_the_numbers_of_the_analysis(evaluated, open_page, width, scheme):
    analysis, payload = evaluated
    page = open_page(payload, width=width, scheme=scheme)
    shown = page.locator("[data-role=metric-AP]").get_attribute("data-value")
    assert float(shown) == analysis.metrics.AP
    assert page.locator("[data-role=sentence]").inner_text() == analysis.sentence()
    page.locator("input[type=range]").fill("0")
    counts = counts_on(page)
    assert counts == analysis.breakdown.counts()
    assert all(counts.values())
    matrix = page.locator("[data-role=confusion] tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.querySelectorAll('td')].map((cell) => +cell.textContent))"
    )
    assert matrix == analysis.confusion.tolist()
    assert page.locator("svg.chart").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def counts_on(page):
    """How many errors of each kind the page shows."""
    kinds = page.locator(".error-kind").evaluate_all("all => all.map((one) => one.dataset.kind)")
    counts = page.locator(".error-kind").evaluate_all("all => all.map((e) => +e.querySelector('.number').textContent)")
    return dict(zip(kinds, counts, strict=True))


def numbers_of(page, name):
    row = page.locator(f'tr[data-class="{name}"]')
    return [
        float(row.locator(f"[data-role={role}]").get_attribute("data-value") or "nan")
        for role in ("precision", "recall", "F1")
    ]


def test_the_slider_gives_each_class_what_python_gives(evaluated, open_page):
    analysis, payload = evaluated
    page = open_page(payload)
    slider = page.locator("input[type=range]")
    for threshold in (0.3, 0.65, 0.9):
        slider.fill(str(threshold))
        for of in analysis.curves:
            assert numbers_of(page, of.name) == pytest.approx(of.at(threshold), nan_ok=True)
    page.locator("[data-role=best]").click()
    for of in analysis.curves:
        assert numbers_of(page, of.name) == pytest.approx(of.at(of.best))


def test_a_kind_of_error_is_shown_with_its_pictures(evaluated, open_page):
    analysis, payload = evaluated
    page = open_page(payload)
    page.locator("input[type=range]").fill("0")
    for kind, detected, labelled in (("missed", 0, 1), ("background", 1, 0), ("localisation", 1, 1)):
        page.locator(f'[data-kind="{kind}"]').click()
        figures = page.locator("[data-role=pictures] figure")
        assert figures.count() == min(12, analysis.breakdown.counts()[kind])
        first = figures.first
        assert first.locator("g.prediction").count() == detected
        assert first.locator("g.target").count() == labelled


@pytest.mark.parametrize("threshold", [None, 0.0, 0.37, 0.6, 0.8, 1.0])
def test_the_slider_moves_the_kinds_of_errors_and_their_pictures(evaluated, at, open_page, threshold):
    _, payload = evaluated
    page = open_page(payload)
    if threshold is not None:
        page.locator("input[type=range]").fill(str(threshold))
    expected = at(threshold)
    assert counts_on(page) == expected.counts()
    for kind, count in expected.counts().items():
        page.locator(f'[data-kind="{kind}"]').click()
        shown = page.locator("[data-role=pictures] figure").count()
        assert shown == min(12, count)
        assert page.locator("[data-role=pictures] g.prediction").count() == (0 if kind == "missed" else shown)
        more = page.locator("[data-role=pictures] > p").all_inner_texts()
        assert more == (["There are none at this threshold."] if not count else [f"{count - 12} more"] * (count > 12))
    said = " ".join(page.locator("[data-role=pictures] figcaption").all_inner_texts())
    assert all(float(score) >= (threshold or 0) for score in re.findall(r"\d\.\d\d", said))


def test_the_report_of_a_run_has_the_evaluation_as_a_chapter(evaluated, make_payload, open_page):
    analysis, payload = evaluated
    page = open_page({**make_payload([2])[0], "evaluation": payload}, chapter="evaluation")
    assert page.locator("#chapter-evaluation [data-role=sentence]").inner_text() == analysis.sentence()
    assert float(page.locator("[data-role=metric-AP]").get_attribute("data-value")) == analysis.metrics.AP
    assert counts_on(page) == {each["kind"]: each["at_best"] for each in payload["errors"]}
    assert open_page(make_payload([2])[0]).locator("#tab-evaluation").count() == 0


def test_errors_of_a_class_with_a_low_threshold_have_pictures_at_first(tmp_path, open_page):
    """The more confident errors of another class do not count, since the threshold of that one is higher still."""
    dataset = open_dataset(clean().write(tmp_path, "coco"), "valid")
    truth, (high, low) = dataset.to_coco(), dataset.category_ids
    results = [
        {"image_id": one["image_id"], "category_id": one["category_id"], "bbox": one["bbox"], "score": score}
        for one in truth["annotations"]
        for score in [0.95 if one["category_id"] == high else 0.2]
    ]
    images = [example.image_id for example in dataset.examples]
    nowhere = [1, 70, 8, 8]
    results += [{"image_id": i, "category_id": high, "bbox": nowhere, "score": 0.8} for i in images[:15]]
    results += [{"image_id": i, "category_id": low, "bbox": nowhere, "score": 0.4} for i in images[:2]]
    analysis = analyse(truth, results)
    page = open_page(analysis_payload(analysis, dataset, "Two thresholds", []))
    page.locator('[data-kind="background"]').click()
    assert counts_on(page)["background"] == 2
    assert page.locator("[data-role=pictures] figure").count() == 2
    page.locator("input[type=range]").fill("0.5")
    assert page.locator("[data-role=pictures] figure").count() == 12


def test_the_charts_are_drawn_from_the_curves_of_the_analysis(evaluated, open_page):
    analysis, payload = evaluated
    page = open_page(payload)
    for number, of in enumerate(analysis.curves):
        corners = payload["classes"][number]["f1"]
        assert corners[::2] == np.stack([of.thresholds, of.f1], 1).tolist()
    lines = page.locator("svg.chart").first.locator("path.chart-line").count()
    assert lines == len(analysis.curves)
    assert page.locator("[data-role=axis-y]").all_text_contents() == ["F1", "precision", "precision"]
    marks = page.locator("svg.chart").nth(2).locator("circle")
    assert marks.count() == (analysis.calibration.count > 0).sum()


def test_an_evaluation_without_objects_is_a_page_too(tmp_path, open_page):
    root = clean().write(tmp_path, "coco")
    dataset = open_dataset(root, "valid")
    truth = dataset.to_coco() | {"annotations": []}
    analysis = analyse(truth, [])
    page = open_page(analysis_payload(analysis, dataset, "Nothing", next_steps(analysis, dataset, InputSize(64, 64))))
    assert page.locator("[data-role=sentence]").inner_text() == "There are no objects to measure AP on."
