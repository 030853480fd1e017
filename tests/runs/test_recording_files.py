"""The files of a recording: what is written is read again, and what is damaged is said and left out."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from setpiece.errors import DataError
from setpiece.runs import recording_files
from setpiece.runs.recording import Epoch, Header, Probe, Snapshot

L, Q, P, T, K, S, M = 3, 7, 2, 2, 5, 6, 2


def make_header(**changes):
    probe = Probe(4, "a.jpg", 40, 30, [1, 0], [[0.5, 0.5, 0.1, 0.2], [0.2, 0.3, 0.1, 0.1]])
    settings = {
        "preset": "sprint-n",
        "classes": ["cat", "dog"],
        "form": "sigmoid",
        "layers": ["proposals", "layer 1", "layer 2"],
        "queries": Q,
        "slots": "top-k",
        "images": 9,
        "split": "valid",
        "probes": [probe] * P,
    }
    return Header(**{**settings, **changes})


def make_epoch(epoch, with_snapshot=True):
    random = np.random.default_rng(epoch)
    snapshot = Snapshot(
        queries=random.integers(0, Q, (P, K), np.int32),
        origins=random.integers(0, 90, (P, K), np.int32),
        boxes=random.random((P, L, K, 4), np.float32),
        labels=random.integers(0, 2, (P, L, K), np.int16),
        scores=random.random((P, L, K), np.float32),
        match=random.integers(-1, K, (P, L, T)).astype(np.int16),
        costs=random.random((P, L, T, 3), np.float32),
        sample=random.random((S, Q, 4), np.float32),
        sample_matched=random.random((S, Q)) < 0.5,
    )
    return Epoch(
        epoch=epoch,
        step=10 * epoch,
        seconds=2.5 * epoch,
        images=9,
        targets=20,
        compared=12,
        changed=random.integers(0, 12, L),
        agreement=random.integers(0, 20, (L, L)),
        matched=random.integers(0, 9, (L, Q)),
        terms=random.random((3, L), np.float32),
        box_mean=random.random((Q, 4), np.float32),
        box_deviation=random.random((Q, 4), np.float32),
        worst_losses=random.random(M, np.float32),
        worst_images=random.integers(0, 9, M),
        worst_names=["b.jpg", "ü.jpg"],
        snapshot=snapshot if with_snapshot else None,
    )


@pytest.fixture
def folder(tmp_path):
    """A recording of three epochs, the second without a snapshot."""
    recording_files.write_header(tmp_path / "recording", make_header())
    for epoch in (1, 2, 3):
        recording_files.write_epoch(tmp_path / "recording", make_epoch(epoch, with_snapshot=epoch != 2))
    return tmp_path / "recording"


def assert_same(read, written, tolerance=None):
    for field in fields(written):
        a, b = getattr(read, field.name), getattr(written, field.name)
        if field.name == "snapshot":
            assert (a is None) == (b is None)
            if b is not None:
                assert_same(a, b, {"boxes": 1 / 131070, "sample": 1 / 510, "scores": 5e-4})
        elif isinstance(b, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=0, atol=(tolerance or {}).get(field.name, 0) + 1e-7)
        else:
            assert a == b


def test_what_is_written_is_read_again(folder):
    found = recording_files.read(folder)
    assert found.header == make_header()
    assert found.damaged == []
    for epoch in found.epochs:
        assert_same(epoch, make_epoch(epoch.epoch, with_snapshot=epoch.epoch != 2))
    assert [epoch.epoch for epoch in found.epochs] == [1, 2, 3]
    assert not list(folder.glob("*.unfinished"))


def test_every_field_of_an_epoch_has_a_documented_type_and_shape():
    arrays = {field.name for field in fields(Epoch) if "ndarray" in str(field.type)}
    assert arrays == recording_files.EPOCH.keys()
    assert {field.name for field in fields(Snapshot)} == recording_files.SNAPSHOT.keys()


def test_the_file_of_an_epoch_is_as_documented(folder):
    arrays = load_file(folder / "epoch-000001.safetensors")
    names = [*recording_files.EPOCH, *(f"snapshot.{name}" for name in recording_files.SNAPSHOT)]
    assert sorted(arrays) == sorted(names)
    assert arrays["snapshot.boxes"].dtype == np.uint16
    assert json.loads((folder / "header.json").read_text())["format"] == 2


def test_an_epoch_written_twice_is_there_once(folder):
    again = replace(make_epoch(2), images=5)
    recording_files.write_epoch(folder, again)
    assert [epoch.images for epoch in recording_files.read(folder).epochs] == [9, 5, 9]


def test_cutting_removes_what_lies_past_a_step_and_what_cannot_be_read(folder):
    (folder / "epoch-000001.safetensors").write_bytes(b"torn")
    recording_files.cut(folder, 20)
    assert [epoch.epoch for epoch in recording_files.read(folder).epochs] == [2]
    recording_files.cut(folder / "nowhere", 20)


@pytest.mark.parametrize("content", [b"", b"torn", b"\x10\x00\x00\x00\x00\x00\x00\x00{"])
def test_a_damaged_epoch_is_left_out_and_named(folder, content):
    (folder / "epoch-000002.safetensors").write_bytes(content)
    found = recording_files.read(folder)
    assert [epoch.epoch for epoch in found.epochs] == [1, 3]
    assert found.damaged == ["epoch-000002.safetensors of the recording is damaged."]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("changed", lambda x: x[:-1]),  # another number of layers
        ("changed", lambda x: x.astype(np.int32)),
        ("matched", lambda x: x[None]),
        ("snapshot.match", lambda x: x + 100),  # beyond the kept queries
        ("snapshot.boxes", None),
        ("worst_images", None),
    ],
)
def test_an_epoch_that_does_not_fit_its_header_is_damaged(folder, name, change):
    file = folder / "epoch-000003.safetensors"
    metadata = recording_files._metadata(file)
    arrays = load_file(file)
    array = arrays.pop(name)
    if change is not None:
        arrays[name] = change(array)
    save_file(arrays, file, metadata)
    assert len(recording_files.read(folder).damaged) == 1


def test_snapshots_of_other_targets_than_those_of_the_probes_are_damaged(folder):
    probe = Probe(4, "a.jpg", 40, 30, [1], [[0.5, 0.5, 0.1, 0.2]])
    recording_files.write_header(folder, make_header(probes=[probe] * P))
    assert all("damaged" in sentence for sentence in recording_files.read(folder).damaged)
    assert all(epoch.snapshot is None for epoch in recording_files.read(folder).epochs)


def test_a_recording_is_known_by_its_header(folder, tmp_path):
    assert recording_files.has_header(folder, make_header())
    assert not recording_files.has_header(folder, make_header(images=10))
    assert not recording_files.has_header(tmp_path / "none", make_header())
    (folder / "header.json").write_text("{")
    assert not recording_files.has_header(folder, make_header())


def test_a_recording_of_format_1_calls_top_k_queries_ranked(folder):
    file = folder / "header.json"
    header = json.loads(file.read_text())
    assert header["slots"] == "top-k"
    assert header["format"] == 2
    file.write_text(json.dumps({**header, "format": 1, "slots": "ranked"}))
    for epoch in folder.glob("epoch-*.safetensors"):
        save_file(load_file(epoch), epoch, {**recording_files._metadata(epoch), "format": "1"})
    old = recording_files.read(folder)
    assert old.header == make_header()
    assert old.epochs
    assert old.damaged == []
    assert recording_files.has_header(folder, make_header())  # so that its run can be resumed


def test_a_later_format_is_not_read(folder):
    file = folder / "epoch-000003.safetensors"
    save_file(load_file(file), file, {**recording_files._metadata(file), "format": "3"})
    assert recording_files.read(folder).damaged == [
        "epoch-000003.safetensors of the recording has a format that is not read here: update the package."
    ]
    header = json.loads((folder / "header.json").read_text())
    (folder / "header.json").write_text(json.dumps({**header, "format": 3}))
    with pytest.raises(DataError, match="format 3, which is not read here"):
        recording_files.read(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "preset": 3}'])
def test_a_damaged_header_is_one_sentence(folder, text):
    (folder / "header.json").write_text(text)
    with pytest.raises(DataError, match="damaged"):
        recording_files.read(folder)


def test_a_run_without_recording_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="not recorded"):
        recording_files.read(tmp_path / "recording")
