"""The page of `setpiece label`: second look, progress, what comes at the end, and that everyone can use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .label_server import Labels

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"


def row(id, kind, image, **more):
    found = {
        "box": [40, 40, 120, 110],
        "class": 0,
        "suggestion": None,
        "cost": None,
        "decision": None,
        "text": f"{kind}.",
    }
    return {"id": id, "kind": kind, "image": image} | found | more


SUGGESTION = {"box": [44, 42, 125, 112], "class": 1, "score": 0.93}
ROWS = [
    row(
        "1",
        "class",
        6,
        suggestion=SUGGESTION,
        cost={"class": 1.6, "l1": 0.1, "giou": -0.2},
        text="A circle, or a square?",
    ),
    row("2", "missing", 5, **{"class": None}, suggestion=SUGGESTION, text="A square without a label."),
    row("3", "unseen", 4, text="A circle that the detector does not see."),
]
ROUNDS = [
    {"round": i, "labelled": 10 * i, "boxes": 50 * i, "ap": ap, "low": ap - 0.1, "high": ap + 0.1}
    for i, ap in enumerate((0.2, 0.35, 0.42, 0.47), 1)
]


def full():
    """Labels of a session that is well under way."""
    labels = Labels(12, suggest=True)
    for id in (1, 2, 3, 5):
        labels.images[id] |= {
            "state": "labelled",
            "boxes": [{"box": one["box"], "class": one["class"]} for one in labels.suggestions[id]],
        }
    labels.images[4]["state"] = "empty"
    labels.images[7] |= {"state": "broken", "why": "scene_7.png cannot be read as an image."}
    labels.ap = ROUNDS
    labels.look |= {"state": "ready", "said": "3 labels are suspicious.", "rows": [dict(one) for one in ROWS]}
    labels.said = [{"id": 1, "text": "The trainer ended and was started again. No label is lost."}]
    return labels


def test_suspicious_labels_are_kept_and_changed_with_one_key(open_label):
    labels = full()
    labels.look["state"] = "none"
    label = open_label(labels)
    label.press("l")
    label.role("start-look").click()
    label.role("suspicion-1").wait_for()
    shown = label.role("suspicion")
    assert "A circle, or a square?" in shown.inner_text()
    assert label.role("costs").inner_text().split("\n") == ["class 1.60", "L1 0.10", "GIoU −0.20"]
    assert shown.locator(".suggested").count() == shown.locator(".label-mark.labelled").count() == 1
    label.page.evaluate("document.activeElement.blur()")
    label.press("y")
    shown.get_by_text("A square without a label.").wait_for()
    assert (shown.locator(".suggested").count(), shown.locator(".label-mark.labelled").count()) == (1, 0)
    label.press("k")
    shown.get_by_text("A circle that the detector does not see.").wait_for()
    assert [one["decision"] for one in labels.look["rows"]] == ["apply", "keep", None]
    label.role("look-line").get_by_text("1 of 3 are not decided.").wait_for()
    label.press("ArrowUp")
    shown.get_by_text("A square without a label.").wait_for()
    label.role("open-photo").click()
    label.wait_for_image(5)


def test_progress_shows_labels_boxes_and_the_curve_with_what_more_would_bring(open_label):
    labels = full()
    label = open_label(labels)
    label.press("m")
    numbers = label.role("numbers").inner_text()
    assert "5 of 12" in numbers
    assert "5 min" in numbers
    boxes = sum(len(image["boxes"]) for image in labels.images.values())
    assert f"\n{boxes}\n" in numbers
    assert label.role("boxes-per-class").locator("li").count() == 3
    assert "50 more photos would change AP by +0.03 to +0.06." in label.role("ap-line").inner_text()
    assert label.role("curve").locator("circle").count() == 4
    label.page.get_by_text("As a table").click()
    cells = label.role("curve-table").locator("tbody tr").last.locator("td").all_inner_texts()
    assert cells == ["4", "40", "200", "0.470", "0.370 to 0.570"]


def test_before_there_is_an_ap_the_page_says_what_it_needs(open_label):
    label = open_label()
    label.press("m")
    label.role("ap").get_by_text("There is no AP yet").wait_for()
    assert label.role("export").is_disabled()


def test_in_the_end_it_trains_longer_exports_and_gives_the_labels_away(open_label):
    label = open_label(full())
    label.press("m")
    label.role("minutes").fill("3")
    label.role("train").click()
    label.role("final").get_by_text("AP 0.81.").wait_for()
    label.role("format").select_option("html")
    label.role("export").click()
    label.role("exported").get_by_text("Exported: photos-labels/detector.html").wait_for()
    asked = [one for one in label.labels.requests if one["path"] in ("/api/train", "/api/export")]
    assert [one.get("minutes") or one["format"] for one in asked] == [3, "html"]
    for layout in ("coco", "yolo", "voc"):
        with label.page.expect_download() as download:
            label.role(f"download-{layout}").click()
        assert download.value.suggested_filename == "photos.zip"
        assert download.value.path().read_bytes() == b"a zip"
        label.role("downloaded").get_by_text("Downloaded: photos.zip").wait_for()


def test_a_download_says_what_it_holds_and_which_photos_with_boxes_it_leaves_out(open_label):
    labels = full()
    label = open_label(labels)
    label.press("m")
    holds = label.role("download-holds")
    holds.get_by_text("5 confirmed photos.").wait_for()
    labels.images[1] |= {"state": "missing", "why": "scene_1.png is gone."}
    labels.images[6]["boxes"] = labels.images[2]["boxes"]
    labels.touch()
    holds.get_by_text(
        "4 confirmed photos; 1 with boxes that is not confirmed and 1 that is missing are left out."
    ).wait_for()


def test_nothing_can_be_downloaded_before_a_photo_is_confirmed_and_the_page_says_so(open_label):
    label = open_label()
    label.press("b")
    label.saved()
    label.press("m")
    label.role("download-holds").get_by_text(
        "There is nothing to download before a photo is confirmed; 1 with boxes that is not confirmed is left out."
    ).wait_for()
    assert all(label.role(f"download-{layout}").is_disabled() for layout in ("coco", "yolo", "voc"))


def test_what_stops_a_download_is_said(open_label):
    labels = full()
    labels.spoilt = "The zip could not be written (No space left on device)."
    label = open_label(labels, failing=True)
    label.press("m")
    label.role("download-coco").click()
    label.role("downloaded").get_by_text("No space left on device").wait_for()
    assert label.role("download-coco").is_enabled()


@pytest.mark.parametrize("minutes", ["", "0", "99999"])
def test_minutes_that_cannot_be_are_refused_on_the_page_with_the_limits(open_label, minutes):
    label = open_label(full())
    label.press("m")
    label.role("minutes").fill(minutes)
    label.role("train").click()
    label.says("Write how many minutes it may train: a number from 1 to 1440.")
    assert not [one for one in label.labels.requests if one["path"] == "/api/train"]


def test_on_a_small_screen_the_header_and_the_curve_are_shown_whole(open_label):
    label = open_label(full(), width=390, height=844)
    training = label.role("training")
    training.evaluate("one => (one.textContent = 'Training starts with 3 labelled photos that are not held out.')")
    assert training.evaluate("one => one.scrollWidth <= one.clientWidth")
    label.press("m")
    outside = """one => {
      const { left, right, top, bottom } = one.getBoundingClientRect();
      const texts = [...one.querySelectorAll("text")].map((text) => text.getBoundingClientRect());
      const out = texts.filter((it) => it.left < left || it.right > right || it.top < top || it.bottom > bottom);
      const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      return out.length + texts.filter((a, i) => texts.slice(i + 1).some((b) => meet(a, b))).length;
    }"""
    assert label.role("curve").evaluate(outside) == 0


def test_no_key_runs_into_the_text_beside_it(open_label):
    label = open_label()
    label.press("?")
    wide = "all => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
    assert label.role("keys").locator("dt").evaluate_all(wide) == []


def test_a_long_training_can_be_stopped(open_label):
    label = open_label(full())
    label.press("m")
    label.role("minutes").fill("90")
    assert label.role("stop-training").is_hidden()
    label.role("train").click()
    label.role("stop-training").click()
    label.says("The long training stops.")
    assert label.role("said").is_visible()
    label.role("final").get_by_text("The long training was stopped.").wait_for()
    assert label.role("stop-training").is_hidden()
    assert label.role("train").is_enabled()
    assert label.role("export").is_disabled()


@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(1280, 800, "light"), (1280, 800, "dark"), (390, 844, "light"), (390, 844, "dark")]
)
def test_nothing_serious_stands_in_the_way_of_anyone(open_label, width, height, scheme):
    if not AXE.exists():
        pytest.skip("There is no axe-core: npm ci gets it.")
    label = open_label(full(), width=width, height=height, scheme=scheme)
    label.page.evaluate(AXE.read_text(encoding="utf-8"))
    label.press("b")
    findings = serious(label, "label")
    label.role("edit-class-0").click()
    findings += serious(label, "classes")
    label.role("cancel-class").click()
    for key, view in (("l", "second look"), ("m", "progress")):
        label.press(key)
        findings += serious(label, view)
        assert label.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    label.press("?")
    assert [*findings, *serious(label, "keys")] == []


def serious(label, view):
    """Serious and critical findings of axe, with the first element of each."""
    found = label.page.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)"
    )
    return [(view, one["id"], one["nodes"][0]["html"][:160], one["nodes"][0]["any"][:1])
            for one in found if one["impact"] in ("serious", "critical")]  # fmt: skip


def test_the_focus_goes_through_the_page_and_each_stop_has_a_name(open_label):
    label = open_label(full())
    label.page.locator("h1").click()
    names = []
    for _ in range(70):
        label.press("Tab")
        name = label.page.evaluate(
            "() => { const one = document.activeElement; if (one === document.body) return null;"
            " return one.getAttribute('aria-label') || one.labels?.[0]?.textContent || one.textContent.trim(); }"
        )
        if name is None:
            break
        names.append(name)
    assert all(names)
    assert "Photo with its boxes" in names
    assert names.index("Label") < names.index("Photo with its boxes") < names.index("Find or add a class")
