"""The Training chapter in a browser: what it says of images and slots."""

from __future__ import annotations

import pytest

from setpiece.explain.timeline import read_timeline

from .test_timeline import write_run


@pytest.fixture
def training(tmp_path):
    return read_timeline(write_run(tmp_path))[0]


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
