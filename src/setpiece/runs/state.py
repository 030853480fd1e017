"""The saved state of a run: all that the rest of the run depends on, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from setpiece.atomic import write_whole
from setpiece.errors import WeightsError

__all__ = ["Position", "load_state", "save_state"]

RENAMED = {"average": "ema", "near": "one_to_many"}  # keys by their former names


@dataclass
class Position:
    """How far a run is.

    Attributes:
        epoch: epochs begun, from 0.
        batch: batches of this epoch that are done.
        step: optimiser steps done.
        seconds: of training so far.
        evaluated: how many of the evaluations planned for the run are done.
        stale: how many of them, after the best one, had a lower AP.
        sums: of each loss over the batches of this epoch.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    evaluated: int = 0
    stale: int = 0
    sums: dict[str, float] = field(default_factory=dict)


def save_state(file: Path, position: Position, tensors: Mapping[str, Any]) -> None:
    """Write what `load_state` reads.

    Args:
        tensors: state dicts of whatever the run consists of, by name.
    """
    write_whole(file, partial(torch.save, {"position": asdict(position), **tensors}))


def load_state(file: Path) -> tuple[Position, dict[str, Any]] | None:
    """What `save_state` wrote; None where there is no such file.

    Raises:
        WeightsError: the file cannot be read.
    """
    if not file.is_file():
        return None
    try:
        tensors = _renamed(torch.load(file, map_location="cpu", weights_only=True))
        saved = tensors.pop("position")
        saved.pop("best", None)  # of version 0.1.0; `best/metrics.json` says it now
        position = Position(**saved)
        position.sums = _renamed(position.sums)
    except Exception as error:  # unpickling damaged bytes can raise nearly anything
        run = file.parent.parent
        raise WeightsError(
            f"{file} is damaged: train on from the best weights in a new run, with --model {run} and another --output."
        ) from error
    return position, tensors


def _renamed(content: Mapping[str, Any]) -> dict[str, Any]:
    return {RENAMED.get(name, name): value for name, value in content.items()}
