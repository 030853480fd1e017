"""The page as a whole, in a browser: chapters, thumbnails, findings, keys, sizes, and what must not break it."""

from __future__ import annotations

import html

import pytest

from setpiece.explain.architecture import architecture
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import create

from ..arrays import unpack
from ..explain.test_architecture import make_image
from ..explain.test_timeline import payload_of, write_run

CHAPTERS = ["words", "matching", "loss", "giou"]


def role(page, name):
    return page.locator(f'[data-role="{name}"]')


def shown(page):
    """The chapter in view."""
    return page.locator("section.chapter:not([hidden])").get_attribute("data-view")


def finding(**where):
    return {"text": "Look here.", "image": None, "target": None, "query": None, "layer": None, **where}


def test_the_first_view_is_in_words_and_other_chapters_are_drawn_when_they_are_asked_for(open_page, make_payload):
    page = open_page(make_payload([3])[0])
    assert shown(page) == "words"
    assert page.locator('[data-view="matching"] > *').count() == 0
    role(page, "tab-matching").click()
    assert shown(page) == "matching"
    assert page.locator('[data-view="matching"] > *').count() > 0


def test_chapters_without_data_are_left_out(open_page, make_payload):
    payload, _ = make_payload([])
    page = open_page(payload)
    assert page.locator('[role="tab"]').all_inner_texts() == ["In words", "GIoU"]


def test_what_is_missing_is_said(open_page, make_payload):
    payload, _ = make_payload([1])
    payload["missing"] = ["There is no recording in this folder: <b>no</b> timeline."]
    page = open_page(payload)
    assert payload["missing"][0] in role(page, "missing").inner_text()


def test_tabs_work_by_arrow_keys_and_can_be_linked_to(open_page, make_payload):
    page = open_page(make_payload([1])[0], chapter="loss")
    assert shown(page) == "loss"
    role(page, "tab-loss").focus()
    page.keyboard.press("ArrowRight")
    assert shown(page) == "giou"
    assert page.evaluate("location.hash") == "#giou"
    page.keyboard.press("Home")
    assert shown(page) == "words"
    assert page.evaluate("document.activeElement.dataset.role") == "tab-words"
    assert role(page, "tab-words").get_attribute("aria-selected") == "true"


def test_images_are_chosen_by_thumbnail_and_by_left_and_right(open_page, make_payload):
    payload, facts = make_payload([1, 2, 3, 4])
    page = open_page(payload, chapter="matching")

    def rows():
        return page.locator('[data-role="pair-row"]').count()

    page.keyboard.press("ArrowRight")
    assert rows() == 2
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")  # there is none before the first
    assert rows() == 1
    page.locator('[data-role="thumbnail"][data-image="3"]').click()
    assert rows() == 4
    page.keyboard.press("ArrowLeft")
    assert rows() == 3
    assert page.evaluate("document.activeElement.dataset.image") == "2"
    role(page, "order-loss").click()
    order = page.locator('[data-role="thumbnail"]').evaluate_all("(all) => all.map((one) => +one.dataset.image)")
    assert order == sorted(range(4), key=lambda i: -facts[i].layer_loss(2)["total"])


def test_a_finding_goes_to_its_image_layer_and_pair(open_page, make_payload):
    payload, facts = make_payload([2, 5])
    payload["findings"] = [finding(image=1, target=4, layer=0), finding()]
    page = open_page(payload)
    page.get_by_role("button", name="Look here.").click()
    assert shown(page) == "matching"
    assert "Image 1" in role(page, "image-name").inner_text()
    assert page.locator('[data-role="pair-row"].current').get_attribute("data-target") == "4"
    assert page.locator('[data-view="matching"] output').inner_text() == "layer 1"
    held = page.locator(".matrix .cell.current")
    assert held.get_attribute("data-query") == str(facts[1].match[0, 4].item())


def test_the_page_works_inside_a_frame_as_notebooks_show_it(browser, make_payload):
    from setpiece.web import render

    outer, wrong = browser.new_page(), []
    outer.on("pageerror", lambda error: wrong.append(str(error)))
    outer.set_content(f'<iframe srcdoc="{html.escape(render(make_payload([2])[0]))}"></iframe>')
    inner = outer.frame_locator("iframe")
    inner.locator('[data-role="tab-matching"]').click()
    assert inner.locator('[data-role="pair-row"]').count() == 2
    outer.close()
    assert not wrong


