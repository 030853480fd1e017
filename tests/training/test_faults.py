"""What happens to a run: signals, kills, other processes."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from setpiece.data.batching import batches_of
from setpiece.errors import LoadingError, OutputError, StoppedError, UsageError
from setpiece.runs import recording_files
from setpiece.runs.layout import RunFolder
from setpiece.training import loop
from setpiece.training.config import resolve
from setpiece.training.display import Display
from setpiece.training.start import start_training

SETTINGS = {"size": 64, "batch_size": 4, "evaluations": 2, "precision": "fp32"}
SPEED = ("images_per_second", "seconds")


def rows(folder):
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in SPEED} for line in lines]


def same_end(one, other):
    assert rows(one) == rows(other)
    for checkpoint in ("best", "last"):
        weights = [load_file(run / checkpoint / "model.safetensors") for run in (one, other)]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.fixture(scope="module")
def uninterrupted(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    start_training(resolve(scenes, "detr-tiny", epochs=3, **SETTINGS), folder)
    return folder


class Signalling(Display):
    """Raises a signal at a moment: "step" or "evaluating", after so many of them; and notes what is said."""

    def __init__(self, moment, after, number):
        super().__init__()
        self.moment, self.left, self.number, self.said = moment, after, number, []

    def step(self, *_):
        self._come("step")

    def evaluating(self, *_):
        self._come("evaluating")

    def say(self, text):
        self.said.append(text)

    def _come(self, moment):
        if moment == self.moment:
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(self.number)


@pytest.mark.parametrize(
    ("moment", "after", "steps"), [("step", 6, 6), ("step", 8, 8), ("evaluating", 1, 8)], ids=lambda value: str(value)
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_a_run_with_its_state_saved(scenes, uninterrupted, tmp_path, moment, after, steps, number):
    config = resolve(scenes, "detr-tiny", epochs=3, **SETTINGS)
    name = "Ctrl-C" if number == signal.SIGINT else number.name
    before = signal.getsignal(number)
    with pytest.raises(
        StoppedError, match=rf"^{name} stopped this run after {steps} steps.*--resume --output "
    ) as stop:
        start_training(config, tmp_path / "run", display=Signalling(moment, after, number))
    assert stop.value.exit_code == 128 + number
    assert signal.getsignal(number) is before
    assert RunFolder(tmp_path / "run").begun()
    start_training(config, tmp_path / "run", resume=True)
    same_end(tmp_path / "run", uninterrupted)


def test_a_run_that_was_stopped_in_its_last_evaluation_is_evaluated_when_it_is_resumed(scenes, uninterrupted, tmp_path):
    config = resolve(scenes, "detr-tiny", epochs=3, **SETTINGS)
    with pytest.raises(StoppedError, match="after 12 steps, which are saved"):
        start_training(config, tmp_path / "run", display=Signalling("evaluating", 2, signal.SIGTERM))
    assert len(rows(tmp_path / "run")) == 2
    result = start_training(config, tmp_path / "run", resume=True)
    assert result.metrics is not None
    same_end(tmp_path / "run", uninterrupted)


def test_a_run_of_minutes_that_was_stopped_in_its_last_evaluation_makes_no_further_step(scenes, tmp_path):
    config = resolve(scenes, "detr-tiny", minutes=0.03, **SETTINGS | {"evaluations": 1})
    with pytest.raises(StoppedError) as stop:
        start_training(config, tmp_path / "run", display=Signalling("evaluating", 1, signal.SIGTERM))
    start_training(config, tmp_path / "run", resume=True)
    assert f"after {rows(tmp_path / 'run')[-1]['step']} steps" in str(stop.value)
    assert "AP" in rows(tmp_path / "run")[-1]


def test_a_signal_that_is_ignored_stays_so(scenes, tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        config = resolve(scenes, "detr-tiny", epochs=1, **SETTINGS)
        start_training(config, tmp_path / "run", display=Signalling("step", 2, signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(rows(tmp_path / "run")) == 1


def test_workers_and_patience_may_be_others_when_a_run_is_resumed(scenes, uninterrupted, tmp_path):
    config = resolve(scenes, "detr-tiny", epochs=3, **SETTINGS)
    with pytest.raises(StoppedError):
        start_training(config, tmp_path / "run", display=Signalling("step", 6, signal.SIGTERM))
    config = resolve(scenes, "detr-tiny", epochs=3, workers=1, patience=9, **SETTINGS)
    start_training(config, tmp_path / "run", resume=True)
    same_end(tmp_path / "run", uninterrupted)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"])
def test_the_command_says_how_to_go_on_and_ends_with_the_exit_code_of_a_shell(scenes, tmp_path, number, code):
    command = [sys.executable, "-m", "setpiece.cli", "train", str(scenes), "--model", "detr-tiny", "--epochs", "999"]
    command += ["--size", "64", "--batch-size", "4", "--evaluations", "1", "--output", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not list((tmp_path / "run" / "recording").glob("epoch-000002*")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == code
    assert said.strip().endswith(f"with --resume --output {tmp_path / 'run'}")
    assert "Error" not in said
    assert "Traceback" not in said


def test_runs_killed_at_twenty_random_moments_end_as_one_that_was_not(scenes, tmp_path):
    script = str(Path(__file__).with_name("killed_runs.py"))
    folders = [tmp_path / "first", tmp_path / "second"]  # at the same time
    commands = [[sys.executable, script, str(scenes), str(folder), "10", folder.name] for folder in folders]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    for process, folder in zip(started, folders, strict=True):
        said, _ = process.communicate()
        kills, writing = map(int, re.findall(r"\d+", said))
        assert kills == 10
        assert writing > 0
        killed = list(folder.glob("killed-*"))
        assert killed
        for run in killed:
            same_end(run, folder / "whole")
            assert not list(run.rglob("*.unfinished"))


def test_a_run_whose_state_was_deleted_is_refused_and_loses_nothing(scenes, uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    RunFolder(tmp_path / "run").state.unlink()
    before = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    with pytest.raises(UsageError, match="has no state to go on from"):
        start_training(resolve(scenes, "detr-tiny", epochs=3, **SETTINGS), tmp_path / "run", resume=True)
    assert {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_fails_before_its_first_state_removes_what_it_began_itself(scenes, tmp_path, monkeypatch, resume):
    config = resolve(scenes, "detr-tiny", epochs=1, **SETTINGS)
    run = RunFolder(tmp_path / "run")
    if resume:  # begun and killed at once
        settings = json.dumps(config.to_dict())
        run.path.mkdir()
        run.settings.write_text(settings)

    def full(*_):
        raise OutputError("training.pt could not be written (No space left on device): make room.")

    monkeypatch.setattr(loop, "save_state", full)
    display = Signalling("never", 0, signal.SIGTERM)
    with pytest.raises(OutputError, match="make room"):
        start_training(config, run.path, resume=resume, display=display)
    assert run.settings.is_file() == resume
    assert run.path.exists() == resume
    assert (f"{run.path} has no saved state: the run begins again." in display.said) == resume


def test_two_processes_cannot_train_into_one_folder(scenes, tmp_path):
    config = resolve(scenes, "detr-tiny", epochs=1, **SETTINGS)
    run = RunFolder(tmp_path / "run")
    start_training(config, run.path)
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    process = context.Process(target=hold, args=(run.path, held, done))
    process.start()
    assert held.wait(60)
    with pytest.raises(UsageError, match=r"^Another process is training into \S+run: choose another --output\.$"):
        start_training(config, run.path, resume=True)
    done.set()
    process.join()
    start_training(config, run.path, resume=True)


def hold(folder, held, done):
    with RunFolder(folder).locked():
        held.set()
        done.wait(60)


@pytest.mark.parametrize(("moment", "after"), [("step", 5), ("evaluating", 1)])
def test_loading_processes_that_are_killed_are_replaced(scenes, uninterrupted, tmp_path, moment, after):
    class Killing(Signalling):
        def _come(self, moment):
            if moment == self.moment:
                self.left -= 1
                if self.left == 0:
                    worker = max(multiprocessing.active_children(), key=lambda child: child.pid)  # not of another test
                    worker.kill()
                    worker.join()  # so that its end is known in the midst of a step

    display = Killing(moment, after, signal.SIGKILL)
    start_training(resolve(scenes, "detr-tiny", epochs=3, workers=1, **SETTINGS), tmp_path / "run", display=display)
    assert [line for line in display.said if "killed" in line] == [
        "A process that loads images was killed, perhaps since memory ran out: fewer --workers take less. "
        "Others take its place."
    ]
    same_end(tmp_path / "run", uninterrupted)


def test_a_loader_whose_process_was_killed_says_so_in_a_sentence():
    class Dying(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, _):
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(LoadingError, match="A process that loads images was killed"):
        list(batches_of(torch.utils.data.DataLoader(Dying(), num_workers=1)))


def test_patience_ends_a_run_after_evaluations_without_a_higher_ap(scenes, tmp_path, monkeypatch):
    config = resolve(scenes, "detr-tiny", epochs=6, patience=2, **SETTINGS | {"evaluations": 6})
    aps = iter([0.3, 0.2, 0.4, 0.3, 0.1, 0.9])  # the third is the best, and two that are lower follow
    evaluate_coco = loop.evaluate_coco

    def measured(*args):
        return replace(evaluate_coco(*args), AP=next(aps))

    monkeypatch.setattr(loop, "evaluate_coco", measured)
    monkeypatch.setattr(loop, "write_pictures", lambda *_: None)
    display = Signalling("never", 0, signal.SIGTERM)
    result = start_training(config, tmp_path / "run", display=display)
    assert result.metrics.AP == 0.4
    assert [row["AP"] for row in rows(tmp_path / "run")] == [0.3, 0.2, 0.4, 0.3, 0.1]
    assert "Ended at 83%: 2 evaluations in a row brought no higher AP." in display.said
    assert recording_files.read(tmp_path / "run" / "recording").epochs[-1].snapshot is not None
    again = start_training(config, tmp_path / "run", resume=True)
    assert again.metrics.AP == 0.4
    assert len(rows(tmp_path / "run")) == 5


def test_a_run_records_what_it_was_made_with_and_says_when_that_changed(scenes, tmp_path):
    config = resolve(scenes, "detr-tiny", epochs=1, **SETTINGS)
    start_training(config, tmp_path / "run")
    settings = tmp_path / "run" / "run.json"
    recorded = json.loads(settings.read_text())
    made_with = recorded["made_with"]
    assert made_with["versions"]["torch"] == str(torch.__version__)
    assert made_with["machine"]["cores"] == os.cpu_count()
    assert Path(sys.argv[0]).name in made_with["command"]
    assert recorded["contents"]["train"]["images"] == 16
    made_with["versions"]["torch"] = "1.0"
    settings.write_text(json.dumps(recorded))
    display = Signalling("never", 0, signal.SIGTERM)
    start_training(config, tmp_path / "run", resume=True, display=display)
    said = f"This run goes on with other software or on another machine: torch 1.0 then, {torch.__version__} now."
    assert said in display.said


def test_the_same_seed_gives_the_same_run_to_the_bit(scenes, tmp_path):
    config = resolve(scenes, "sprint-n", epochs=2, **SETTINGS)
    for name in ("one", "other"):
        start_training(config, tmp_path / name)
    same_end(tmp_path / "one", tmp_path / "other")
