"""What the server knows and keeps, without a server: data sets, the second look, links, and options that come late."""

from __future__ import annotations

import json
import os
import zipfile
from threading import Thread

import pytest
from PIL import Image

from setpiece.errors import DataError, OutputError, UsageError
from setpiece.labelling import pictures
from setpiece.labelling.app import _fresh
from setpiece.labelling.examples import labelled_parts
from setpiece.labelling.held_out import is_held_out
from setpiece.labelling.labels import add_class, merge_classes, remove_class
from setpiece.labelling.layouts import write_zip
from setpiece.labelling.server import MODELS, Settings, _unused, serve
from setpiece.labelling.session import Session
from setpiece.labelling.source import open_source
from setpiece.labelling.store import Store
from setpiece.labelling.view import image_view, second_look_view, state_view

from ..coroutines import run
from .conftest import write_photos

BOX = [1.0, 2.0, 30.0, 40.0]


def opened(photos, output, classes=("cat", "dog")):
    """A session as a server makes it."""
    output.mkdir(exist_ok=True)
    session = Session(open_source(photos), Store(output, photos), photos, classes)
    run(session.look_at_photos())
    return session


def write_coco(folder, classes, images):
    """A data set of one split: the class of the one box of each image, or None."""
    write_photos(folder / "train", len(images))
    content = {
        "images": [
            {"id": number, "file_name": f"{chr(96 + number)}.png", "width": 80, "height": 60}
            for number in range(1, len(images) + 1)
        ],
        "annotations": [
            {"id": number, "image_id": number, "category_id": classes.index(name), "bbox": [1, 2, 30, 30], "area": 900}
            | {"iscrowd": 0}
            for number, name in enumerate(images, 1)
            if name is not None
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes)],
    }
    (folder / "train" / "_annotations.coco.json").write_text(json.dumps(content))


def names_of(session, id):
    names = {each.id: each.name for each in session.store.labels.classes}
    return [names[box.category] for box in session.image(id).marks.boxes]


# ---- data sets ----


def test_photos_that_come_to_a_data_set_have_the_classes_of_these_names(tmp_path):
    write_coco(tmp_path / "data", ["cat", "dog"], ["cat", "dog"])
    opened(tmp_path / "data", tmp_path / "labels", ())
    write_coco(tmp_path / "data", ["bird", "cat", "dog"], ["cat", "dog", "cat", "bird"])
    session = opened(tmp_path / "data", tmp_path / "labels", ())
    assert [names_of(session, id) for id in (1, 2, 3, 4)] == [["cat"], ["dog"], ["cat"], ["bird"]]
    assert [each.name for each in session.store.labels.classes] == ["cat", "dog", "bird"]


def test_a_class_that_was_merged_is_there_again_when_a_photo_brings_it(tmp_path):
    write_coco(tmp_path / "data", ["cat", "dog"], ["cat", "dog"])
    session = opened(tmp_path / "data", tmp_path / "labels", ())
    session.make(merge_classes(session.store.labels, 0, 1))
    write_coco(tmp_path / "data", ["cat", "dog"], ["cat", "dog", "cat"])
    for session in (opened(tmp_path / "data", tmp_path / "labels", ()) for _ in range(2)):
        assert names_of(session, 1) == ["dog"]
        assert names_of(session, 3) == ["cat"]
        state_view(session)
    session.undo()
    session.redo()
    assert names_of(session, 3) == ["cat"]
    state_view(session)


def test_images_without_boxes_are_said_to_count_as_empty(tmp_path):
    write_coco(tmp_path / "data", ["cat"], ["cat", None])
    session = opened(tmp_path / "data", tmp_path / "labels", ())
    assert "1 of them have no boxes, and count as empty" in session.said[0][1]


