"""The page of `setpiece label`: which photos there are, which comes next, and what is loaded before it is shown."""

from __future__ import annotations

import json

from .label_server import Labels


def thumbnails(label):
    return label.page.locator(".label-thumbnail").evaluate_all(
        "all => all.sort((a, b) => parseFloat(a.style.left) - parseFloat(b.style.left)).map((one) => +one.dataset.id)"
    )


def test_photos_are_offered_in_the_helpful_order_or_as_they_come(open_label):
    labels = Labels()
    labels.order = [3, 1, 6, 2, 4, 5]
    label = open_label(labels)
    assert label.image() == 3
    assert thumbnails(label) == [3, 1, 6, 2, 4, 5]
    assert label.role("order-helpful").get_attribute("aria-pressed") == "true"
    label.press("d")
    label.wait_for_image(1)
    label.press("o")
    label.says("Photos are offered as they come.")
    assert thumbnails(label) == [1, 2, 3, 4, 5, 6]
    assert label.role("order-files").get_attribute("aria-pressed") == "true"
    label.press("d")
    label.wait_for_image(2)
    label.role("order-helpful").click()
    label.says("Photos are offered that help the detector most.")
    assert thumbnails(label) == [3, 1, 2, 6, 4, 5]  # those that were opened, as they were


def test_the_server_hears_what_comes_and_pictures_are_loaded_ahead(open_label):
    label = open_label()
    label.until("performance.getEntriesByType('resource').some((one) => one.name.endsWith('/photos/4'))")
    coming = [one for one in label.labels.requests if one["path"] == "/api/order"]
    assert coming[-1]["coming"] == [5, 4, 3, 2, 1]
    assert coming[-1]["mode"] == "helpful"


def test_the_strip_shows_states_and_filters_by_state_and_class(open_label):
    labels = Labels()
    labels.images[1] |= {"state": "labelled", "boxes": [{"box": [1, 1, 50, 50], "class": 2}]}
    labels.images[2] |= {"state": "empty"}
    labels.images[3] |= {"state": "missing", "why": "scene_3.png is gone."}
    label = open_label(labels)
    one = label.page.locator('.label-thumbnail[data-id="1"]')
    assert one.get_attribute("aria-label") == "scene_1.png, labelled, 1 box"
    assert one.locator(".mark").get_attribute("data-text") == "✓"
    five = label.page.locator('.label-thumbnail[data-id="5"]')
    assert five.get_attribute("aria-label") == "scene_5.png, not confirmed, 0 boxes, held out for testing"
    label.role("filter-state").select_option("empty")
    assert thumbnails(label) == [2]
    assert label.role("count").inner_text() == "1 of 6 photos"
    label.role("filter-state").select_option("trouble")
    assert thumbnails(label) == [3]
    label.page.locator('.label-thumbnail[data-id="3"]').click()
    label.role("trouble").get_by_text("scene_3.png is gone.").wait_for()
    label.role("filter-state").select_option("")
    label.role("filter-class").select_option(label="star")
    assert thumbnails(label) == [1]
    label.role("filter-class").select_option(label="circle")
    assert label.page.get_by_text("No photo passes the filter.").is_visible()


def test_the_filter_of_a_class_stays_with_it_and_ends_when_it_is_gone(open_label):
    labels = Labels(classes=("a", "b", "c"))
    for id in (1, 2):
        labels.images[id]["boxes"] = [{"box": [1, 1, 50, 50], "class": id}]
    label = open_label(labels)
    chosen = "document.querySelector('[data-role=filter-class]').selectedOptions[0].text"
    label.role("filter-class").select_option(label="b")
    assert thumbnails(label) == [1]
    for gone, now, count in ((0, "b", "1 of 6 photos"), (0, "All classes", "6 photos")):
        with labels.lock:
            labels.renumber(gone, 1)
            labels.touch()
        label.until(f"document.querySelectorAll('.label-class').length === {len(labels.classes)}")
        assert label.page.evaluate(chosen) == now
        assert label.role("count").inner_text() == count


