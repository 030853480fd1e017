"""The page of `setpiece label`: boxes are drawn, moved and pulled at with the mouse and with fingers."""

from __future__ import annotations

import pytest

from .label_server import HEIGHT, WIDTH, Labels


def one_box(box=(60, 50, 140, 120), label=0):
    """Labels whose photo 6, which is offered first, has one box."""
    labels = Labels()
    labels.images[6]["boxes"] = [{"box": list(box), "class": label}]
    return labels


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_box_is_drawn_by_dragging_and_is_saved(open_label, width, scheme):
    label = open_label(width=width, scheme=scheme)
    label.drag((20, 30), (120, 110))
    assert label.boxes() == [(0, 20, 30, 120, 110)]
    assert label.saved() == "draw box in scene_6.png"
    assert label.shown() == 1
    label.says("A box of circle is drawn: 1 box.")
    assert label.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_box_is_drawn_by_two_clicks_and_escape_forgets_the_first(open_label):
    label = open_label()
    label.click(200, 150)
    label.says("The first corner is set")
    label.click(100, 60)
    assert label.boxes() == [(0, 100, 60, 200, 150)]
    label.click(20, 20)
    label.press("Escape")
    label.drag((10, 10), (40, 40))
    assert label.boxes()[1:] == [(0, 10, 10, 40, 40)]


def test_a_box_ends_at_the_edges_of_the_photo_and_one_without_area_is_none(open_label):
    label = open_label()
    label.drag((200, 150), (WIDTH + 30, HEIGHT + 4))
    assert label.boxes() == [(0, 200, 150, WIDTH, HEIGHT)]
    label.drag((20, 20), (60, 20.4))
    assert len(label.boxes()) == 1


def test_the_box_in_hand_is_moved_by_its_inside(open_label):
    label = open_label(one_box())
    label.click(100, 80)
    label.drag((100, 80), (120, 70))
    assert label.boxes() == [(0, 80, 40, 160, 110)]
    assert label.saved() == "move box in scene_6.png"
    label.drag((120, 70), (400, 70))
    assert label.boxes() == [(0, WIDTH - 80, 40, WIDTH, 110)]


def test_a_box_is_resized_by_its_edges_and_corners(open_label):
    label = open_label(one_box((60, 50, 140, 120)))
    for start, end, box in [
        ((60, 80), (40, 80), (40, 50, 140, 120)),
        ((140, 80), (180, 80), (40, 50, 180, 120)),
        ((100, 50), (100, 20), (40, 20, 180, 120)),
        ((180, 120), (160, 150), (40, 20, 160, 150)),
        ((40, 150), (50, 130), (50, 20, 160, 130)),
        ((50, 20), (220, 180), (158, 128, 160, 130)),  # no further than the other corner
    ]:
        label.drag(start, end)
        assert label.boxes() == [(0, *box)]
        assert label.saved() == "resize box in scene_6.png"


def test_a_box_is_drawn_inside_another_one_and_with_shift_also_inside_the_one_in_hand(open_label):
    label = open_label(one_box((10, 10, 240, 180)))
    label.drag((50, 50), (100, 100))
    assert label.boxes()[1:] == [(0, 50, 50, 100, 100)]
    label.keys.down("Shift")
    label.drag((60, 60), (90, 90))
    label.keys.up("Shift")
    assert label.boxes()[2:] == [(0, 60, 60, 90, 90)]


def test_clicks_take_the_smallest_box_in_hand_and_then_those_around_it(open_label):
    labels = one_box((10, 10, 240, 180))
    labels.images[6]["boxes"] += [{"box": [40, 40, 160, 150], "class": 1}, {"box": [60, 60, 120, 120], "class": 2}]
    label = open_label(labels)
    chosen = label.page.locator(".label-mark.chosen")
    for expected in ("2", "1", "0", "2"):
        label.click(90, 90)
        assert chosen.get_attribute("data-index") == expected
    assert not labels.past


def test_the_first_box_of_all_asks_for_a_class(open_label):
    label = open_label(Labels(classes=()))
    label.drag((20, 30), (120, 110))
    label.role("class-hint").get_by_text("Name the class of the box that you drew").wait_for()
    label.keys.type("red cell")
    label.press("Enter")
    label.role("class-0").wait_for()
    label.until("document.querySelectorAll('[data-role=labelled].label-mark').length === 1")
    assert label.boxes() == [(0, 20, 30, 120, 110)]
    assert label.labels.classes == ["red cell"]
    label.drag((130, 30), (200, 110))
    assert label.boxes()[1:] == [(0, 130, 30, 200, 110)]


def test_escape_forgets_a_box_without_a_class(open_label):
    label = open_label(Labels(classes=()))
    label.drag((20, 30), (120, 110))
    label.press("Escape")
    assert label.role("rubber").is_hidden()
    assert label.boxes() == []


WAITS = "Name the class of the box first, or press Escape."


