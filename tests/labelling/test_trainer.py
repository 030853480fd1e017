"""The process that trains: it learns and suggests, dies and comes again, and never touches a label."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from setpiece import Detector
from setpiece.data.scenes import CLASSES, draw_scene
from setpiece.errors import UsageError
from setpiece.labelling.coco_file import LABELS
from setpiece.labelling.supervisor import Plan, Supervisor

from ..coroutines import run
from .conftest import TO_TRAIN, launching, started, until

SIZE = (96, 96)


def write_scene_photos(folder, count=16):
    """Drawn scenes, by the number that draws them; of these, 02, 11, 12, 13 and 14 are held out."""
    folder.mkdir()
    for number in range(count):
        Image.fromarray(draw_scene(number, SIZE)[0]).save(folder / f"s{number:02}.png")
    return folder


def label(served, count):
    """Label the first images truly, and the held-out ones among the others."""
    for row in served.state()["images"]:
        number = int(row["file"][1:3])
        if number < count or row["held_out"]:
            _, boxes, labels = draw_scene(number, SIZE)
            answer = served.draw(
                row["id"], list(zip(boxes.tolist(), labels.tolist(), strict=True)), "labelled", "confirm"
            )
            assert answer.status_code == 200


def trainer_of(served):
    """The process id of the trainer of a server."""
    children = f"/proc/{served.pid}/task/{served.pid}/children"
    with open(children) as file:
        found = file.read().split()
    return int(found[0]) if found else None


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture(scope="module")
def session(tmp_path_factory, serving_with_trainer):
    """A sitting: eight images and the held-out ones are labelled, and a round of three seconds is done."""
    folder = tmp_path_factory.mktemp("sitting")
    photos = write_scene_photos(folder / "photos")
    settings = {"classes": list(CLASSES), "size": 64, "round_seconds": 3.0}
    with serving_with_trainer(photos, folder / "labels", **settings) as served:
        assert served.state()["training"]["labelled_needed"] == 3
        label(served, 8)
        assert served.state()["training"]["labelled_needed"] == 0
        until(lambda: served.state()["training"]["state"] == "idle", 120)
        yield served


def test_a_round_gives_suggestions_an_order_and_ap(session):
    state = session.state()
    assert state["training"]["round"] >= 1
    last = state["progress"]["ap"][-1]
    assert 0 <= last["low"] <= last["ap"] <= last["high"] <= 1
    assert last["labelled"] <= state["progress"]["labelled"]
    still = [row["id"] for row in state["images"] if row["state"] == "open"]
    assert sorted(state["order"]["next"]) == still
    seen = [session.client.get(f"api/images/{id}").json() for id in still]
    assert {each["round"] for each in seen} == {state["training"]["round"]}
    for each in seen:
        assert each["boxes"] == []  # nothing becomes a label by itself
        for one in each["suggestions"]:
            assert 0.05 <= one["score"] <= 1
            assert 0 <= one["class"] < len(CLASSES)
            left, top, right, bottom = one["box"]
            assert 0 <= left < right <= 96
            assert 0 <= top < bottom <= 96


def test_renamed_classes_keep_what_was_learned_and_removed_ones_are_not_suggested(session):
    still, learned = session.state()["order"]["next"], session.state()["training"]["round"]

    def suggested():
        """By the round before the classes change, as long as no new one has looked at an image."""
        seen = {id: session.client.get(f"api/images/{id}").json() for id in still}
        return {id: each["suggestions"] for id, each in seen.items() if each["round"] == learned}

    before = suggested()
    assert any(before.values())
    session.client.post("api/classes", json={"action": "rename", "class": 0, "name": "disc"})
    assert all(found == before[id] for id, found in suggested().items())
    session.client.post("api/classes", json={"action": "merge", "class": 0, "into": 1})
    for id, found in suggested().items():
        assert found == [one | {"class": one["class"] - 1} for one in before[id] if one["class"] != 0]
    for _ in range(2):
        assert session.client.post("api/undo").status_code == 200
    until(lambda: session.state()["training"]["state"] == "idle", 120)


def test_the_second_look_names_labels_that_can_be_kept_or_changed(session):
    session.client.post("api/second-look")
    look = until(lambda: (now := session.client.get("api/second-look").json())["state"] != "running" and now, 240)
    assert look["state"] == "ready", look
    for row in look["rows"]:
        assert row["kind"] in ("class", "unseen", "missing", "off")
        assert row["text"]
        assert (row["suggestion"] is None) == (row["kind"] == "unseen")
        assert (row["class"] is None) == (row["kind"] == "missing")


def test_the_long_training_ends_with_a_detector_and_goes_on_after_a_kill(session):
    session.client.post("api/train", json={"minutes": 0.2})
    assert session.client.post("api/train", json={"minutes": 0.2}).status_code == 409
    until(lambda: session.state()["training"]["state"] == "long", 120)
    os.kill(trainer_of(session), signal.SIGKILL)
    final = until(lambda: (now := session.state()["final"])["state"] != "training" and now, 240)
    assert final["state"] == "done", final
    assert 0 <= final["ap"] <= 1
    from setpiece.model.checkpoint import load

    assert load(final["folder"]).classes == CLASSES
    exported = session.client.post("api/export", json={"format": "openvino"})
    assert exported.status_code == 200, exported.text
    photo = next(Path(session.state()["photos"]).glob("*.png"))
    assert Detector.load(exported.json()["file"]).predict(photo, threshold=0.0).data["class_name"][0] in CLASSES


@pytest.mark.parametrize("begun", [False, True])
def test_a_long_training_that_is_stopped_takes_nothing_along_that_it_did_not_make(session, begun):
    before = session.state()["final"] or {"state": "stopped"}
    assert session.client.post("api/train/stop").status_code == 409
    if not begun:  # it waits for the second look
        session.client.post("api/second-look")
    session.client.post("api/train", json={"minutes": 60})
    if begun:
        until(lambda: session.state()["training"]["state"] == "long", 120)
    assert session.client.post("api/train/stop").status_code == 200
    final = until(lambda: (now := session.state()["final"])["state"] != "training" and now, 120)
    if begun:  # what it has learned so far stays, or the detector of the long training before it
        assert final["state"] == "done"
        assert final["said"].startswith("The long training was stopped")
    else:
        assert final["state"] == before["state"]
    assert Path(final["folder"]).exists() == (final["state"] == "done")
    pid = trainer_of(session)
    session.draw(session.state()["images"][0]["id"], [((1, 1, 50, 50 + 10 * begun), 0)], "labelled", "redraw")
    until(lambda: session.state()["training"]["state"] == "training", 120)
    assert trainer_of(session) == pid
    until(lambda: session.state()["training"]["state"] == "idle", 120)


def test_a_trainer_that_is_killed_is_started_again_and_no_label_is_touched(session):
    """At random moments, with new labels in between so that there is something to do."""
    chance = random.Random(0)
    output = session.state()["output"]
    for kills in range(3):
        id = session.state()["images"][kills]["id"]
        boxes = [((1, 1, chance.randint(20, 90), 50), 0)]
        session.draw(id, boxes, "labelled", "redraw")
        with open(f"{output}/{LABELS}") as file:
            labels = json.load(file)
        time.sleep(chance.uniform(0, 3))
        pid = until(lambda: trainer_of(session))
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: trainer_of(session) not in (None, pid))
        with open(f"{output}/{LABELS}") as file:
            assert json.load(file) == labels
        if kills:  # three deaths in a row would be one too many
            until(lambda: session.state()["training"]["state"] == "idle", 120)
    assert sum("signal SIGKILL); it was started again" in each["text"] for each in session.state()["said"]) >= 3


def test_the_trainer_ends_with_a_server_that_is_killed_and_goes_on_with_the_next(tmp_path):
    photos = write_scene_photos(tmp_path / "photos", 4)
    with launching(TO_TRAIN) as launcher:  # another one than that of the sitting, which serves one folder at a time
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            with started(launcher, photos, tmp_path / "labels", classes=list(CLASSES), size=64) as served:
                pid = until(lambda served=served: trainer_of(served))
                assert served.end(number) == (-9 if number == signal.SIGKILL else 0)
                until(lambda pid=pid: is_gone(pid))


class Deaf:
    """Hears nothing."""

    def hear(self, event): ...

    def died(self, how, *, again): ...


def test_who_waits_for_a_trainer_is_told_when_there_will_be_no_answer(tmp_path):
    plan = Plan(tmp_path, tmp_path, "sprint-n")
    plan.command = [sys.executable, "-c", "import sys; sys.stdin.read()"]

    async def ask():
        supervisor = Supervisor(plan, Deaf(), dict)
        with pytest.raises(UsageError, match="does not run"):
            await supervisor.ask({"command": "export"})
        supervisor.start()
        while supervisor.pid is None:
            await asyncio.sleep(0.01)
        asking = asyncio.create_task(supervisor.ask({"command": "export"}))
        await asyncio.sleep(0.01)
        supervisor.refuse("The server ended.")
        with pytest.raises(UsageError, match="The server ended"):
            await asking
        await supervisor.end()

    run(ask())
