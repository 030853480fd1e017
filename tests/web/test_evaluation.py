"""The page of `setpiece eval --report` in a browser: its numbers are Python's, and its parts answer."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from setpiece.data.sources import open_dataset
from setpiece.evaluation.analysis import analyse
from setpiece.evaluation.calibration import LEAST
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
    assert page.locator(".error-kind .number:nth-of-type(3)").all_inner_texts() == ["–"] * 6  # no gain can be measured
    assert page.get_by_text("1 images").count() == 0


def test_the_first_kind_with_pictures_is_open(tmp_path, open_page):
    """Without objects nothing costs AP50, and detections are on nothing."""
    dataset = open_dataset(clean().write(tmp_path, "coco"), "valid")
    example = dataset.examples[0]
    dataset = replace(dataset, examples=(replace(example, **nothing_in(example)),))
    results = [
        {"image_id": example.image_id, "category_id": dataset.category_ids[0], "bbox": [1, 1, 9, 9], "score": 0.9}
    ]
    page = open_page(analysis_payload(analyse(dataset.to_coco(), results), dataset, "Nothing", []))
    assert page.locator(".error-kind[aria-pressed=true]").get_attribute("data-kind") == "background"
    assert page.locator("[data-role=pictures] figure").count() == 1
    assert page.get_by_text("1 image", exact=True).is_visible()


def nothing_in(example):
    return {field: getattr(example, field)[:0] for field in ("boxes_xyxy", "labels", "crowd", "areas")}


def test_the_pictures_are_clicked_through_in_a_dialog(evaluated, open_page):
    page = open_page(evaluated[1])
    page.locator("input[type=range]").fill("0")
    buttons = page.locator("[data-role=pictures] figure button")
    captions = page.locator("[data-role=pictures] figcaption").all_inner_texts()
    dialog = page.locator("dialog")
    assert not dialog.is_visible()
    buttons.nth(1).focus()
    page.keyboard.press("Enter")

    def shown():
        return dialog.locator("figcaption").inner_text(), dialog.locator("[data-role=place]").inner_text()

    assert shown() == (captions[1], f"2 of {len(captions)}")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")  # there is none before the first
    assert shown() == (captions[0], f"1 of {len(captions)}")
    page.keyboard.press("ArrowRight")
    dialog.locator("[data-role=next]").click()
    assert shown() == (captions[2], f"3 of {len(captions)}")
    assert dialog.locator("svg").bounding_box()["height"] > 400
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert buttons.nth(1).evaluate("one => one === document.activeElement")
    buttons.nth(2).click()
    assert shown()[0] == captions[2]
    dialog.locator("[data-role=close]").click()
    assert not dialog.is_visible()


def test_the_name_of_a_line_brings_it_forward(evaluated, open_page):
    analysis, payload = evaluated
    page = open_page(payload)
    lines = page.locator("svg.chart").first.locator("path.chart-line")
    colours = lines.evaluate_all("all => all.map((one) => getComputedStyle(one).stroke)")
    assert len(set(colours)) == len(analysis.curves)
    keys = page.locator("[data-role=curve]")
    assert keys.all_inner_texts() == [of.name for of in analysis.curves]
    keys.first.focus()
    assert [each.get_attribute("data-class") for each in page.locator(".curve.forward").all()] == ["0", "0"]
    assert page.locator(".curve.faded").count() == 2 * (len(analysis.curves) - 1)
    keys.first.press("Enter")
    page.locator("input[type=range]").fill("0.5")  # draws anew
    assert page.locator(".curve.forward").count() == 2
    keys.first.press("Enter")
    page.locator("input[type=range]").focus()
    assert page.locator(".curve.forward, .curve.faded").count() == 0


def with_names(payload, names):
    classes = [{**of, "name": name} for of, name in zip(payload["classes"], names, strict=True)]
    return {**payload, "classes": classes}


def test_numbers_that_the_slider_moves_are_in_sight_beside_long_names(evaluated, open_page):
    long = with_names(evaluated[1], ["a name that goes on " * 6, "W" * 120])
    page = open_page(long, width=390)
    for cell in page.locator("[data-role=classes] [data-role=F1]").all():
        place = cell.bounding_box()
        assert place["x"] + place["width"] <= 390
    names = page.locator("[data-role=classes] .name").all()
    assert all(name.bounding_box()["width"] <= 390 / 3 for name in names)
    assert [name.get_attribute("title") for name in names] == [of["name"] for of in long["classes"]]
    page = open_page(long)
    panel = page.locator("[data-view=confusion]").bounding_box()
    for cell in page.locator("[data-role=confusion] td").all():
        place = cell.bounding_box()
        assert place["x"] + place["width"] <= panel["x"] + panel["width"]


def test_a_name_from_right_to_left_stays_before_its_number(evaluated, open_page):
    payload = with_names(evaluated[1], ["عربي", "dog"])
    page = open_page(payload)
    page.locator("input[type=range]").fill("0")
    page.locator('[data-kind="background"]').click()
    caption = page.locator("figcaption", has_text="عربي").first  # "IMG.jpg: عربي 0.75"
    name, number = caption.evaluate(
        """(one) => [...one.childNodes].slice(-2).map((node) => {
            const range = document.createRange();
            range.selectNodeContents(node);
            return range.getBoundingClientRect().left;
        })"""
    )
    assert name < number


def test_options_in_advice_break_at_spaces_alone(evaluated, open_page):
    text = "Look at the labels (setpiece doctor DATA --model RUN), then train with --size 640."
    page = open_page({**evaluated[1], "steps": [text]}, width=390)
    step = page.locator("[data-role=steps] li")
    assert step.inner_text() == text
    assert step.locator("code").all_inner_texts() == ["setpiece doctor DATA --model RUN", "--size 640"]
    lines = step.locator("code .whole").evaluate_all("all => all.map((one) => one.getClientRects().length)")
    assert set(lines) == {1}


def test_the_page_says_which_confidences_its_calibration_leaves_out(evaluated, open_page):
    page = open_page(evaluated[1])
    assert page.get_by_text(f"Detections with a confidence below {LEAST} are left out.").is_visible()


def test_of_many_classes_the_most_frequent_confusions_are_listed(evaluated, open_page):
    _, payload = evaluated
    count = 25
    matrix = np.zeros((count + 1, count + 1), int)
    np.fill_diagonal(matrix[:count, :count], 4)
    matrix[3, 7], matrix[9, 2], matrix[5, count], matrix[count, 1] = 5, 2, 1, 8
    first = payload["classes"][0]
    classes = [{**first, "name": f"class {number}"} for number in range(count)]
    page = open_page({**payload, "classes": classes, "pictures": [], "confusion": matrix.tolist()})
    assert page.locator("[data-role=confusion]").count() == 0
    rows = page.locator("[data-role=confusions] tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    assert rows == [["class 3", "class 7", "5", "56 %"], ["class 9", "class 2", "2", "33 %"]]
    said = page.locator("[data-role=confused]").inner_text()
    assert "Of 108 objects 100 are taken for their own class, 7 for another one and 1 for nothing" in said
    assert "8 detections found nothing" in said
