"""The GIoU playground in a browser: dragged, resized and moved by keyboard, its readings are those of the heart."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def page(open_page, make_payload):
    return open_page(make_payload([1])[0], chapter="giou")


def role(page, name):
    return page.locator(f'[data-role="{name}"]')


def box(page, name):
    """cxcywh in fractions of the drawing, as drawn."""
    shape = role(page, name)
    x, y, w, h = (float(shape.get_attribute(key)) for key in ("x", "y", "width", "height"))
    return [(x + w / 2) / 640, (y + h / 2) / 400, w / 640, h / 400]


def compare(page, index=0):
    """The readings against Python's for the boxes as they are drawn."""
    from setpiece.setloss.boxes import l1, overlaps

    a, b = (torch.tensor(box(page, f"{kind}-{index}"), dtype=torch.float64) for kind in ("target", "prediction"))
    iou, giou = overlaps(a, b)
    expected = {"iou": iou.item(), "giou": giou.item(), "l1": l1(a, b).item()}
    for name, number in expected.items():
        reading = float(role(page, f"{name}-{index}").get_attribute("data-value"))
        assert reading == pytest.approx(number, abs=1e-6), name
    edges = [min(a[0] - a[2] / 2, b[0] - b[2] / 2), max(a[0] + a[2] / 2, b[0] + b[2] / 2)]
    x, _, w, _ = box(page, f"hull-box-{index}")
    assert [x - w / 2, x + w / 2] == pytest.approx([edge.item() for edge in edges], abs=1e-6)
    return expected


def drag(page, name, dx, dy):
    place = role(page, name).bounding_box()
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx / 2, y + dy / 2)
    page.mouse.move(x + dx, y + dy)
    page.mouse.up()


def test_dragging_a_box_moves_it_and_the_readings(page):
    compare(page)
    before = box(page, "prediction-0")
    drag(page, "prediction-0", 60, -40)
    after = box(page, "prediction-0")
    assert after[0] > before[0]
    assert after[1] < before[1]
    assert after[2:] == pytest.approx(before[2:])
    compare(page)
    page.mouse.move(10, 10)  # let go: it stays
    assert box(page, "prediction-0") == after


def test_pulling_a_corner_resizes_a_box(page):
    before = box(page, "target-0")
    drag(page, "target-0-left-top", -50, -30)
    after = box(page, "target-0")
    assert after[2] > before[2]
    assert after[3] > before[3]
    assert after[0] + after[2] / 2 == pytest.approx(before[0] + before[2] / 2)
    compare(page)


def test_a_corner_cannot_be_pulled_through_the_opposite_one(page):
    drag(page, "target-0-left-top", 500, 400)
    *_, w, h = box(page, "target-0")
    assert w > 0
    assert h > 0
    compare(page)


def test_arrow_keys_move_and_resize_a_box(page):
    before = box(page, "target-0")
    page.get_by_role("group", name="target", exact=True).focus()
    page.keyboard.press("ArrowRight")
    moved = box(page, "target-0")
    assert moved == pytest.approx([before[0] + 0.01, *before[1:]])
    page.keyboard.press("Shift+ArrowDown")
    assert box(page, "target-0")[3] == pytest.approx(before[3] + 0.01)
    compare(page)


def test_apart_iou_is_zero_and_giou_tells_how_far(page):
    role(page, "preset-apart").click()
    near = compare(page)
    drag(page, "target-0", -60, 0)
    far = compare(page)
    assert near["iou"] == far["iou"] == 0
    assert far["giou"] < near["giou"] < 0


def test_the_preset_of_two_sizes_has_one_relative_error_one_giou_and_two_l1(page):
    role(page, "preset-sizes").click()
    large, small = compare(page, 0), compare(page, 1)
    assert large["giou"] == pytest.approx(small["giou"], abs=1e-6)
    assert large["iou"] == pytest.approx(small["iou"], abs=1e-6)
    assert large["l1"] == pytest.approx(4 * small["l1"])
    for kind in ("large", "small"):
        target, prediction = (box(page, f"{name}-{kind == 'small':d}") for name in ("target", "prediction"))
        assert (prediction[0] - target[0]) / target[2] == pytest.approx(0.2)
    assert "4.0 times" in role(page, "readings").inner_text()
