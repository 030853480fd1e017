"""Events are written, or it is said why not; and their thread ends before the folder may go."""

import shutil
import threading

import pytest

from setpiece.errors import OutputError, UsageError
from setpiece.training.events import Events


def test_events_hold_the_numbers_of_a_row(tmp_path):
    with Events(tmp_path / "events", 0) as events:
        events.write({"step": 4, "loss": 2.5, "epoch": 1, "per_class": None})
    (file,) = (tmp_path / "events").iterdir()
    assert b"loss" in file.read_bytes()
    assert b"epoch" not in file.read_bytes()


def write_and_fail(folder):
    with Events(folder, 0) as events:
        events.write({"step": 4, "loss": 2.5})
        raise UsageError("the run ends")


def test_no_thread_is_left_that_could_fail_once_the_folder_is_gone(tmp_path):
    before = set(threading.enumerate())
    with pytest.raises(UsageError):
        write_and_fail(tmp_path / "events")
    assert set(threading.enumerate()) <= before
    shutil.rmtree(tmp_path / "events")


def full(*_args, **_options):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("method", ["add_scalar", "close"])
def test_events_that_cannot_be_written_are_named(tmp_path, monkeypatch, method):
    monkeypatch.setattr(f"setpiece.training.events.SummaryWriter.{method}", full)
    with (
        pytest.raises(OutputError, match=r"events could not be written to \S+events .No space left on device.\."),
        Events(tmp_path / "events", 0) as events,
    ):
        events.write({"step": 4, "loss": 2.5})


def test_the_error_that_ended_a_run_is_said_and_not_that_of_its_events(tmp_path, monkeypatch):
    monkeypatch.setattr("setpiece.training.events.SummaryWriter.close", full)
    with pytest.raises(UsageError, match="the run ends"), Events(tmp_path / "events", 0):
        raise UsageError("the run ends")
