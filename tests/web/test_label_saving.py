"""The page of `setpiece label` keeps what the server has not, says so, and stays in step with other tabs."""

from __future__ import annotations


def test_changes_are_sent_one_after_the_other_each_on_the_revision_before(open_label):
    label = open_label()
    for x in (10, 60, 110):
        label.drag((x, 20), (x + 40, 60))
    label.press("2", "Delete")
    label.saved()
    sent = [one for one in label.labels.requests if one["method"] == "PUT"]
    assert [one["action"] for one in sent] == ["draw box", "draw box", "draw box", "change class", "delete box"]
    assert [one["revision"] for one in sent] == [1, 2, 3, 4, 5]


def test_what_a_lost_server_does_not_answer_is_kept_said_and_sent_again(open_label):
    label = open_label(failing=True)
    label.labels.down = True
    label.role("unsaved").get_by_text("This page asks again").wait_for()  # the photo moves down for that
    label.drag((20, 20), (60, 60))
    label.role("unsaved").get_by_text("One change is kept on this page").wait_for()
    assert label.role("saved").inner_text() == "Not saved"
    label.press("Escape", "d")
    label.press("z")
    label.says("The server cannot be reached.")
    label.labels.down = False
    assert label.boxes(6) == [(0, 20, 20, 60, 60)]
    label.until("document.querySelector('[data-role=unsaved]').hidden")
    label.says("The server is there again.")
    label.press("z")
    label.says("Undid: draw box in scene_6.png")


def test_a_change_whose_answer_was_lost_is_not_made_twice(open_label):
    label = open_label(failing=True)
    label.labels.forgets = 1
    label.drag((20, 20), (60, 60))
    assert label.boxes() == [(0, 20, 20, 60, 60)]
    assert len(label.labels.past) == 1
    label.drag((100, 20), (160, 60))
    assert len(label.boxes()) == 2


def test_what_another_tab_changed_is_shown_and_not_overwritten(open_label):
    labels = open_label(failing=True)
    first, second = labels, open_label(labels.labels, failing=True, address=labels.address)
    first.drag((20, 20), (60, 60))
    first.saved()
    second.page.locator(".label-mark").wait_for()  # in step with the first
    first.labels.images[6] |= {"revision": 9, "boxes": [{"box": [100, 100, 150, 150], "class": 2}]}
    second.drag((20, 100), (60, 140))
    second.says("Another tab changed this photo.")
    second.until("document.querySelector('.label-mark').dataset.class === '2'")
    assert second.boxes() == [(2, 100, 100, 150, 150)]
    assert second.shown() == 1


def test_a_change_that_the_server_refuses_is_said_and_taken_back(open_label):
    label = open_label(failing=True)
    label.labels.classes = ["circle"]  # as a tab did of which this page has not heard
    label.press("3", "b")
    label.says("is not within the photo")
    label.until("!document.querySelector('.label-mark')")
    assert label.boxes() == []


def test_everything_is_there_after_a_reload(open_label):
    label = open_label()
    label.drag((20, 20), (60, 60))
    label.press("Enter")
    label.wait_for_image(5)
    label.saved()
    label.page.reload()
    label.wait_for_image(5)
    assert label.role("labelled-count").inner_text() == "1 of 6"
    label.press("a")
    label.wait_for_image(6)
    label.page.locator(".label-mark").wait_for()


def test_a_class_that_the_server_is_slow_to_add_goes_to_the_box_that_it_was_written_for(open_label):
    label = open_label()
    label.drag((20, 20), (60, 60))
    label.saved()
    with label.labels.lock:  # the server answers nothing
        label.press("/")
        label.keys.type("blob")
        label.press("Enter", "Escape")
        label.until("document.querySelector('[data-role=saved]').textContent === 'Saving …'")
        label.click(40, 40)
        label.says("The step before this one is not done yet: try again.")
    assert label.boxes() == [(3, 20, 20, 60, 60)]


def test_a_box_that_is_begun_while_the_server_is_slow_is_drawn(open_label):
    label = open_label()
    label.drag((20, 20), (60, 60))
    label.saved()
    with label.labels.lock:
        label.press("/")
        label.keys.type("blob")
        label.press("Enter")
        label.page.mouse.move(*label.at(100, 100))
        label.page.mouse.down()
        label.page.mouse.move(*label.at(150, 150))
    label.saved()
    label.page.mouse.move(*label.at(160, 160))
    label.page.mouse.up()
    assert label.boxes() == [(3, 20, 20, 60, 60), (3, 100, 100, 160, 160)]