def write_yolo(folder, train, path=None):
    write_photos(folder / "images" / "train", 2)
    (folder / "labels" / "train").mkdir(parents=True)
    for name in "ab":
        (folder / "labels" / "train" / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    yaml = folder / "data.yaml"
    yaml.write_text(f"{'' if path is None else f'path: {path}'}\ntrain: {train}\nval: {train}\nnames: [cat]\n")


def test_a_data_set_that_names_its_place_is_read_from_a_relative_path(tmp_path, monkeypatch):
    write_yolo(tmp_path / "data", "images/train", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    for given in (tmp_path / "data", (tmp_path / "data").relative_to(tmp_path)):
        source = open_source(given)
        assert sorted(source.marks) == sorted(source.photos.stamps()) == ["images/train/a.png", "images/train/b.png"]


def test_images_of_a_data_set_that_lie_elsewhere_are_refused_in_words(tmp_path):
    write_coco(tmp_path / "other", ["cat"], ["cat"])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train").symlink_to(tmp_path / "other" / "train")
    with pytest.raises(UsageError, match="1 images of the data set lie outside"):
        open_source(tmp_path / "data")


# ---- photos ----


def test_links_that_lead_out_of_the_folder_are_not_followed(photos, tmp_path):
    write_photos(tmp_path / "elsewhere", 1)
    (photos / "link.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    (photos / "folder").symlink_to(tmp_path / "elsewhere")
    (photos / "inside.png").symlink_to(photos / "a.png")
    session = opened(photos, tmp_path / "labels")
    files = [image.file for image in session.store.labels.images.values()]
    assert files == ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png", "inside.png"]
    said = "2 photos are links out of the folder: nothing outside it is read."
    assert [text for _, text in session.said].count(said) == 1
    run(session.look_at_photos())
    assert [text for _, text in session.said].count(said) == 1


def test_names_that_are_no_utf_8_are_told(photos, tmp_path):
    os.rename(photos / "a.png", os.fsencode(photos) + b"/\xff.png")
    session = opened(photos, tmp_path / "labels")
    id = next(id for id, image in session.store.labels.images.items() if image.file == "\udcff.png")
    session.set_marks(id, "open", [(BOX, 0, False)], "draw box")
    told = json.loads(_fresh(state_view(session)).body)
    assert told["undo"] == "draw box in \udcff.png"


def test_another_size_of_a_photo_without_boxes_is_shown(photos, tmp_path):
    session = opened(photos, tmp_path / "labels")
    version, revision = session.version, session.image(1).revision
    Image.new("RGB", (40, 30)).save(photos / "a.png")
    run(session.look_at_photos())
    assert (session.image(1).width, session.image(1).revision) == (40, revision + 1)
    assert session.version != version


def test_photos_that_could_not_be_taken_in_are_taken_in_later(photos, tmp_path, monkeypatch):
    session = opened(photos, tmp_path / "labels")
    before = dict(session.store.labels.images)
    Image.new("RGB", (40, 30)).save(photos / "new.png")

    def full(*_):
        raise OutputError("No room.")

    with monkeypatch.context() as patch:
        patch.setattr(session.store._file, "write", full)
        with pytest.raises(OutputError):
            run(session.look_at_photos())
    assert session.store.labels.images == before
    run(session.look_at_photos())
    assert session.image(7).file == "new.png"
    assert Store(tmp_path / "labels", photos).labels == session.store.labels


def test_photos_of_one_name_in_many_folders_are_not_all_on_one_side():
    for name in ("image.jpg", "left.png", "0.jpg"):
        assert 10 < sum(is_held_out(f"{number}/{name}") for number in range(100)) < 30
    for split in ("train", "valid/images", "images/train"):  # versions of a photo are on one side, wherever they lie
        assert is_held_out(f"{split}/fish_jpg.rf.0a1b.jpg") == is_held_out("fish_jpg.jpg")


def test_a_picture_that_is_asked_for_twice_at_once_is_made_once(tmp_path, monkeypatch):
    Image.new("RGB", (400, 300)).save(tmp_path / "a.png")
    written = []
    write = pictures.write_whole
    monkeypatch.setattr(pictures, "write_whole", lambda *given: (written.append(1), write(*given)))
    ask = lambda: pictures.thumbnail(tmp_path / "a.png", tmp_path / "kept" / "a.jpg")  # noqa: E731
    threads = [Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (len(written), (tmp_path / "kept" / "a.jpg").is_file()) == (1, True)


def test_a_photo_older_than_zip_files_is_downloaded(photos, tmp_path):
    os.utime(photos / "a.png", (0, 0))
    session = opened(photos, tmp_path / "labels")
    session.set_marks(1, "labelled", [(BOX, 0, False)], "confirm")
    write_zip(tmp_path / "a.zip", "voc", labelled_parts(session.store.labels, photos))
    assert any(name.endswith("a.png") for name in zipfile.ZipFile(tmp_path / "a.zip").namelist())


def test_a_download_that_fails_leaves_nothing(photos, tmp_path, monkeypatch):
    session = opened(photos, tmp_path / "labels")
    session.set_marks(1, "labelled", [(BOX, 0, False)], "confirm")
    monkeypatch.setattr(zipfile.ZipFile, "write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_zip(tmp_path / "a.zip", "voc", labelled_parts(session.store.labels, photos))
    assert not (tmp_path / "a.zip").exists()


# ---- the second look ----

SUGGESTED = {"box": [5.0, 6.0, 35.0, 45.0], "category": 2, "score": 0.9}
AFTER = {
    "missing": [(BOX, 1), (SUGGESTED["box"], 2)],
    "class": [(BOX, 2)],
    "off": [(SUGGESTED["box"], 1)],
    "unseen": [],
}


@pytest.fixture
def looked_at(photos, tmp_path):
    """A session whose second look has a row of a kind, about the one box of the first image."""

    def look(kind, suggestion=SUGGESTED):
        session = opened(photos, tmp_path / "labels")
        session.set_marks(1, "labelled", [(BOX, 0, False)], "confirm")
        row = {"kind": kind, "image": 1, "box": BOX, "category": None if kind == "missing" else 1, "cost": None}
        row |= {"text": "Look.", "suggestion": None if kind == "unseen" else suggestion}
        session.second_look.tell({"state": "ready", "done": 1.0, "said": "1 label is doubtful.", "rows": [row]})
        return session

    return look


@pytest.mark.parametrize("kind", AFTER)
def test_what_is_applied_can_be_undone_and_is_not_applied_twice(looked_at, kind):
    session = looked_at(kind)
    boxes = lambda: [(list(box.corners), box.category) for box in session.image(1).marks.boxes]  # noqa: E731
    decision = lambda: second_look_view(session)["rows"][0]["decision"]  # noqa: E731
    for _ in range(2):
        session.decide("1", "apply")
        assert (boxes(), decision()) == (AFTER[kind], "apply")
        with pytest.raises(UsageError):
            session.decide("1", "apply")
        session.undo()
        assert (boxes(), decision()) == ([(BOX, 1)], None)
    session.redo()
    assert (boxes(), decision()) == (AFTER[kind], "apply")
    session.undo()
    session.decide("1", "keep")
    assert (boxes(), decision()) == ([(BOX, 1)], "keep")


def test_a_suggestion_outside_its_photo_or_of_a_class_that_is_gone_is_not_applied(looked_at):
    session = looked_at("missing", SUGGESTED | {"box": [5.0, 6.0, 95.0, 45.0]})
    with pytest.raises(UsageError, match="not inside 80 x 60"):
        session.decide("1", "apply")
    session = looked_at("class")
    session.make(remove_class(session.store.labels, 1))
    with pytest.raises(UsageError, match="has been removed"):
        session.decide("1", "apply")
    assert image_view(session, 1)["boxes"] == [{"box": BOX, "class": 0}]


# ---- the journal and options ----


def test_without_its_journal_a_folder_goes_on_and_undoes_nothing(photos, tmp_path):
    session = opened(photos, tmp_path / "labels")
    session.set_marks(1, "labelled", [(BOX, 0, False)], "confirm")
    (tmp_path / "labels" / "journal.jsonl").unlink()
    session = opened(photos, tmp_path / "labels")
    assert session.undo() is None
    session.make(add_class(session.store.labels, "bird"))
    session = opened(photos, tmp_path / "labels")
    assert session.undo().action == "add class bird"
    assert names_of(session, 1) == ["cat"]
    (tmp_path / "labels" / "_annotations.coco.json").unlink()
    with pytest.raises(DataError, match="has a journal and no"):
        Store(tmp_path / "labels", photos)


def test_options_that_have_no_effect_any_more_are_named(photos, tmp_path):
    session = opened(photos, tmp_path / "labels")
    store = Store(tmp_path / "labels", photos)
    settings = Settings(photos, tmp_path / "labels", classes=["cat", "bird"], size=64)
    said = list(_unused(settings, store))
    assert said == ["--classes is not used, since there are labels already: add bird in the page."]
    assert not list(_unused(settings, session.store))
    folder = tmp_path / "labels" / "training" / "round-3"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"preset": "sprint-n", "shortest": 352}')
    assert list(_unused(settings, store))[1:] == [
        "--size 64 is not used, since the detector has learned at 352 pixels already."
    ]


def test_a_preset_that_is_none_is_refused_at_once(photos, tmp_path):
    from setpiece.model.presets import presets

    assert set(presets()) == set(MODELS)
    with pytest.raises(UsageError, match="There is no preset 'sprint-x': choose one of"):
        serve(Settings(photos, tmp_path / "labels", model="sprint-x"), print)
    assert not (tmp_path / "labels").exists()
