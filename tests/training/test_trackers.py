"""Trackers get settings and metrics, a resumed run goes on with theirs, and a failing one does not end a run.

The stand-ins have what Accelerate's trackers call. The tests at the end use the packages themselves, without network.
"""

import importlib.util
import json
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest

from setpiece.errors import UsageError
from setpiece.runs.layout import RunFolder
from setpiece.training import loop
from setpiece.training.config import resolve
from setpiece.training.start import start_training
from setpiece.training.trackers import Tracker

from .killing import Killed, Killing

SETTINGS = {"size": 64, "batch_size": 8, "evaluations": 1, "precision": "fp32", "epochs": 2}


class Server:
    """What a stand-in was told, by the ids of its runs."""

    def __init__(self):
        self.runs, self.calls, self.ends, self.open = {}, [], [], None

    def begin(self, known, **given):
        run = known or f"run-{len(self.runs) + 1}"
        self.runs.setdefault(run, SimpleNamespace(settings={}, rows=[]))
        self.calls.append(given)
        self.open = run
        return run

    def log(self, values, step=None):
        self.runs[self.open].rows.append((step, values))

    def configure(self, values, **_):
        self.runs[self.open].settings.update(values)

    def end(self, **how):
        self.open = None
        self.ends.append(how)


def wandb_of(server):
    module = ModuleType("wandb")

    def init(project, name, dir, id, resume):
        run = server.begin(id, project=project, name=name, dir=dir, resume=resume)
        return SimpleNamespace(id=run, log=server.log, finish=server.end)

    module.init, module.config = init, SimpleNamespace(update=server.configure)
    return module


def mlflow_of(server):
    module = ModuleType("mlflow")

    def start_run(run_id, experiment_id, run_name, **_):
        run = server.begin(run_id, project=experiment_id, name=run_name)
        return SimpleNamespace(info=SimpleNamespace(run_id=run))

    limits = SimpleNamespace(MAX_PARAM_VAL_LENGTH=6000, MAX_PARAMS_TAGS_PER_BATCH=100)
    module.utils = SimpleNamespace(validation=limits)
    module.search_experiments, module.create_experiment = (lambda **_: []), (lambda name, **_: name)
    module.start_run, module.end_run = start_run, server.end
    module.log_params, module.log_metrics = server.configure, server.log
    return module


