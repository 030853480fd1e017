"""How fast the runtimes detect on this machine, timed in turn on the same images."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import UInt8

from setpiece.export.export import FORMATS, Format, describe, export
from setpiece.inference.backends import load_backend
from setpiece.inference.detecting import Detecting
from setpiece.inference.detects import Detects
from setpiece.inference.exported import ExportedPredictor
from setpiece.model.checkpoint import Checkpoint

__all__ = ["Timing", "exported_runtimes", "time_in_turn"]

ROUNDS_BEFORE = 3  # that are not counted: memory is allocated, kernels are chosen


@dataclass(frozen=True)
class Timing:
    """Of calls with a number of images each, from pixels to detections.

    Attributes:
        p50: milliseconds that half of the calls took at most.
        p95: likewise of 95 of 100.
        images_per_second: over all calls.
    """

    p50: float
    p95: float
    images_per_second: float


def exported_runtimes(checkpoint: Checkpoint, formats: Sequence[Format]) -> dict[str, Detecting]:
    """A checkpoint exported to some formats, without verification, and loaded; by the names of the runtimes."""
    found: dict[str, Detecting] = {}
    with TemporaryDirectory() as folder:
        for format in formats:
            path = Path(folder) / f"model{FORMATS[format]}"
            export(checkpoint, describe(checkpoint), format, path)
            predictor = ExportedPredictor(load_backend(path))
            found[predictor.backend.name] = predictor
    return found


def time_in_turn(
    runtimes: Mapping[str, Detects],
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    *,
    batch: int,
    seconds: float,
) -> dict[str, Timing]:
    """Time every runtime on a batch of each picture, one after the other, until the time is over.

    Args:
        batch: how many copies of a picture are given at once, at most eight.
        seconds: for all of them together; each runs at least once on a picture.
    """
    durations: dict[str, list[float]] = {name: [] for name in runtimes}
    end = time.perf_counter() + seconds
    number = -ROUNDS_BEFORE
    while number < 1 or time.perf_counter() < end:
        images = [pictures[number % len(pictures)]] * batch
        for name, runtime in runtimes.items():
            began = time.perf_counter()
            list(runtime.predict(images))
            durations[name].append(time.perf_counter() - began)
        number += 1
        if number == 0:
            durations = {name: [] for name in runtimes}
            end = time.perf_counter() + seconds
    return {name: _timing(np.array(each), batch) for name, each in durations.items()}


def _timing(durations: np.ndarray, batch: int) -> Timing:
    p50, p95 = 1000 * np.percentile(durations, [50, 95])
    return Timing(float(p50), float(p95), float(batch * len(durations) / durations.sum()))
