"""The page of `setpiece label` with the keyboard alone: every action has a key, and every key is shown."""

from __future__ import annotations

import pytest

from .label_server import HEIGHT, WIDTH, Labels


def in_the_middle(label):
    """The box that the key B makes."""
    label.press("b")
    return label.boxes()[-1]


def test_a_photo_is_labelled_with_keys_alone(open_label):
    label = open_label()
    _, left, top, right, bottom = in_the_middle(label)
    assert (left + right, top + bottom) == pytest.approx((WIDTH, HEIGHT), abs=2)
    label.press("ArrowRight", "Shift+ArrowDown")
    assert label.boxes() == [(0, left + 1, top + 10, right + 1, bottom + 10)]
    label.press("Alt+ArrowLeft", "Alt+Shift+ArrowDown", "Control+ArrowDown")
    assert label.boxes() == [(0, left + 1, top + 10, right, bottom + 21)]
    label.press("2")
    assert label.boxes()[0][0] == 1
    label.press("c")
    assert len(label.boxes()) == 2
    label.press("Delete")
    assert len(label.boxes()) == 1
    label.press("Escape", "Enter")
    label.wait_for_image(5)
    assert label.boxes(6) == [(1, left + 1, top + 10, right, bottom + 21)]
    assert label.labels.images[6]["state"] == "labelled"
    label.press("n")
    label.wait_for_image(4)
    label.saved()
    assert label.labels.images[5]["state"] == "empty"


def test_an_arrow_key_that_is_held_is_one_change(open_label):
    label = open_label()
    _, left, top, right, bottom = in_the_middle(label)
    for _ in range(20):
        label.keys.down("ArrowRight")
    label.keys.up("ArrowRight")
    assert label.boxes() == [(0, left + 20, top, right + 20, bottom)]
    assert [one["action"] for one in label.labels.past] == ["draw box in scene_6.png", "move box in scene_6.png"]


def test_arrows_go_through_the_photos_while_no_box_is_in_hand(open_label):
    label = open_label()
    label.press("ArrowRight")
    label.wait_for_image(5)
    label.press("d")
    label.wait_for_image(4)
    label.press("ArrowLeft", "a")
    label.wait_for_image(6)
    label.press("a")
    label.says("This is the first photo.")


def test_everything_is_undone_and_done_again(open_label):
    label = open_label()
    in_the_middle(label)
    label.press("3", "Escape", "Enter")
    label.wait_for_image(5)
    in_the_middle(label)
    label.until("document.querySelector('[data-role=tool-undo]').title.includes('draw box')")
    label.press("z")
    label.says("Undid: draw box in scene_5.png")
    label.press("Control+z")
    label.wait_for_image(6)  # what is undone is shown
    label.says("Undid: confirm in scene_6.png")
    assert label.labels.images[6]["state"] == "open"
    label.press("z")
    label.says("Undid: change class")
    assert label.boxes()[0][0] == 0
    label.press("z")
    label.says("Undid: draw box in scene_6.png")
    assert label.boxes() == []
    label.press("z")
    label.says("There is nothing to undo.")
    label.press("Shift+z", "Control+y", "Control+Shift+z")
    label.says("Redid: confirm in scene_6.png")
    assert label.labels.images[6]["state"] == "labelled"
    assert label.boxes(6)[0][0] == 2


def test_classes_are_found_and_added_renamed_and_merged_with_keys(open_label):
    label = open_label()
    in_the_middle(label)
    label.press("/")
    label.keys.type("sta")
    label.press("Enter")
    assert label.boxes()[0][0] == 2
    label.press("/")
    label.keys.type("blob")
    label.press("Enter")
    label.role("class-3").wait_for()
    label.until("document.querySelector('.label-mark').dataset.class === '3'")
    assert label.boxes()[0][0] == 3
    assert label.labels.classes == ["circle", "square", "star", "blob"]
    label.role("edit-class-3").focus()
    label.press("Enter")
    label.keys.press("Control+a")
    label.keys.type("drop")
    label.press("Enter")
    label.role("class-3").get_by_text("drop").wait_for()
    label.role("edit-class-3").focus()
    label.press("Enter")
    label.role("merge-into").select_option(label="square")
    label.role("merge").focus()
    label.press("Enter")
    label.says("drop is a part of square now.")
    assert label.labels.classes == ["circle", "square", "star"]
    assert label.boxes()[0][0] == 1
    label.role("edit-class-2").click()
    label.role("remove-class").click()
    label.says("star is removed.")
    assert label.labels.classes == ["circle", "square"]


def test_a_class_that_the_server_refuses_is_said(open_label):
    label = open_label(failing=True)
    label.role("edit-class-0").click()
    label.role("new-name").fill("star")
    label.press("Enter")
    label.says("There is a class 'star' already.")
    assert label.labels.classes == ["circle", "square", "star"]
    assert label.role("new-name").input_value() == "star"  # the form stays open with what was written