@pytest.mark.parametrize("button", ["tool-nothing", "tool-next", "tool-unlabelled", "photo-3"])
def test_nothing_is_confirmed_and_no_other_photo_comes_while_a_box_waits_for_its_class(open_label, button):
    label = open_label(Labels(classes=()))
    label.drag((20, 30), (120, 110))
    label.says("Write the name of a class")
    (label.page.locator('.label-thumbnail[data-id="3"]') if button == "photo-3" else label.role(button)).click()
    label.says(WAITS)
    assert label.image() == 6
    assert label.role("rubber").is_visible()
    assert not label.labels.past


def test_a_drag_beside_a_box_that_waits_for_its_class_says_why_nothing_is_drawn(open_label):
    label = open_label(Labels(classes=()))
    label.drag((20, 30), (120, 110))
    label.drag((130, 30), (200, 110))
    label.says(WAITS)
    label.role("class-query").fill("cell")
    label.role("class-query").press("Enter")
    label.role("class-0").wait_for()
    label.until("document.querySelectorAll('[data-role=labelled].label-mark').length === 1")
    assert label.boxes() == [(0, 20, 30, 120, 110)]


@pytest.mark.parametrize("way", ["tool-delete", "tool-undo", "cancel-box"])
def test_fingers_give_up_a_box_that_waits_for_its_class(open_label, way):
    label = open_label(Labels(classes=()), width=390, height=844, touch=True)
    touch(label, *([label.at(x, x)] for x in (40, 90, 120)))
    label.role("cancel-box").wait_for()
    label.role(way).click()
    label.says("The box without a class is dropped.")
    assert label.role("rubber").is_hidden()
    assert label.role("cancel-box").is_hidden()
    label.role("tool-nothing").click()
    label.wait_for_image(5)


def test_a_box_that_is_too_small_is_said_to_be(open_label):
    label = open_label()
    label.drag((20, 20), (60, 20.4))
    label.says("The box is too small: draw a larger one.")
    assert not label.labels.past


def test_every_box_has_a_name_or_the_number_of_its_class_and_not_a_colour_alone(open_label):
    labels = one_box()
    labels.images[6]["boxes"] += [{"box": [200, 150, 206, 156], "class": 2}]
    label = open_label(labels)
    assert label.page.locator(".label-tag text").all_text_contents() == ["circle", "3"]


def test_the_wheel_zooms_at_the_pointer_and_the_photo_is_panned(open_label):
    label = open_label()
    start = label.at(64, 48)
    label.page.mouse.move(*start)
    label.page.mouse.wheel(0, -600)
    assert label.at(64, 48) == pytest.approx(start, abs=1.5)  # of a wheel, whole pixels are told
    scale = float(label.role("stage").get_attribute("data-scale"))
    assert scale > 5
    label.keys.down("Space")
    label.page.mouse.down()
    label.page.mouse.move(start[0] + 50, start[1] + 30)
    label.page.mouse.up()
    label.keys.up("Space")
    assert label.at(64, 48) == pytest.approx((start[0] + 50, start[1] + 30), abs=1.5)
    label.page.mouse.down(button="middle")
    label.page.mouse.move(*start)
    label.page.mouse.up(button="middle")
    assert label.boxes() == []
    label.drag((60, 40), (80, 60))
    assert label.boxes() == [(0, 60, 40, 80, 60)]
    label.press("f")
    assert float(label.role("stage").get_attribute("data-scale")) < 3


def touch(label, *moves):
    """Fingers at the places of each move, in pixels of the screen; in the end they are lifted."""
    session = label.page.context.new_cdp_session(label.page)
    for i, points in enumerate(moves):
        places = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": "touchMove" if i else "touchStart", "touchPoints": places})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def test_fingers_draw_and_two_of_them_zoom(open_label):
    label = open_label(width=390, height=844, touch=True)
    touch(label, *([label.at(x, x)] for x in (40, 90, 120)))
    assert label.boxes() == [(0, 40, 40, 120, 120)]
    before = float(label.role("stage").get_attribute("data-scale"))
    (x, y), (u, v) = label.at(60, 90), label.at(120, 90)
    touch(label, *([(x - apart, y), (u + apart, v)] for apart in (0, 15, 30)))
    assert float(label.role("stage").get_attribute("data-scale")) > 1.3 * before
    assert label.boxes() == [(0, 40, 40, 120, 120)]
    label.role("tool-undo").click()  # on a busy machine a tap becomes a long press
    label.says("Undid: draw box in scene_6.png")
    assert label.boxes() == []


def test_fingers_tap_two_corners_and_accept_a_suggestion(open_label):
    labels = Labels()
    labels.suggestions[6] = [{"box": [20, 20, 80, 80], "class": 1, "score": 0.8}]
    label = open_label(labels, width=390, height=844, touch=True)
    label.page.touchscreen.tap(*label.at(50, 50))
    assert label.boxes() == [(1, 20, 20, 80, 80)]
    label.page.touchscreen.tap(*label.at(150, 100))
    label.page.touchscreen.tap(*label.at(220, 170))
    assert label.boxes()[1:] == [(0, 150, 100, 220, 170)]
