"""The page of `setpiece label`: a detector's suggestions are no labels until a person says so."""

from __future__ import annotations

from .label_server import Labels

FOUND = [
    {"box": [20.0, 20.0, 80.0, 80.0], "class": 0, "score": 0.9},
    {"box": [120.0, 30.0, 200.0, 100.0], "class": 1, "score": 0.6},
    {"box": [60.0, 110.0, 120.0, 170.0], "class": 2, "score": 0.3},
]


def suggested():
    labels = Labels()
    labels.suggestions[6] = [dict(one) for one in FOUND]
    labels.suggestions[5] = [dict(FOUND[0])]
    return labels


def test_suggestions_are_dashed_with_class_and_confidence_and_are_no_labels(open_label):
    label = open_label(suggested())
    assert (label.shown("suggested"), label.shown()) == (2, 0)
    tags = label.page.locator(".suggested .label-tag text").all_text_contents()
    assert sorted(tags) == ["circle 90 %", "square 60 %"]
    line = "getComputedStyle(document.querySelector('.label-mark.suggested rect.box')).strokeDasharray"
    assert label.page.evaluate(line) != "none"
    label.press("d", "a")
    label.wait_for_image(6)
    assert not label.labels.past


def test_enter_accepts_those_above_the_threshold_and_goes_on(open_label):
    label = open_label(suggested())
    label.role("threshold").fill("0.25")
    assert label.shown("suggested") == 3
    label.role("threshold").fill("0.5")
    label.page.evaluate("document.activeElement.blur()")
    label.press("Enter")
    label.wait_for_image(5)
    assert label.boxes(6) == [(0, 20, 20, 80, 80), (1, 120, 30, 200, 100)]
    assert label.labels.images[6]["state"] == "labelled"
    assert label.saved() == "accept 2 suggestions in scene_6.png"
    label.press("[")
    label.says("Threshold: 0.45.")


def test_a_click_accepts_one_and_the_right_button_rejects_one(open_label):
    label = open_label(suggested())
    label.click(50, 50)
    assert label.boxes() == [(0, 20, 20, 80, 80)]
    assert (label.shown(), label.shown("suggested")) == (1, 1)
    label.click(160, 60, button="right")
    assert label.shown("suggested") == 0
    label.says("The suggestion is rejected. R shows it again.")
    label.press("r")
    assert label.shown("suggested") == 1
    assert label.boxes() == [(0, 20, 20, 80, 80)]


def test_keys_choose_accept_and_reject(open_label):
    label = open_label(suggested())
    label.press(".")
    label.says("Suggestion 1 of 2: circle.")
    label.press("y")
    assert label.boxes() == [(0, 20, 20, 80, 80)]
    label.press(",", "x")
    assert label.shown("suggested") == 0
    label.press("Enter")
    label.wait_for_image(5)
    assert label.boxes(6) == [(0, 20, 20, 80, 80)]  # what was rejected does not come back


def test_what_is_under_the_pointer_is_accepted_and_rejected_by_keys(open_label):
    label = open_label(suggested())
    label.page.mouse.move(*label.at(160, 60))
    label.press("x")
    assert label.shown("suggested") == 1
    label.page.mouse.move(*label.at(50, 50))
    label.press("y")
    assert label.boxes() == [(0, 20, 20, 80, 80)]


def test_dragging_a_suggestion_corrects_and_accepts_it(open_label):
    label = open_label(suggested())
    label.drag((50, 50), (60, 45))
    assert label.boxes() == [(0, 30, 15, 90, 75)]
    assert label.saved() == "correct suggestion in scene_6.png"
    label.drag((200, 70), (230, 70))
    assert label.boxes()[1:] == [(1, 120, 30, 230, 100)]
    assert label.shown("suggested") == 0


def test_a_number_gives_a_suggestion_another_class_and_accepts_it(open_label):
    label = open_label(suggested())
    label.press(".", "3")
    assert label.boxes() == [(2, 20, 20, 80, 80)]


def test_hidden_suggestions_are_not_accepted(open_label):
    label = open_label(suggested())
    label.press("s")
    assert label.shown("suggested") == 0
    label.press("Enter")
    label.says("There is no box yet")
    assert not label.labels.past


def test_how_many_more_photos_are_needed_is_said(open_label):
    label = open_label()
    label.press("n")
    label.saved()
    line = "document.querySelector('[data-role=suggestion-line]').textContent"
    label.until(f"{line} === 'Suggestions come when 2 more photos are labelled.'")


def test_suggestions_come_while_the_photo_is_in_view_and_do_not_change_under_the_hands(open_label):
    label = open_label()
    assert label.role("suggestion-line").inner_text() == "Suggestions come when 3 more photos are labelled."
    label.labels.suggestions[6] = [dict(FOUND[0])]
    label.labels.touch()
    label.page.locator("[data-role=drawing] [data-role=suggested]").wait_for()
    label.labels.suggestions[6] = [dict(one) for one in FOUND]
    label.labels.touch()
    with label.page.expect_response("**/api/state*"):
        pass
    label.drag((150, 120), (220, 180))
    label.saved()
    assert label.shown("suggested") == 1
    label.press("Escape", "d", "a")
    label.until("document.querySelectorAll('[data-role=drawing] [data-role=suggested]').length === 2")