def open_form(label, place):
    label.role(f"edit-class-{place}").click()
    label.role("class-form").wait_for()


def remove_elsewhere(label, place, into=0):
    """As another tab does."""
    with label.labels.lock:
        label.labels.renumber(place, into)
        label.labels.touch()
    label.until(f"document.querySelectorAll('.label-class').length === {len(label.labels.classes)}")


def test_the_form_of_a_class_stays_with_it_when_its_place_becomes_another_ones(open_label):
    label = open_label(Labels(classes=("a", "b", "c", "d")))
    open_form(label, 2)
    label.role("new-name").fill("c2")
    remove_elsewhere(label, 0, 1)
    assert label.role("edit-class-1").get_attribute("aria-expanded") == "true"
    assert label.role("merge-into").locator("option").all_inner_texts() == ["b", "d"]
    label.role("rename").click()
    label.says("c is called c2 now.")
    assert label.labels.classes == ["b", "c2", "d"]
    open_form(label, 2)
    remove_elsewhere(label, 0, 1)
    label.role("remove-class").click()
    label.says("d is removed.")
    assert label.labels.classes == ["c2"]


def test_a_merge_goes_to_the_class_that_was_chosen_or_to_none(open_label):
    label = open_label(Labels(classes=("a", "b", "c", "d", "e")))
    open_form(label, 4)
    label.role("merge-into").select_option(label="d")
    remove_elsewhere(label, 0, 1)
    label.role("merge").click()
    label.says("e is a part of d now.")
    assert label.labels.classes == ["b", "c", "d"]
    open_form(label, 0)
    label.role("merge-into").select_option(label="d")
    remove_elsewhere(label, 2, 1)
    label.role("merge").click()
    label.says("Choose the class to merge into.")
    assert label.labels.classes == ["b", "c"]


def test_the_form_of_a_class_that_is_gone_closes(open_label):
    label = open_label()
    open_form(label, 1)
    remove_elsewhere(label, 1)
    label.says("There is no class square any more.")
    label.until("!document.querySelector('[data-role=class-form]')")


def test_the_server_hears_which_class_is_meant_and_changes_no_other_one(open_label):
    label = open_label(failing=True)
    open_form(label, 1)
    label.labels.classes[1] = "other"  # as a tab did of which this page has not heard
    label.role("rename").click()
    label.says("This class is another one by now.")
    assert label.labels.classes == ["circle", "other", "star"]


def test_the_panel_of_keys_names_every_action_and_no_key_has_two(open_label):
    label = open_label()
    label.press("?")
    panel = label.page.get_by_role("dialog", name="Keys")
    panel.wait_for()
    assert panel.locator("h3").all_inner_texts()[:2] == ["Going through the photos", "Boxes"]
    keys = panel.locator("kbd").all_inner_texts()
    assert len(keys) == len(set(keys))
    tools = label.page.locator("[aria-keyshortcuts]").evaluate_all("all => all.map((one) => one.title)")
    texts = panel.locator("dd").all_inner_texts()
    assert all(title.rsplit(" (", 1)[0] in texts for title in tools if title)
    label.press("d", "Escape")
    assert not panel.is_visible()
    assert label.image() == 6  # keys do nothing behind the panel


def test_a_key_that_a_field_or_a_button_needs_is_theirs(open_label):
    label = open_label()
    label.press("/")
    label.keys.type("n d 1")
    assert label.image() == 6
    label.press("Escape")
    label.role("tool-whole").focus()
    label.press("Enter")
    assert label.image() == 6
    label.role("tool-box").click()
    label.press("Escape", "Enter")  # a click leaves the keys to the photo
    label.wait_for_image(5)
    assert len(label.boxes(6)) == 1


def test_boxes_are_copied_from_the_previous_photo_where_they_are_not_yet(open_label):
    label = open_label()
    first = in_the_middle(label)
    label.press("Enter")
    label.wait_for_image(5)
    label.press("p")
    label.says("1 box copied from scene_6.png.")
    assert label.boxes(5) == [first]
    label.press("p")
    label.says("Nothing in scene_6.png is to be copied.")
    assert label.boxes(5) == [first]


def test_a_photo_without_boxes_is_not_confirmed_by_enter_and_one_with_boxes_is_not_empty(open_label):
    label = open_label()
    label.press("Enter")
    label.says("There is no box yet: draw one, or press N where nothing is.")
    in_the_middle(label)
    label.press("n")
    label.says("This photo has boxes: delete them first, if nothing is in it.")
    label.press("Enter", "a", "u")
    label.wait_for_image(6)
    label.says("This photo is open again.")
    label.saved()
    assert label.labels.images[6]["state"] == "open"


def test_letters_work_on_keyboards_of_other_scripts(open_label):
    label = open_label(Labels())
    label.page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'и', code: 'KeyB', bubbles: true }))"
    )
    label.page.locator(".label-mark").wait_for()
    assert len(label.boxes()) == 1
