"""A payload -> one HTML file: what is inside it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from setpiece.web import render


def payload(**fields):
    return {"kind": "report", "title": "A title", "images": [], "training": None, **fields}


class Scripts(HTMLParser):
    """The attributes and the text of every script element, as a browser parses them."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "script":
            self.found.append([dict(attrs), ""])

    def handle_data(self, data):
        if self.lasttag == "script" and self.found:
            self.found[-1][1] += data


def modules_of(page):
    return set(re.findall(r'^modules\["(.+)"\] = ', page, re.MULTILINE))


@pytest.mark.parametrize("kind", ["report", "tour", "doctor"])
def test_a_page_is_one_file_that_names_no_other(kind):
    page = render(payload(kind=kind))
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "@import" not in page
    assert not re.search(r"\burl\((?!data:|#)", page)


def test_a_page_holds_the_modules_and_styles_that_it_reaches():
    report, tour = (render(payload(kind=kind)) for kind in ("report", "tour"))
    assert "base/dom.js" in modules_of(report) & modules_of(tour)
    assert "base/training/charts.js" in modules_of(report) - modules_of(tour)
    assert "tour/quiz.js" in modules_of(tour) - modules_of(report)
    assert (".tour-figure" in report, ".tour-figure" in tour) == (False, True)
    assert (".model-part" in report, ".model-part" in tour) == (True, False)


def test_plotly_is_there_as_text_where_there_is_training():
    assert 'id="plotly"' not in render(payload())
    scripts = Scripts(render(payload(training={"metrics": None}))).found
    (plotly,) = [text for attrs, text in scripts if attrs.get("id") == "plotly"]
    assert len(plotly) > 1_000_000


def test_neither_data_nor_title_can_end_their_element():
    page = render(payload(title="</title><script>alert(1)</script>", classes=["</script><!--<script>"]))
    assert [attrs.get("type") for attrs, _ in Scripts(page).found] == ["application/json", "module"]
    assert "<script>alert" not in page


def test_numbers_are_finite_and_the_page_is_known():
    with pytest.raises(ValueError, match="JSON compliant"):
        render(payload(number=float("nan")))
    with pytest.raises(ValueError, match=r"gone/gone\.js, which does not exist"):
        render(payload(kind="gone"))
