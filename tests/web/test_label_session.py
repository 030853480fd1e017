"""A person labels photos from nothing, on the real server; a stand-in for the trainer knows what is in the scenes."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from urllib.parse import urlsplit

import pytest
from PIL import Image

from setpiece.data.scenes import CLASSES, draw_scene

from .label_page import LabelPage

pytest.importorskip("uvicorn")

SIZE = (192, 256)  # height, width
SERVE = """
import sys
from pathlib import Path
from setpiece.labelling import server
photos, output, port, trainer, scenes = sys.argv[1:]
server.LOOK_SECONDS = 0.1
class Plan(server.Plan):
    def __init__(self, *args):
        super().__init__(*args)
        self.command = [sys.executable, "-c", trainer, output, scenes]
server.Plan = Plan
settings = server.Settings(photos=Path(photos), output=Path(output), port=int(port))
server.serve(settings, lambda address: print(address, flush=True))
"""
# From three labelled photos on it suggests what is in the others, a little off.
TRAINER = """
import json, sys
from pathlib import Path
labels, scenes = Path(sys.argv[1]) / "_annotations.coco.json", json.loads(sys.argv[2])
def tell(event, **content):
    print(json.dumps({"event": event, **content}), flush=True)
for line in sys.stdin:
    if json.loads(line)["command"] != "labels":
        continue
    saved = json.loads(labels.read_text())
    open_ids = [one["id"] for one in saved["images"] if one["setpiece"]["state"] == "open"]
    if len(saved["images"]) - len(open_ids) < 3:
        continue
    category = {one["name"]: one["id"] for one in saved["categories"]}
    for image in saved["images"]:
        found = [{"box": [side + 1 for side in box], "category": category[name], "score": 0.8}
                 for box, name in scenes[image["file_name"]] if name in category]
        tell("suggestions", image=image["id"], round=1, boxes=found)
    tell("state", state="idle", said="Round 1 is done.", done=None)
"""


class Scenes:
    """A folder of drawn scenes, and servers on it that are killed and started again."""

    def __init__(self, folder, count):
        self.photos, self.output, self.port = folder / "photos", folder / "labels", 0
        self.photos.mkdir()
        self.boxes = {}
        for seed in range(count):
            pixels, boxes, labels = draw_scene(seed, SIZE)
            name = f"scene_{seed}.png"
            Image.fromarray(pixels).save(self.photos / name)
            self.boxes[name] = [(box, CLASSES[label]) for box, label in zip(boxes.tolist(), labels, strict=True)]

    def serve(self):
        options = [self.photos, self.output, self.port, TRAINER, json.dumps(self.boxes)]
        command = [sys.executable, "-c", SERVE, *map(str, options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        address = self.process.stdout.readline().strip()
        self.port = urlsplit(address).port
        return address

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def saved(self):
        """What is on disk: the boxes and the state of each file, with the names of the classes."""
        saved = json.loads((self.output / "_annotations.coco.json").read_text())
        names = {one["id"]: one["name"] for one in saved["categories"]}
        images = {one["id"]: one for one in saved["images"]}
        found = {one["file_name"]: (one["setpiece"]["state"], []) for one in saved["images"]}
        for one in saved["annotations"]:
            left, top, width, height = one["bbox"]
            box = [left, top, left + width, top + height]
            found[images[one["image_id"]]["file_name"]][1].append((names[one["category_id"]], box))
        return found


@pytest.fixture
def scenes(tmp_path):
    scenes = Scenes(tmp_path, 6)
    yield scenes
    scenes.kill()


def in_view(label):
    return label.role("said").evaluate("() => document.querySelector('[aria-selected=true].label-thumbnail').title")


def give_class(label, name):
    """The class of the box in hand, written into the list of classes."""
    label.press("/")
    label.keys.type(name)
    label.press("Enter")
    label.page.locator(".label-class .name", has_text=name).first.wait_for()
    label.saved()


def label_by_hand(label, scenes):
    """Draw every box of the photo in view, and name it."""
    name = in_view(label)
    for number, (box, label_name) in enumerate(scenes.boxes[name], 1):
        label.keys.down("Shift")
        label.drag(box[:2], box[2:])
        label.keys.up("Shift")
        give_class(label, label_name)
        label.until(f"document.querySelectorAll('.label-mark.labelled').length === {number}")
        label.press("Escape")
    label.press("Enter")
    label.until(f"document.querySelector('[aria-selected=true].label-thumbnail').title !== '{name}'")
    label.wait_for_photo()
    return name


def test_photos_are_labelled_from_nothing_with_suggestions_and_a_server_that_is_killed(scenes, open_label):
    label = open_label(address=scenes.serve(), failing=True)
    done = [label_by_hand(label, scenes) for _ in range(3)]
    label.saved()
    for name in done:
        state, boxes = scenes.saved()[name]
        assert state == "labelled"
        assert [label_name for label_name, _ in boxes] == [label_name for _, label_name in scenes.boxes[name]]
        for (_, box), (true, _) in zip(boxes, scenes.boxes[name], strict=True):
            assert box == pytest.approx(true, abs=1)

    # Suggestions come. One is corrected by dragging it, which is undone; then all are accepted.
    label.page.locator("[data-role=drawing] [data-role=suggested]").first.wait_for()
    name, before = in_view(label), scenes.saved()
    label.press(".", "ArrowRight")
    label.saved()
    label.press("z")
    label.says("Undid: ")
    assert scenes.saved() == before
    known = {label_name for file in done for _, label_name in scenes.boxes[file]}
    label.press("Enter")
    label.saved()
    state, boxes = scenes.saved()[name]
    assert state == "labelled"
    assert len(boxes) == sum(label_name in known for _, label_name in scenes.boxes[name])

    # The server is killed; what is drawn meanwhile is kept, and is there when it lives again.
    label.wait_for_photo()
    scenes.kill()
    name = in_view(label)
    label.keys.down("Shift")
    label.drag((10, 10), (60, 50))
    label.keys.up("Shift")
    label.role("unsaved").get_by_text("One change is kept on this page").wait_for()
    scenes.serve()
    label.saved()
    assert [list(map(round, box)) for _, box in scenes.saved()[name][1]] == [[10, 10, 60, 50]]

    # After a reload everything is as it was; the rest is done.
    label.page.reload()
    label.wait_for_photo()
    label.role("labelled-count").get_by_text("4 of 6").wait_for()
    label.press("Enter" if label.shown("suggested") + label.shown() else "n")
    label.role("labelled-count").get_by_text("5 of 6").wait_for()
    label.press("Enter" if label.shown("suggested") + label.shown() else "n")
    label.role("labelled-count").get_by_text("6 of 6").wait_for()
    label.says("No open photo is left here")
    label.press("m")
    with label.page.expect_download() as download:
        label.role("download-yolo").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sum(name.endswith(".txt") for name in archive.namelist()) == 6


def test_two_tabs_stay_in_step(scenes, open_label):
    first = open_label(address=scenes.serve(), failing=True)
    second = LabelPage(first.page.context.new_page(), None, first.address)
    second.page.goto(first.address)
    second.wait_for_photo()
    first.drag((10, 10), (60, 50))
    give_class(first, "circle")
    second.page.locator(".label-mark").wait_for()
    second.press("z")
    second.says("Undid: ")
    first.until("!document.querySelector('.label-mark')")
