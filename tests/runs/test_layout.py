import json
from pathlib import Path

import pytest
import torch

from setpiece.errors import UsageError, WeightsError
from setpiece.runs.layout import RunFolder, read_metrics, write_metrics
from setpiece.runs.state import Position, load_state, save_state

SETTINGS = {"model": "sprint-n", "one_to_many_weight": 1.0, "epochs": 2, "data": "cells"}
TRAIN = {"images": 8, "objects": 20, "classes": ["red", "white"], "sha256": "ab"}
CONTENTS = {"train": TRAIN, "valid": TRAIN | {"images": 4}}


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.create(SETTINGS, CONTENTS, resume=False)
    return run


def test_a_run_is_found_around_its_checkpoints_and_their_files(run):
    run.best.mkdir()
    (run.best / "model.safetensors").touch()
    for source in (run.path, run.best, run.best / "model.safetensors"):
        assert RunFolder.around(source).path == run.path
    assert RunFolder.around(run.path.parent) is None
    assert RunFolder.around(run.path.parent / "nowhere") is None


def test_a_run_is_resumed_with_its_settings_alone_also_by_their_names_of_before(run):
    run.create(SETTINGS, CONTENTS, resume=True)
    with pytest.raises(UsageError, match="run was started with model = sprint-n, not sprint-s"):
        run.create(SETTINGS | {"model": "sprint-s"}, CONTENTS, resume=True)
    run.settings.write_text(json.dumps({"model": "sprint-n", "near_weight": 1.0}))
    run.create(SETTINGS, CONTENTS, resume=True)
    with pytest.raises(UsageError, match=r"run was started with one_to_many_weight = 1\.0, not 2\.0"):
        run.create(SETTINGS | {"one_to_many_weight": 2.0}, CONTENTS, resume=True)


def test_a_run_cannot_be_made_longer_and_says_how_to_train_on(run):
    with pytest.raises(UsageError, match=r"epochs = 2, not 4: its learning rate .* with --model \S+/run and"):
        run.create(SETTINGS | {"epochs": 4}, CONTENTS, resume=True)


def test_data_that_moved_is_the_same_data(run):
    run.create(SETTINGS | {"data": "/elsewhere/cells"}, CONTENTS, resume=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ["red"]}, "its classes were red, white, and are red"),
        ({"images": 7}, "train had 8 images, and has 7"),
        ({"objects": 21}, "train had 20 objects, and has 21"),
        ({"sha256": "cd"}, "boxes or file names of train are others"),
    ],
)
def test_data_that_changed_is_not_trained_on_as_if_it_had_not(run, change, said):
    with pytest.raises(UsageError, match=rf"^cells has changed since \S+run was started: {said}\. .*/run and"):
        run.create(SETTINGS | {"orientations": "other"}, CONTENTS | {"train": TRAIN | change}, resume=True)


def test_a_split_that_came_or_went_is_named(run):
    with pytest.raises(UsageError, match="its valid images are gone"):
        run.create(SETTINGS, {"train": TRAIN}, resume=True)
    with pytest.raises(UsageError, match="its test images are new"):
        run.create(SETTINGS, CONTENTS | {"test": TRAIN}, resume=True)


def test_a_run_is_not_made_below_a_file(tmp_path):
    (tmp_path / "a-file").write_text("mine")
    with pytest.raises(UsageError, match=r"a-file/run cannot be made, since \S+a-file is a file"):
        RunFolder(tmp_path / "a-file" / "run").create(SETTINGS, CONTENTS, resume=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]


def test_damaged_settings_are_said(run):
    run.settings.write_text("{")
    with pytest.raises(WeightsError, match=r"run\.json is damaged"):
        run.create(SETTINGS, CONTENTS, resume=True)


def test_lines_past_a_step_and_torn_lines_are_cut(run):
    for step in (4, 8):
        run.append_metrics({"step": step})
    with run.metrics.open("a") as file:
        file.write('{"step": 1')
    run.cut_metrics(4)
    assert run.metrics.read_text() == '{"step": 4}\n'


@pytest.mark.parametrize("damaged", [b'{"epoch": 2, "st', b"[]", b"7", b"\xff"])
def test_a_damaged_line_is_an_empty_row(run, damaged):
    row = {"epoch": 1, "step": 4, "loss": 2.5, "AP": None}
    run.append_metrics(row)
    run.metrics.write_bytes(run.metrics.read_bytes() + damaged + b"\n")
    assert run.metrics_rows() == [row, {}]
    run.cut_metrics(100)
    assert run.metrics_rows() == [row]


