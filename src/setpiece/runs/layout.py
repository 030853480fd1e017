"""The folder of a run: what it holds, and how a killed run is taken up again.

```
run.json         the resolved configuration
metrics.jsonl    one line per epoch: loss terms, learning rate, images per second, and metrics where evaluated
tensorboard/     the same as events
pictures/        validation images: ground truth beside predictions of the latest evaluation
recording/       how the matching moved, for the report: see `setpiece.runs.recording`
best/            model.safetensors, config.json, metrics.json: the averaged weights with the highest AP
last/            the same of now, and training.pt: everything that --resume needs
```
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from setpiece.atomic import write_whole
from setpiece.errors import UsageError, WeightsError
from setpiece.evaluation import CocoMetrics
from setpiece.model.checkpoint import Checkpoint, save
from setpiece.training.config import TrainConfig


@dataclass
class Position:
    """Where a run is: with the weights and the optimiser's state, all that the rest of it depends on.

    Attributes:
        epoch: epochs begun, from 0.
        batch: batches of this epoch that are done.
        step: optimiser steps done.
        seconds: of training so far.
        evaluated: how many of the evaluations planned for the run are behind it.
        best: the highest AP so far.
        sums: of the losses over this epoch's batches, by term.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    evaluated: int = 0
    best: float = -1.0
    sums: dict[str, float] = field(default_factory=dict)


class RunFolder:
    """Reads and writes a run folder; every file in it is whole at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.best, self.last = path / "best", path / "last"
        self.pictures, self.tensorboard = path / "pictures", path / "tensorboard"
        self.recording = path / "recording"
        self._config, self._metrics = path / "run.json", path / "metrics.jsonl"
        self._state = self.last / "training.pt"

    def create(self, config: TrainConfig, *, resume: bool) -> None:
        """Make the folder of a new run, or make sure that the one to be resumed is of the same configuration.

        Raises:
            UsageError: there is a run already, or the run to be resumed was started with other settings.
        """
        if not self._config.is_file():
            if self.path.exists() and (not self.path.is_dir() or self._holds_something()):
                raise UsageError(f"{self.path} exists and is not a run: choose another --output.")
            self.path.mkdir(parents=True, exist_ok=True)
            write_whole(self._config, lambda path: path.write_text(config.model_dump_json(indent=2) + "\n"))
        elif not resume:
            raise UsageError(f"{self.path} holds a run already: continue it with --resume or choose another --output.")
        else:
            now, then = config.model_dump(mode="json"), self._started_with()
            changed = [name for name in now if now[name] != then.get(name)]
            if changed:
                name = changed[0]
                raise UsageError(
                    f"{self.path} was started with {name} = {then.get(name)}, not {now[name]}: resume it with the "
                    "settings it was started with."
                )

    def _holds_something(self) -> bool:
        # A run killed in its first moment leaves this one file.
        return any(file.name != f".{self._config.name}.unfinished" for file in self.path.iterdir())

    def _started_with(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._config.read_text()))
        except (OSError, ValueError) as error:
            raise WeightsError(f"{self._config} is damaged: choose another --output.") from error

    def begun(self) -> bool:
        """Whether there is a state to go on from."""
        return self._state.is_file()

    def forget(self) -> None:
        """Remove the folder of a run that failed before it had anything to keep."""
        if not self.begun():
            shutil.rmtree(self.path)

    def save_state(self, position: Position, tensors: dict[str, Any]) -> None:
        """Write what `load_state` reads."""
        self.last.mkdir(exist_ok=True)
        write_whole(self._state, lambda path: torch.save({"position": asdict(position), **tensors}, path))

    def load_state(self) -> tuple[Position, dict[str, Any]] | None:
        """The latest state, None where the run was stopped before there was one.

        Raises:
            WeightsError: the file cannot be read.
        """
        if not self.begun():
            return None
        try:
            tensors = torch.load(self._state, map_location="cpu", weights_only=True)
            return Position(**tensors.pop("position")), tensors
        except Exception as error:  # unpickling damaged bytes can raise nearly anything
            raise WeightsError(f"{self._state} is damaged: delete {self.last} to start this run over.") from error

    def save_checkpoint(self, folder: Path, checkpoint: Checkpoint, metrics: CocoMetrics | None) -> None:
        """Write a checkpoint, and its metrics beside it."""
        save(checkpoint, folder)
        if metrics is not None:
            text = json.dumps(metrics.to_dict(), indent=2) + "\n"
            write_whole(folder / "metrics.json", lambda path: path.write_text(text))

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add a line to `metrics.jsonl`."""
        with self._metrics.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def cut_metrics(self, step: int) -> None:
        """Drop the lines past a step, which a resumed run writes again."""
        if self._metrics.is_file():
            kept = [line for line in self._metrics.read_text().splitlines() if _step_of(line) <= step]
            write_whole(self._metrics, lambda path: path.write_text("".join(line + "\n" for line in kept)))


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):  # the line that was being written when the run was killed
        return float("inf")