def test_before_there_is_a_class_the_filter_says_all_classes(open_label):
    label = open_label(Labels(classes=()))
    assert label.role("filter-class").locator("option").all_inner_texts() == ["All classes"]


def test_no_picture_is_asked_for_of_a_photo_that_is_broken(open_label):
    labels = Labels(2)
    labels.suggestions[-1] = []
    broken = {"revision": 0, "state": "broken", "boxes": [], "why": "a.png cannot be read."}
    labels.images = {-1: broken, **labels.images}
    labels.mode = "files"
    label = open_label(labels)  # an answer 404 in the console fails the test
    label.press("a")
    label.role("trouble").get_by_text("a.png cannot be read.").wait_for()
    label.press("d")
    label.wait_for_image(1)
    assert label.page.locator('.label-thumbnail[data-id="-1"] img').count() == 0


def test_of_thousands_of_photos_few_thumbnails_are_in_the_page(open_label):
    label = open_label(Labels(3000))
    assert label.image() == 3000
    assert label.page.locator(".label-thumbnail").count() < 40
    label.role("strip").evaluate("one => (one.scrollLeft = one.scrollWidth)")
    label.page.locator('.label-thumbnail[data-id="1"]').click()
    label.wait_for_image(1)
    assert label.page.locator(".label-thumbnail").count() < 40
    assert label.page.locator('.label-thumbnail[aria-selected="true"]').get_attribute("aria-posinset") == "2"


def test_the_strip_is_gone_through_with_arrow_keys(open_label):
    label = open_label()
    label.page.locator('.label-thumbnail[data-id="6"]').focus()
    label.press("ArrowRight")
    label.wait_for_image(5)
    assert label.page.evaluate("document.activeElement.dataset.id") == "5"
    label.press("End")
    label.wait_for_image(1)


def test_enter_goes_to_the_next_open_photo_and_says_when_none_is_left(open_label):
    labels = Labels(3)
    labels.images[2] |= {"state": "empty"}
    label = open_label(labels)
    label.press("b", "Enter")
    label.wait_for_image(1)
    label.press("w")
    label.says("No other photo is open.")
    label.press("b", "Enter")
    label.says("No open photo is left here")
    label.saved()
    assert {one["state"] for one in labels.images.values()} == {"labelled", "empty"}
    label.until("document.querySelector('[data-role=labelled-count]').textContent === '3 of 3'")


def test_photos_that_are_all_labelled_are_gone_through_as_they_come(open_label):
    labels = Labels(3)
    for image in labels.images.values():
        image |= {"state": "labelled", "boxes": [{"box": [1, 1, 50, 50], "class": 2}]}
    label = open_label(labels)
    assert label.image() == 1
    label.press("d", "d")
    label.wait_for_image(3)
    label.press("d")
    label.says("This is the last photo.")


def test_a_photo_that_vanishes_is_named_and_what_the_server_says_is_shown_until_it_is_read(open_label):
    label = open_label()
    label.labels.images[6] |= {"state": "missing", "why": "scene_6.png is not there any more."}
    label.labels.said = [{"id": 1, "text": "scene_6.png vanished."}, {"id": 2, "text": "2 photos came."}]
    label.labels.touch()
    label.role("trouble").get_by_text("scene_6.png is not there any more.").wait_for()
    notices = label.role("notices").locator("li")
    assert notices.count() == 2
    label.role("read-1").click()
    assert notices.locator("span").all_inner_texts() == ["2 photos came."]


def test_a_name_of_a_file_or_class_is_never_markup(open_label):
    label = open_label(Labels(classes=("<img src=x onerror=alert(1)>",)))
    label.press("b")
    label.saved()
    assert label.page.locator(".label-tag text").text_content() == "<img src=x onerror=alert(1)>"
    assert json.loads(label.page.locator("#payload").text_content())["kind"] == "label"