def test_metrics_of_a_checkpoint_are_read_as_they_were_written(run):
    run.last.mkdir()
    assert read_metrics(run.last) is None
    write_metrics(run.last, {"AP": 0.25, "APs": None})
    assert read_metrics(run.last) == {"AP": 0.25, "APs": None}
    (run.last / "metrics.json").write_text("[")
    with pytest.raises(WeightsError, match=r"metrics\.json is damaged"):
        read_metrics(run.last)


def test_a_state_is_read_as_it_was_saved_and_a_run_that_has_one_is_not_forgotten(run):
    assert load_state(run.state) is None
    position = Position(epoch=1, step=7, sums={"loss": 2.0})
    save_state(run.state, position, {"ema": {"weight": torch.ones(2)}})
    found, tensors = load_state(run.state)
    assert found == position
    assert tensors.keys() == {"ema"}
    run.forget()
    assert run.begun()
    run.state.write_bytes(b"torn")
    with pytest.raises(
        WeightsError,
        match=r"training\.pt is damaged: train on from the best weights in a new run, with --model \S+run and another",
    ):
        load_state(run.state)


def begin(folder):
    """A run that this process begins, as training does."""
    run = RunFolder(folder)
    with run.locked():
        run.create(SETTINGS, CONTENTS, resume=True)
        run.append_metrics({"step": 1})
        run.track("wandb", "id", 1)
        for part in (run.tensorboard, run.recording, run.last):
            part.mkdir()
        (run.recording / "header.json").write_text("{}")
    return run


def test_a_new_run_without_a_state_is_forgotten(tmp_path):
    run = begin(tmp_path / "run")
    run.forget()
    assert not run.path.exists()


def test_what_others_put_into_the_folder_of_a_run_that_fails_stays(tmp_path):
    (tmp_path / "run").mkdir()
    run = begin(tmp_path / "run")
    (run.path / "notes.txt").write_text("mine")
    run.pictures.mkdir()
    run.forget()
    assert {path.name for path in run.path.iterdir()} == {"notes.txt", "pictures"}


def test_a_folder_that_was_there_before_a_run_that_fails_stays(tmp_path):
    (tmp_path / "run").mkdir()
    begin(tmp_path / "run").forget()
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("checkpoint", [None, "best", "last"])
def test_nothing_of_a_run_that_was_there_before_is_removed(tmp_path, checkpoint):
    begin(tmp_path / "run")
    if checkpoint is not None:
        (tmp_path / "run" / checkpoint).mkdir(exist_ok=True)
        (tmp_path / "run" / checkpoint / "model.safetensors").touch()
    before = sorted((tmp_path / "run").rglob("*"))
    again = RunFolder(tmp_path / "run")
    with again.locked():
        if checkpoint is None:
            again.create(SETTINGS, CONTENTS, resume=True)
    assert not again.is_new
    again.forget()
    assert sorted((tmp_path / "run").rglob("*")) == before


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_a_run_whose_state_is_gone_is_not_begun_again_over_its_weights(run, checkpoint):
    (run.path / checkpoint).mkdir()
    (run.path / checkpoint / "model.safetensors").touch()
    with pytest.raises(UsageError, match=r"has no state to go on from .* train on from its weights in a new run"):
        run.create(SETTINGS, CONTENTS, resume=True)


def test_settings_that_say_nothing_are_refused(run):
    run.settings.write_text("{}")
    with pytest.raises(WeightsError, match="does not say what was trained"):
        run.create(SETTINGS, {}, resume=True)


def test_the_data_is_found_from_other_folders_too(tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "project" / "runs" / "cells")
    run.create(SETTINGS, CONTENTS, resume=False)
    assert run.data() == Path("cells")  # nowhere
    (tmp_path / "project" / "cells").mkdir()
    assert run.data() == tmp_path / "project" / "cells"
    (tmp_path / "elsewhere" / "cells").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run.data() == Path("cells")
    monkeypatch.chdir(tmp_path / "project")
    assert RunFolder(Path("runs/cells")).data() == Path("cells")
