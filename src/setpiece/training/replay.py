"""Compute the step at which training diverged again."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from pydantic import ValidationError

from setpiece.errors import NonFiniteError, WeightsError
from setpiece.model.checkpoint import load
from setpiece.runs.capture import read_capture
from setpiece.runs.provenance import provenance, what_differs
from setpiece.training.config import TrainConfig
from setpiece.training.replicas import one_thread_per_operation
from setpiece.training.step import Stepper

__all__ = ["Replay", "replay"]


@dataclass(frozen=True)
class Replay:
    """What came of computing a captured step again.

    Attributes:
        then: what was not finite in the run, in words.
        now: likewise this time; None where everything was finite.
        differs: software and machine, see `runs.provenance`; empty where they are the same.
    """

    then: str
    now: str | None
    differs: str


def replay(folder: Path) -> Replay:
    """Compute a captured step again, in one process.

    Of a run of several processes this is the share of one. It divides its losses by its own numbers of targets, and
    takes the statistics of batch norm from its own images, so what it computes may differ.

    Args:
        folder: the capture, see `runs.capture`.

    Raises:
        UsageError: there is no capture.
        WeightsError: it cannot be read.
    """
    capture, state = read_capture(folder)
    accelerator = Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision="no")
    try:
        config = TrainConfig(**capture.settings)
    except ValidationError as error:
        raise WeightsError(f"{folder} was written by another version of Setpiece: take that one.") from error
    stepper = Stepper(load(folder).model, config, accelerator, len(capture.files))
    stepper.load_state_dict(state)
    stepper.process = capture.process
    stepper.model.train()
    now = None
    try:
        stepper.require_finite_weights()
        with one_thread_per_operation() if stepper.replicas else nullcontext():
            stepper.step(capture.batch.to(accelerator.device), capture.step, capture.progress)
    except NonFiniteError as error:
        now = str(error)
    return Replay(capture.error, now, what_differs(dict(capture.made_with), provenance()))
