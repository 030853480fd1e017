"""Labels on disk: the COCO file and the journal say the same after every change, and survive what cuts them off."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setpiece.errors import DataError, OutputError, UsageError
from setpiece.labelling.coco_file import LABELS, read_saved
from setpiece.labelling.journal import Journal
from setpiece.labelling.labels import (
    Box,
    Labels,
    Marks,
    add_class,
    checked_box,
    merge_classes,
    remove_class,
    rename_class,
    set_marks,
)
from setpiece.labelling.store import JOURNAL, Store, locked

BOXES = [Box((1.0, 2.0, 30.5, 40.125), 1), Box((0.1, 0.2, 10.3, 20.7), 2)]


def new_store(folder, images=3):
    """A store of some images and two classes, as a server makes it."""
    (folder / "photos").mkdir(exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    store = Store(folder / "labels", folder / "photos")
    for name in ("cat", "dog"):
        store.labels.apply(add_class(store.labels, name))
    store.add_images((f"{number}.png", 100, 80, (10, 20), Marks()) for number in range(images))
    return store


def again(store):
    """The same, read from disk."""
    return Store(store.folder, store.photos)


def from_journal(store):
    """Images and classes by the journal alone, which begins with images without boxes and two classes."""
    labels = Labels()
    for name in ("cat", "dog"):
        labels.apply(add_class(labels, name))
    labels.new_images((image.file, 100, 80, image.stamp, Marks()) for image in store.labels.images.values())
    for entry in Journal(store.folder / JOURNAL).read():
        labels.apply(entry.change)
    return labels


CHANGES = {
    "draw": lambda labels: set_marks(labels, 1, "open", BOXES, "draw box"),
    "confirm": lambda labels: set_marks(labels, 2, "labelled", BOXES[:1], "confirm"),
    "empty": lambda labels: set_marks(labels, 3, "empty", [], "nothing here"),
    "add": lambda labels: add_class(labels, "bird"),
    "rename": lambda labels: rename_class(labels, 0, "kitten"),
    "merge": lambda labels: merge_classes(labels, 0, 1),
    "remove": lambda labels: remove_class(labels, 1),
}


def test_file_and_journal_say_the_same_after_every_kind_of_change(tmp_path):
    store = new_store(tmp_path)
    for name in ("draw", "confirm", "empty", "add", "rename", "merge", "remove"):
        store.change(CHANGES[name](store.labels))
        assert read_saved(store.folder / LABELS).labels == store.labels == from_journal(store), name
        store.undo()
        assert read_saved(store.folder / LABELS).labels == store.labels == from_journal(store), name
        store.redo()
        assert read_saved(store.folder / LABELS).labels == store.labels == from_journal(store), name
    assert [category.name for category in store.labels.classes] == ["dog"]


def test_the_file_is_coco_as_others_read_it(tmp_path):
    store = new_store(tmp_path)
    store.change(CHANGES["draw"](store.labels))
    content = json.loads((store.folder / LABELS).read_bytes())
    assert content["images"][0] | {"setpiece": 0} == {
        "id": 1, "file_name": "0.png", "width": 100, "height": 80, "setpiece": 0,
    }  # fmt: skip
    assert content["annotations"][0] == {
        "id": 1, "image_id": 1, "category_id": 1, "bbox": [1.0, 2.0, 29.5, 38.125], "area": 1124.688, "iscrowd": 0,
    }  # fmt: skip
    assert content["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert content["setpiece"] == {"photos": str(tmp_path / "photos"), "sequence": 1}


coordinates = st.tuples(*[st.floats(0, 49, allow_nan=False)] * 2, *[st.floats(50, 80, allow_nan=False)] * 2)
steps = st.one_of(
    st.tuples(st.just("marks"), st.integers(1, 3), st.lists(st.tuples(coordinates, st.integers(0, 9)), max_size=3)),
    st.tuples(st.sampled_from(["undo", "redo", "reload", "undo"])),
    st.tuples(st.sampled_from(["add", "rename", "merge", "remove"]), st.integers(0, 9), st.integers(0, 9)),
)


@settings(max_examples=40)
@given(st.lists(steps, max_size=25))
def test_any_changes_undone_and_made_again_give_the_same_labels_when_read_from_disk(tmp_path_factory, program):
    store = new_store(tmp_path_factory.mktemp("program"))
    for number, (kind, *how) in enumerate(program):
        labels, count = store.labels, len(store.labels.classes)
        before = [(image.id, image.marks) for image in labels.images.values()], labels.classes
        try:
            match kind:
                case "marks":
                    boxes = [checked_box(box, labels.category(c % max(count, 1)).id, 100, 80) for box, c in how[1]]
                    store.change(set_marks(labels, how[0], "labelled", boxes, "draw"))
                case "undo":
                    if store.undo() is not None:
                        store.redo()
                        assert before == ([(i.id, i.marks) for i in labels.images.values()], labels.classes)
                        store.undo()
                case "redo":
                    store.redo()
                case "add":
                    store.change(add_class(labels, f"class {number}"))
                case "rename":
                    store.change(rename_class(labels, how[0] % max(count, 1), f"name {number}"))
                case "merge":
                    store.change(merge_classes(labels, how[0] % max(count, 1), how[1] % max(count, 1)))
                case "remove":
                    store.change(remove_class(labels, how[0] % max(count, 1)))
        except UsageError:
            pass
        if kind == "reload":
            read = again(store)
            assert read.labels == store.labels
            assert read.history.to_undo() == store.history.to_undo()
            assert read.history.to_redo() == store.history.to_redo()
            store = read
    assert again(store).labels == store.labels == from_journal(store)


def test_what_the_journal_has_beyond_the_file_is_made_good(tmp_path):
    store = new_store(tmp_path)
    file = store.folder / LABELS
    before = file.read_bytes()
    store.change(CHANGES["draw"](store.labels))
    after = file.read_bytes()
    file.write_bytes(before)  # as if it was killed between the two
    assert again(store).labels == store.labels
    assert file.read_bytes() == after


@pytest.mark.parametrize("cut", [1, 20, 10_000])
def test_a_line_that_was_not_finished_is_dropped_and_cut(tmp_path, cut):
    store = new_store(tmp_path)
    store.change(CHANGES["draw"](store.labels))
    journal, before = store.folder / JOURNAL, (store.folder / JOURNAL).read_bytes()
    kept = (store.folder / LABELS).read_bytes()
    store.change(CHANGES["confirm"](store.labels))
    (store.folder / LABELS).write_bytes(kept)
    line = journal.read_bytes()[len(before) :]
    journal.write_bytes(before + line[: min(cut, len(line) - 1)])
    read = again(store)
    assert read.labels.images[2].marks == Marks()
    assert journal.read_bytes() == before
    read.change(CHANGES["confirm"](read.labels))
    assert again(read).labels == read.labels


def test_a_damaged_journal_is_refused_in_words(tmp_path):
    store = new_store(tmp_path)
    for name in ("draw", "confirm"):
        store.change(CHANGES[name](store.labels))
    journal = store.folder / JOURNAL
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("nonsense\n" + lines[1])
    with pytest.raises(DataError, match=r"journal.jsonl is damaged in line 1"):
        again(store)
    journal.write_text(lines[0])
    with pytest.raises(DataError, match="fewer changes"):
        again(store)


@pytest.mark.parametrize("broken", ["_journal", "_file"])
def test_what_cannot_be_written_changes_nothing(tmp_path, monkeypatch, broken):
    store = new_store(tmp_path)
    store.change(CHANGES["draw"](store.labels))
    files = [(store.folder / name).read_bytes() for name in (LABELS, JOURNAL)]
    labels, was = str(store.labels), store.history.sequence

    def full(*_):
        raise OutputError("No room.")

    change = CHANGES["merge"](store.labels)
    with monkeypatch.context() as patch:
        patch.setattr(getattr(store, broken), "append" if broken == "_journal" else "write", full)
        with pytest.raises(OutputError):
            store.change(change)
    assert (str(store.labels), store.history.sequence) == (labels, was)
    assert [(store.folder / name).read_bytes() for name in (LABELS, JOURNAL)] == files
    store.change(change)
    assert again(store).labels == store.labels


def test_a_folder_with_other_things_or_other_photos_is_refused(tmp_path):
    store = new_store(tmp_path)
    (tmp_path / "others").mkdir()
    with pytest.raises(UsageError, match=r"holds the labels of .*photos, and not of"):
        Store(store.folder, tmp_path / "others")
    store.photos.rename(tmp_path / "moved")
    assert Store(store.folder, tmp_path / "moved").labels == store.labels  # photos may move
    (tmp_path / "others" / "thesis.txt").touch()
    with pytest.raises(UsageError, match=r"holds something else \(thesis.txt\)"):
        Store(tmp_path / "others", tmp_path / "moved")
    (tmp_path / "others" / LABELS).write_text("{}")
    with pytest.raises(DataError, match="was not written by setpiece label"):
        Store(tmp_path / "others", tmp_path / "moved")


def test_a_second_holder_of_the_lock_is_told_where_the_first_is(tmp_path):
    with locked(tmp_path / "labels"):
        store = Store(tmp_path / "labels", tmp_path)
        store.say_where("http://127.0.0.1:1234/")
        with pytest.raises(UsageError, match=r"at http://127.0.0.1:1234/"), locked(tmp_path / "labels"):
            pass
    with locked(tmp_path / "labels"):
        pass


def test_revisions_of_all_images_go_up_when_classes_move(tmp_path):
    store = new_store(tmp_path)
    revisions = lambda: [image.revision for image in store.labels.images.values()]  # noqa: E731
    store.change(CHANGES["add"](store.labels))
    store.change(CHANGES["rename"](store.labels))
    assert revisions() == [0, 0, 0]
    store.change(CHANGES["remove"](store.labels))
    assert revisions() == [1, 1, 1]
    store.undo()
    assert revisions() == [2, 2, 2]


@pytest.mark.parametrize("name", ["", "  ", "dog", " dog "])
def test_names_of_classes_are_neither_blank_nor_there_twice(tmp_path, name):
    labels = new_store(tmp_path).labels
    for change in (lambda: add_class(labels, name), lambda: rename_class(labels, 0, name)):
        with pytest.raises(UsageError):
            change()


def test_a_new_class_has_not_the_id_of_one_that_was_removed(tmp_path):
    """Suggestions, rounds and rows of the second look name classes by their ids."""
    store = new_store(tmp_path)
    store.change(CHANGES["remove"](store.labels))
    for changed in (store, again(store)):
        assert add_class(changed.labels, "bird").classes[1][-1].id == 3


def test_a_class_with_boxes_is_not_removed(tmp_path):
    store = new_store(tmp_path)
    store.change(CHANGES["draw"](store.labels))
    with pytest.raises(UsageError, match="1 box has the class cat"):
        remove_class(store.labels, 0)
