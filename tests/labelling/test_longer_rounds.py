"""Rounds, long trainings and the order of looking, with training itself left out."""

from __future__ import annotations

import queue
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest

from setpiece.errors import DataError, StoppedError
from setpiece.labelling import longer, rounds
from setpiece.labelling.labels import Category, LabelledImage, Marks, add_class, checked_box, set_marks
from setpiece.labelling.longer import Longer
from setpiece.labelling.rounds import Recipe, Rounds
from setpiece.labelling.store import Store
from setpiece.labelling.telling import Telling
from setpiece.labelling.trainer import Trainer
from setpiece.model.checkpoint import create, load, save

from .conftest import write_photos

CLASSES = (Category(1, "cat"), Category(2, "dog"))


class Kept(Telling):
    """Keeps what is told."""

    def __init__(self):
        self.told = []

    def tell(self, event, **content):
        self.told.append({"event": event, **content})


class Killed(BaseException):
    """As if the process ended there."""


@pytest.fixture
def store(photos, tmp_path):
    """Six labelled photos."""
    (tmp_path / "labels").mkdir()
    store = Store(tmp_path / "labels", photos)
    for each in CLASSES:
        store.labels.apply(add_class(store.labels, each.name))
    store.add_images((f"{name}.png", 80, 60, (1, 2), Marks()) for name in "abcdef")
    for id in store.labels.images:
        box = checked_box([1.0, 2.0, 30.0, 40.0], 1, 80, 60)
        store.change(set_marks(store.labels, id, "labelled", [box], "confirm"))
    return store


def test_a_long_training_goes_on_with_the_settings_that_it_began_with(store, photos, monkeypatch):
    """Those of the last round's weights, where no size was given."""
    given, ends = [], [Killed, DataError("It broke.")]

    def train(*settings, resume):
        given.append((settings[3], settings[0].classes, resume))
        raise ends[len(given) - 1]

    monkeypatch.setattr(longer, "train", train)
    start = create("sprint-n", ["cat", "dog"], shortest=64)
    telling = Kept()

    def new():
        return Longer(store.folder / "training", photos, Recipe("sprint-n"), lambda _: start, telling)

    with pytest.raises(Killed):
        new().train({"id": "a", "minutes": 1.0})
    new().resume()
    (first, *rest), (second, *again) = given
    assert (first, rest) == (second, again)
    assert first.size == 64
    last = telling.told[-1]
    assert (last["id"], last["state"], last["said"], last["finished"]) == ("a", "failed", "It broke.", True)


@pytest.mark.parametrize("by", ["the page", "a signal"])
def test_of_a_long_training_that_is_stopped_the_best_weights_stay(store, photos, monkeypatch, by):
    checkpoint = create("sprint-n", ["cat", "dog"], shortest=64)
    telling = Kept()
    training = Longer(store.folder / "training", photos, Recipe("sprint-n"), lambda _: checkpoint, telling)

    def train(*settings, **_):
        save(checkpoint, settings[4] / "best")
        (settings[4] / "best" / "metrics.json").write_text('{"AP": 0.25}')
        if by == "the page":
            training._stopped.add("a")
        raise StoppedError("Ctrl-C stopped this run.", signal.SIGINT)

    monkeypatch.setattr(longer, "train", train)
    if by == "a signal":  # the next process goes on
        with pytest.raises(StoppedError):
            training.train({"id": "a", "minutes": 1.0})
        assert telling.told[-1]["state"] == "training"
        return
    training.train({"id": "a", "minutes": 1.0})
    last = telling.told[-1]
    assert (last["id"], last["state"], last["ap"], last["finished"]) == ("a", "done", 0.25, True)
    assert load(last["folder"]).classes == ("cat", "dog")
    training._stopped.add("b")  # it was stopped before it began
    training.train({"id": "b", "stopped": True})
    stays = " The detector before it stays."
    said = "The long training was stopped before it began." + stays
    assert telling.told[-1] == last | {"id": "b", "said": said}
    assert load(last["folder"]).classes == ("cat", "dog")


