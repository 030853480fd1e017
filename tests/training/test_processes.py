"""Several processes that train together: one that is killed, one that is asked to stop, one without objects."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from setpiece.runs.layout import RunFolder

QUIET = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@contextlib.contextmanager
def two_processes(scenes, folder):
    """A long run of two processes that has finished an epoch; yields its launcher."""
    command = [*TWO, "-m", "setpiece.cli", "train", str(scenes), "--model", "detr-tiny", "--epochs", "9999"]
    command += ["--size", "64", "--batch-size", "4", "--evaluations", "1", "--output", str(folder)]
    with subprocess.Popen(command, env=QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as launcher:
        try:
            while not RunFolder(folder).metrics.is_file() and launcher.poll() is None:
                time.sleep(0.05)
            yield launcher
        finally:
            for process in [*psutil.Process(launcher.pid).children(recursive=True)] if launcher.poll() is None else []:
                process.kill()
            launcher.kill()


def test_a_process_that_is_killed_ends_the_others_within_a_minute(scenes, tmp_path):
    with two_processes(scenes, tmp_path / "run") as launcher:
        workers = psutil.Process(launcher.pid).children()
        assert len(workers) == 2
        workers[1].kill()
        _, said = launcher.communicate(timeout=60)
        assert launcher.returncode != 0
        assert "SIGKILL" in said
        assert not any(worker.is_running() and worker.status() != "zombie" for worker in workers)


def test_processes_that_are_asked_to_stop_save_one_state_and_say_how_to_go_on(scenes, tmp_path):
    with two_processes(scenes, tmp_path / "run") as launcher:
        launcher.send_signal(signal.SIGTERM)
        _, said = launcher.communicate(timeout=60)
    assert launcher.returncode != 0
    assert "SIGTERM stopped this run after" in said
    assert f"--resume --output {tmp_path / 'run'}" in said
    assert RunFolder(tmp_path / "run").begun()


@pytest.fixture
def sparse(scenes, tmp_path):
    """The scenes, of whose training images one alone has objects."""
    shutil.copytree(scenes, tmp_path / "sparse")
    (file,) = (path for path in (tmp_path / "sparse").rglob("*.json") if "train" in str(path))
    content = json.loads(file.read_text())
    first = content["images"][0]["id"]
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] == first]
    file.write_text(json.dumps(content))
    return tmp_path / "sparse"


def test_a_process_whose_images_have_no_objects_trains_with_the_other(sparse, tmp_path):
    script = [str(Path(__file__).with_name("distributed_run.py")), str(sparse)]
    one = [sys.executable, *script, str(tmp_path / "one"), "detr-tiny"]
    for command in (one, [*TWO, *script, str(tmp_path / "two"), "detr-tiny"]):
        subprocess.run(command, env=QUIET, check=True, capture_output=True, timeout=200)
    rows = [RunFolder(tmp_path / name / "detr-tiny").metrics_rows() for name in ("one", "two")]
    losses = [[row["loss"] for row in of_run] for of_run in rows]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
