"""An experiment tracker beside TensorBoard, through Accelerate: Weights & Biases or MLflow."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from setpiece.errors import UsageError
from setpiece.runs.layout import RunFolder

__all__ = ["Tracker", "require_tracker"]

PROJECT = "setpiece"  # where the environment names no other
OFFLINE = {
    "wandb": "log in with: wandb login; or keep the numbers on this machine, with WANDB_MODE=offline",
    "mlflow": "MLFLOW_TRACKING_URI says where its server or folder is",
}


def require_tracker(name: str | None) -> None:
    """Refuse a tracker that is not installed.

    Raises:
        UsageError: its package is missing.
    """
    if name is not None and importlib.util.find_spec(name) is None:
        raise UsageError(f"--tracker {name} needs a package that is not installed: pip install {name}.")


class Tracker:
    """A run of a tracker, which a resumed run of ours goes on with.

    Args:
        name: of the tracker, as `TrainConfig.tracker`.
        folder: of the run. The tracker's run has its name, and its id is kept there.
        settings: of the run, which a new run of the tracker holds.
        say: is told where the tracker fails during the run, which goes on without it.

    Raises:
        UsageError: the tracker is not installed or cannot be started.
    """

    def __init__(self, name: str, folder: RunFolder, settings: Mapping[str, Any], say: Callable[[str], None]) -> None:
        require_tracker(name)
        self.name, self._folder, self._say = name, folder, say
        known, self._told = folder.tracked(name) or (None, 0)
        try:
            self._run = _wandb(folder, known) if name == "wandb" else _mlflow(folder, known)
            if hasattr(self._run, "start"):  # an older Accelerate starts it at once
                self._run.start()
            if known is None:
                self._run.store_init_configuration(dict(settings))
            started = self._run.tracker.id if name == "wandb" else self._run.tracker.info.run_id
        except Exception as error:  # of whatever package it is
            raise UsageError(f"{name} could not be started ({_in_words(error)}): {OFFLINE[name]}.") from error
        self._failed, self._id = False, str(started)
        folder.track(name, self._id, self._told)

    def write(self, row: Mapping[str, Any]) -> None:
        """Log every number of a row at its `step`, but what the tracker was told before the run was resumed."""
        step = int(row["step"])
        if step <= self._told:
            return
        numbers = {name: value for name, value in row.items() if isinstance(value, float)}
        if self._try(lambda: self._run.log(numbers, step=step)):
            self._told = step
            self._folder.track(self.name, self._id, step)

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._try(self._run.finish if error is None else self._finish_failed)

    def _finish_failed(self) -> None:
        """End the tracker's run as one that did not come to its end; Accelerate's trackers know successes alone."""
        if self.name == "wandb":
            self._run.tracker.finish(exit_code=1)
        else:
            importlib.import_module("mlflow").end_run(status="FAILED")

    def _try(self, action: Callable[[], object]) -> bool:
        """Whether it worked, now and before."""
        if self._failed:
            return False
        try:
            action()
        except Exception as error:  # of whatever package it is
            self._failed = True
            self._say(f"{self.name} failed ({_in_words(error)}): the run goes on without it.")
        return not self._failed


def _wandb(folder: RunFolder, known: str | None) -> Any:
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    settings = {"name": folder.path.resolve().name, "dir": str(folder.path), "id": known, "resume": "allow"}
    return LOGGER_TYPE_TO_CLASS["wandb"](project, **settings)


def _mlflow(folder: RunFolder, known: str | None) -> Any:
    return LOGGER_TYPE_TO_CLASS["mlflow"](PROJECT, run_id=known, run_name=folder.path.resolve().name)


def _in_words(error: Exception) -> str:
    """The first line of an error, without its full stop."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return first.rstrip(".")