def test_a_long_training_replaces_the_detector_before_it_once_it_is_done(store, photos, monkeypatch):
    telling = Kept()
    folder = store.folder / "training"
    checkpoints = {number: create("sprint-n", ["cat", "dog"], shortest=64 * number) for number in (1, 2, 3, 4)}
    training = Longer(folder, photos, Recipe("sprint-n"), lambda _: checkpoints[1], telling)
    number = 0

    def train(*settings, **_):
        save(checkpoints[number], settings[4] / "last")
        match number:
            case 2:
                training._stopped.add(str(number))
                raise StoppedError("Ctrl-C stopped this run.", signal.SIGINT)
            case 3:
                raise DataError("It broke.")
        return SimpleNamespace(metrics=None)

    monkeypatch.setattr(longer, "train", train)
    ends = []
    for number in (1, 2, 3, 4):
        training.train({"id": str(number), "minutes": 1.0})
        last = telling.told[-1]
        ends.append((last["id"], last["state"], load(last["folder"]).size.longest, last["said"].split(".")[0]))
    assert ends == [
        ("1", "done", 64, f"The detector is in {folder / 'final'}"),
        ("2", "done", 64, "The long training was stopped before it was measured"),
        ("3", "done", 64, "It broke"),
        ("4", "done", 256, f"The detector is in {folder / 'final-2'}"),
    ]
    assert [path.name for path in sorted(folder.iterdir()) if path.is_dir()] == ["final-2"]


def test_a_first_long_training_that_is_stopped_unmeasured_leaves_its_latest_weights(store, photos, monkeypatch):
    telling = Kept()
    checkpoint = create("sprint-n", ["cat", "dog"], shortest=64)
    training = Longer(store.folder / "training", photos, Recipe("sprint-n"), lambda _: checkpoint, telling)

    def train(*settings, **_):
        save(checkpoint, settings[4] / "last")
        training._stopped.add("a")
        raise StoppedError("Ctrl-C stopped this run.", signal.SIGINT)

    monkeypatch.setattr(longer, "train", train)
    training.train({"id": "a", "minutes": 1.0})
    last = telling.told[-1]
    assert (last["state"], last["ap"]) == ("done", None)
    assert last["said"].endswith("it was not measured.")
    assert load(last["folder"]).classes == ("cat", "dog")


def test_a_second_look_needs_two_labelled_photos(store, photos):
    telling = Kept()
    training = Longer(store.folder / "training", photos, Recipe("sprint-n"), lambda _: None, telling)
    dataset = longer.labelled_parts(store.labels, photos)[0]
    training.second_look(replace(dataset, examples=dataset.examples[:1]), CLASSES)
    assert (telling.told[-1]["state"], telling.told[-1]["said"][:33]) == ("failed", "Label two photos or more first: e")


def test_a_round_that_was_published_and_not_measured_is_not_replaced_before_the_next_is_whole(
    store, photos, tmp_path, monkeypatch
):
    checkpoint = create("sprint-n", ["cat", "dog"], shortest=64)

    monkeypatch.setattr(rounds, "train", lambda *_: SimpleNamespace(checkpoint=checkpoint))
    folder, recipe = tmp_path / "training", Recipe("sprint-n", 64, 1.0)
    dataset = longer.labelled_parts(store.labels, photos)[0]
    Rounds(folder, recipe).train(dataset, CLASSES, 1)
    now = Rounds(folder, recipe)
    assert (now.number, now.rows, now.sequence) == (1, [], 1)
    with monkeypatch.context() as patch:

        def killed(*_):
            raise Killed

        patch.setattr(rounds, "save", killed)
        with pytest.raises(Killed):
            now.train(dataset, CLASSES, 2)
    now = Rounds(folder, recipe)
    assert (now.number, now.sequence) == (1, 1)
    now.train(dataset, CLASSES, 3)
    assert now.measure(dataset, replace(dataset, examples=()))["round"] == 2
    now = Rounds(folder, recipe)
    assert (now.number, len(now.rows), now.sequence) == (2, 1, 3)
    other = Rounds(folder, Recipe("detr-tiny"))
    assert (other.number, other.rows, other.checkpoint) == (2, [], None)


def test_all_open_photos_get_their_turn_where_looks_end_early(tmp_path):
    write_photos(tmp_path / "photos", 1)
    trainer = Trainer(tmp_path, tmp_path / "photos", Recipe("sprint-n"), Kept(), queue.SimpleQueue())
    images = [LabelledImage(id, f"{id}.png", 80, 60, (1, 2)) for id in range(1, 13)]
    seen = []
    for number in (1, 2, 3):
        together = next(trainer._in_order(images))
        seen += [image.id for image in together]
        trainer._looked |= {image.id: number for image in together}
    assert seen == list(range(1, 13))
    trainer._coming = [7]
    assert [image.id for image in next(trainer._in_order(images))] == [7, 1, 2, 3]