def test_names_that_look_like_markup_are_harmless(open_page, make_payload):
    payload, _ = make_payload([3])
    payload["classes"] = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a & b"]
    payload["title"] = payload["images"][0]["name"] = "<b>bold</b>"
    page = open_page(payload, chapter="matching")
    assert page.locator("h1").inner_text() == "<b>bold</b>"
    assert page.locator('[data-role="pair-row"]').count() == 3


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_an_image_without_objects_opens_in_every_chapter(open_page, make_payload, form):
    payload, (facts,) = make_payload([0], form=form)
    page = open_page(payload)
    for chapter in CHAPTERS:
        role(page, f"tab-{chapter}").click()
        assert shown(page) == chapter
    role(page, "tab-loss").click()
    total = float(page.locator('[data-role="loss-total"]').get_attribute("data-value"))
    assert total == pytest.approx(facts.layer_loss(2)["total"], rel=1e-4)
    role(page, "tab-matching").click()
    assert "no objects" in role(page, "pair").inner_text()
    assert "No objects." in role(page, "image-note").inner_text()


def test_many_queries_classes_and_objects_stay_usable(open_page, make_payload):
    payload, (facts,) = make_payload([115], form="sigmoid", L=2, Q=900, C=80, most_queries=300)
    page = open_page(payload, chapter="matching")
    assert "most relevant of 900 queries" in role(page, "image-note").inner_text()
    assert page.locator('[data-role="pair-row"]').count() == 115
    assert page.locator('[data-role="cell"]').count() < 1000  # of 115 × 131: those in view
    page.locator('[data-role="pair-row"][data-target="114"]').click()
    current = page.locator(".matrix .cell.current")  # scrolled to
    kept = current.get_attribute("data-query")
    number = unpack(payload["images"][0]["queries"])[int(kept)].item()
    assert (current.get_attribute("data-target"), number) == ("114", facts.match[1, 114].item())
    role(page, "tab-loss").click()
    total = float(page.locator('[data-role="loss-total"]').get_attribute("data-value"))
    assert total == pytest.approx(facts.layer_loss(1)["total"], rel=1e-4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_chapter_is_wider_than_a_narrow_screen(open_page, make_payload, scheme):
    payload, _ = make_payload([6, 2], seed=5)
    payload["findings"] = [finding(image=0, target=1, text="A long sentence on an image. " * 6)]
    page = open_page(payload, width=390, height=800, scheme=scheme)
    for chapter in CHAPTERS:
        role(page, f"tab-{chapter}").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, chapter


def test_every_control_has_a_name_and_can_be_reached_by_tab(open_page, make_payload, tmp_path):
    payload, _ = make_payload([3, 2], Q=100)
    model = architecture(Predictor(create("detr-tiny", ["a"])), [(0, make_image())])
    page = open_page({**payload, "model": model, "training": payload_of(write_run(tmp_path))})
    nameless = """() => [
        ...document.querySelectorAll('button, input, [role=grid], [role=region], svg[role], [tabindex="0"]'),
      ].filter((one) => !(one.ariaLabel || (!one.matches("div") && one.textContent.trim()) || one.labels?.length))
        .map((one) => one.outerHTML.slice(0, 200))"""
    for chapter in [*CHAPTERS, "model", "training"]:
        role(page, f"tab-{chapter}").click()
        assert page.evaluate(nameless) == []
    role(page, "tab-matching").click()
    reached = set()
    role(page, "tab-matching").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break  # after the last one
        reached.add(page.evaluate("document.activeElement.dataset.role ?? document.activeElement.ariaLabel"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"  # the focus is seen
    assert {"layer", "idle-none", "matrix", "pair-row", "thumbnail"} <= reached


def test_light_and_dark_follow_the_reader(open_page, make_payload):
    payload, _ = make_payload([1])
    grounds = [
        open_page(payload, scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert grounds[0] != grounds[1]


def test_a_picture_that_is_not_in_the_file_leaves_its_boxes(open_page, make_payload):
    payload, _ = make_payload([2])
    payload["images"][0]["src"] = None
    page = open_page(payload, chapter="matching")
    assert page.locator('.picture [data-role="target-box"]').count() == 2