@pytest.fixture(params=["wandb", "mlflow"])
def tracker(request, monkeypatch):
    """The name of a tracker, and what its stand-in was told."""
    for name in ("WANDB_PROJECT", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "MLFLOW_TAGS", "MLFLOW_NESTED_RUN"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    module = {"wandb": wandb_of, "mlflow": mlflow_of}[request.param](server)
    module.__spec__ = ModuleSpec(request.param, None)
    monkeypatch.setitem(sys.modules, request.param, module)
    return request.param, server


def numbers_of(folder):
    """The fractional numbers of each line of metrics.jsonl, at its step."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], {name: value for name, value in row.items() if isinstance(value, float)}) for row in rows]


def test_settings_and_metrics_come_to_the_tracker(tracker, scenes, tmp_path):
    name, server = tracker
    config = resolve(scenes, "detr-tiny", tracker=name, **SETTINGS)
    start_training(config, tmp_path / "cells")
    ((run, told),) = server.runs.items()
    assert told.rows == numbers_of(tmp_path / "cells")
    assert {"loss", "class", "l1", "giou", "lr", "AP", "AP50", "images_per_second"} <= told.rows[-1][1].keys()
    assert told.settings == config.to_dict() | {"orientations": told.settings["orientations"]}
    assert server.calls[0]["name"] == "cells"
    assert server.calls[0]["project"] == "setpiece"
    assert server.ends == [{}]  # it was finished
    assert RunFolder(tmp_path / "cells").tracked(name) == (run, 4)
    assert list((tmp_path / "cells" / "tensorboard").glob("events*"))


def test_a_resumed_run_goes_on_with_the_run_of_the_tracker(tracker, scenes, tmp_path, monkeypatch):
    name, server = tracker
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    config = resolve(scenes, "detr-tiny", tracker=name, **SETTINGS)
    with pytest.raises(Killed):
        start_training(config, tmp_path / "run", display=Killing("step", 2))  # in the second epoch
    start_training(config, tmp_path / "run", resume=True)
    (told,) = server.runs.values()
    assert [step for step, _ in told.rows] == [2, 4]  # not twice, although the first epoch's line is written twice
    assert told.rows[1] == numbers_of(tmp_path / "run")[1]


def test_a_run_may_be_resumed_without_its_tracker_or_with_another(tmp_path):
    run = RunFolder(tmp_path / "run")
    settings = resolve("cells", "detr-tiny").to_dict()
    run.create(settings, {}, resume=False)
    for tracker in ("wandb", "mlflow", None):
        run.create(settings | {"tracker": tracker}, {}, resume=True)
    run.track("wandb", "a", 4)
    run.track("mlflow", "b", 2)
    assert (run.tracked("wandb"), run.tracked("mlflow")) == (("a", 4), ("b", 2))


def test_a_tracker_that_fails_is_said_once_and_does_not_end_the_run(tracker, tmp_path):
    name, server = tracker
    said = []
    with Tracker(name, RunFolder(tmp_path), {"seed": 0}, said.append) as tracked:

        def broken(*_, **__):
            raise ConnectionError("no route to host.\nand more")

        server.runs[server.open].rows = SimpleNamespace(append=broken)
        tracked.write({"step": 1, "loss": 1.0})
        tracked.write({"step": 2, "loss": 1.0})
    assert said == [f"{name} failed (no route to host): the run goes on without it."]
    assert RunFolder(tmp_path).tracked(name)[1] == 0  # a resumed run tells it these lines


def test_a_run_that_fails_ends_as_failed_in_the_tracker(tracker, tmp_path):
    name, server = tracker
    with pytest.raises(OSError, match="no space left"), Tracker(name, RunFolder(tmp_path), {"seed": 0}, print):
        raise OSError("no space left")
    assert server.ends == [{"wandb": {"exit_code": 1}, "mlflow": {"status": "FAILED"}}[name]]


def test_a_tracker_that_cannot_be_started_says_what_to_do(tracker, tmp_path, monkeypatch):
    name, server = tracker

    def refused(*_, **__):
        raise ValueError("api_key not configured.")

    monkeypatch.setattr(server, "begin", refused)
    with pytest.raises(
        UsageError, match=rf"^{name} could not be started \(api_key not configured\): .*(WANDB|MLFLOW)_"
    ):
        Tracker(name, RunFolder(tmp_path), {}, print)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_is_refused_before_anything_is_read(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        UsageError, match=rf"^--tracker {name} needs a package that is not installed: pip install {name}\.$"
    ):
        start_training(resolve(tmp_path / "no data", "detr-tiny", tracker=name), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_name_is_refused():
    with pytest.raises(UsageError, match=r"^--tracker: "):
        resolve("cells", "detr-tiny", tracker="paper")


# ---- the packages themselves, without network ----

TWICE = """
import sys
from pathlib import Path
from setpiece.training import loop
from setpiece.training.config import resolve
from setpiece.training.start import start_training
sys.path.insert(0, {tests!r})
from killing import Killed, Killing

loop.SAVE_SECONDS = 0
config = resolve({scenes!r}, "detr-tiny", tracker={name!r}, **{settings!r})
try:
    start_training(config, Path("run"), display=Killing("step", 2))
except Killed:
    start_training(config, Path("run"), resume=True)
"""


def train_twice(name, scenes, folder, **environment):
    """A run that is killed and resumed, in a process of its own: such a package changes the process that it is in."""
    code = TWICE.format(tests=os.path.dirname(__file__), scenes=str(scenes), name=name, settings=SETTINGS)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("WANDB_", "MLFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=clean | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "run" / "tracker.json").read_text())[name]["run"]


def test_wandb_itself_keeps_both_parts_of_a_run_offline(scenes, tmp_path):
    pytest.importorskip("wandb")
    run = train_twice("wandb", scenes, tmp_path, WANDB_MODE="offline")
    parts = sorted((tmp_path / "run" / "wandb").glob("offline-run-*"))
    assert parts
    assert all(part.name.endswith(run) for part in parts)
    written = b"".join(file.read_bytes() for part in parts for file in part.glob("*.wandb"))
    assert b"one_to_many_weight" in written
    assert b"AP50" in written


def test_mlflow_itself_keeps_a_run_in_a_folder(scenes, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}" if importlib.util.find_spec("sqlalchemy") else str(tmp_path / "mlruns")
    run = train_twice("mlflow", scenes, tmp_path, MLFLOW_TRACKING_URI=uri, MLFLOW_ALLOW_FILE_STORE="true")
    client = mlflow.MlflowClient(uri)
    assert client.get_run(run).data.params["model"] == "detr-tiny"
    assert [metric.step for metric in client.get_metric_history(run, "loss")] == [2, 4]
    assert client.get_run(run).info.status == "FINISHED"
