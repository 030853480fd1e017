"""The page of `setpiece doctor` in a browser: every finding with its pictures, hidden and shown by severity."""

from __future__ import annotations

import pytest

from setpiece.data.checks import Settings, examine
from setpiece.data.checks.page import as_json, page_payload
from setpiece.records import InputSize

from ..data.checks.planted import clean


@pytest.fixture
def found(tmp_path):
    data = clean()
    boxes = data.splits["train"][3].boxes
    boxes += [("cat", (30.0, 30.0, 30.0, 50.0)), ("dog", (50.0, 5.0, 51.0, 25.0))]
    data.write(tmp_path / "data", "coco")
    (tmp_path / "data" / "train" / "train6.jpg").write_text("no image")
    return examine(tmp_path / "data", Settings(InputSize(96, 96)))


def findings(page):
    return page.locator("[data-role=finding]")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_finding_is_shown_with_its_pictures(found, open_page, width, scheme):
    page = open_page(page_payload(found), width=width, scheme=scheme)
    assert page.locator("[data-role=images]").inner_text() == "Images: 23 in train, 20 in valid"
    checks = findings(page).evaluate_all("all => all.map((one) => one.dataset.check)")
    assert checks == [finding.check for finding in found.findings]
    one_pixel = page.locator('[data-check="boxes.one-pixel"]')
    assert "train: 1 box has a side of one pixel or less" in one_pixel.inner_text()
    assert one_pixel.locator("svg").get_attribute("viewBox") == "0 0 96 80"
    box = one_pixel.locator("rect.box").evaluate("b => ['x', 'y', 'width', 'height'].map((n) => +b.getAttribute(n))")
    assert box == [50, 5, 1, 20]
    unreadable = page.locator('[data-check="files.unreadable"]')
    assert unreadable.locator("svg").count() == 0
    assert "train6.jpg" in unreadable.locator("details").text_content()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_severity_is_hidden_and_shown_again(found, open_page):
    page = open_page(page_payload(found))
    errors = page.locator('[data-severity="error"]')
    assert errors.inner_text() == "Errors: 2"
    errors.click()
    assert findings(page).evaluate_all("all => all.filter((one) => !one.hidden).length") == len(found.findings) - 2
    errors.click()
    assert findings(page).evaluate_all("all => all.every((one) => !one.hidden)")


def test_clean_data_says_so(tmp_path, open_page):
    page = open_page(page_payload(examine(clean().write(tmp_path / "data", "yolo"), Settings(InputSize(96, 96)))))
    assert page.locator("[data-role=nothing]").inner_text() == "Nothing is wrong or unusual."


def test_json_and_page_hold_the_same_findings(found):
    in_json, on_page = as_json(found)["findings"], page_payload(found)["findings"]
    for one, other in zip(in_json, on_page, strict=True):
        assert {**one, "examples": None} == {**other, "examples": None}
        assert [place["text"] for place in one["examples"]] == [place["text"] for place in other["examples"]]
