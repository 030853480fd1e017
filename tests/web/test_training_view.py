"""The Training chapter in a browser: what it says of images and slots."""

from __future__ import annotations

import numpy as np
import pytest

from setpiece.explain.arrays import array
from setpiece.explain.payload_training import training_payload
from setpiece.explain.timeline import read_timeline

from ..arrays import unpack
from ..explain.test_timeline import write_run


@pytest.fixture
def training(tmp_path):
    return training_payload(read_timeline(write_run(tmp_path))[0])


def test_an_image_of_high_loss_is_named_and_opens_no_image_of_the_report_with_its_name(
    training, make_payload, open_page
):
    payload, _ = make_payload([2])
    names = [row["name"] for row in training["matching"]["worst"]]
    payload["images"][0]["name"] = names[0]  # of another split, it may be
    page = open_page({**payload, "training": training}, chapter="training")
    worst = page.locator("[data-role=worst]")
    assert worst.locator("td.text").all_inner_texts() == names
    assert worst.locator("button, a").count() == 0


def widened(matching, slots):
    """The same with more slots: those that there are, again and again."""

    def more(name, axis):
        found = unpack(matching[name])
        return array(np.take(found, np.arange(slots) % found.shape[axis], axis))

    axes = {"usage": 1, "box_mean": 0, "box_deviation": 0, "sample": 1, "sample_matched": 1}
    return {**matching, "queries": slots, **{name: more(name, axis) for name, axis in axes.items()}}


def test_all_slots_can_be_shown_with_where_their_boxes_lie(training, make_payload, open_page):
    matching = widened(training["matching"], 40)
    page = open_page({**make_payload([2])[0], "training": {**training, "matching": matching}}, chapter="training")
    assert page.locator(".slot-tile").count() == 24
    page.click("[data-role=all-slots]")
    assert page.locator(".slot-tile").count() == 40
    page.get_by_role("button", name="Show 24 slots").click()
    assert page.locator(".slot-tile").count() == 24
    page.click("[data-view=slots] summary")
    page.click("[data-role=slot-order-slot]")
    cells = "[data-role=slot-numbers] [data-role=slot-side]"
    page.wait_for_selector(cells)
    sides = page.locator(cells).evaluate_all("(all) => all.map((one) => [+one.dataset.value, +one.dataset.deviation])")
    expected = np.stack([unpack(matching["box_mean"]), unpack(matching["box_deviation"])], -1)
    np.testing.assert_allclose(np.array(sides).reshape(40, 4, 2), expected, rtol=1e-6)


def test_few_slots_are_all_shown_at_once(training, make_payload, open_page):
    page = open_page({**make_payload([2])[0], "training": training}, chapter="training")
    assert page.locator(".slot-tile").count() == training["matching"]["queries"]
    assert page.locator("[data-role=all-slots]").is_hidden()


def test_counts_are_said_to_be_of_the_images_that_the_recording_process_saw(training, make_payload, open_page):
    page = open_page({**make_payload([2])[0], "training": training}, chapter="training")
    lead = page.locator("[data-view=training] .lead").inner_text()
    assert "over the training images that the recording process saw" in lead


@pytest.mark.parametrize(("used", "said"), [(1, "1 of 6 slots has 70 %"), (2, "2 of 6 slots have 70 %")])
def test_the_number_of_busy_slots_is_said_in_the_right_form(training, make_payload, open_page, used, said):
    matching = widened(training["matching"], 6)
    usage = np.zeros_like(unpack(matching["usage"]))
    usage[:, :used] = 1 / used
    matching |= {"usage": array(usage), "usage_epochs": 1}
    page = open_page({**make_payload([2])[0], "training": {**training, "matching": matching}}, chapter="training")
    words = page.locator("[data-role=slot-words]").inner_text()
    assert words.startswith(said)
    assert words.endswith(f"; {6 - used} had none in the last epoch.")
