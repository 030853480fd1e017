"""A run's folder -> its `Timeline`: how metrics and matching changed during training.

Findings are computed from these records, and `payload_training` packs them for the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from setpiece.errors import DataError
from setpiece.explain.matching_history import MatchingHistory, matching_history
from setpiece.runs import recording_files
from setpiece.runs.layout import RunFolder

__all__ = ["Metrics", "Timeline", "read_timeline"]


@dataclass(frozen=True)
class Metrics:
    """The lines of `metrics.jsonl`, in order; NaN where a line has no such number.

    Attributes:
        epoch: from 1.
        seconds: of training done at the end of the epoch.
        loss: mean over the epoch.
        AP: of the validation images, in [0, 1].
        AP50: the same at IoU 0.5.
    """

    epoch: Int64[np.ndarray, " E"]
    seconds: Float64[np.ndarray, " E"]
    loss: Float64[np.ndarray, " E"]
    AP: Float64[np.ndarray, " E"]
    AP50: Float64[np.ndarray, " E"]


@dataclass(frozen=True)
class Timeline:
    """What is known of a model's training; each part is None where the run's folder does not hold it.

    Attributes:
        metrics: from `metrics.jsonl`.
        matching: from the recording.
    """

    metrics: Metrics | None
    matching: MatchingHistory | None


def read_timeline(run: Path) -> tuple[Timeline | None, list[str]]:
    """Read what a run's folder says of its training.

    Args:
        run: the folder that `setpiece train` wrote.

    Returns:
        The timeline, None where there is nothing to show; and a sentence for everything that is missing or damaged.
    """
    folder = RunFolder(run)
    metrics, missing = _read_metrics(folder)
    matching = None
    try:
        recording = recording_files.read(folder.recording)
        missing += recording.damaged
        if any(epoch.images for epoch in recording.epochs):
            matching = matching_history(recording)
        else:
            missing.append("The recording holds no complete epoch, so there is no timeline of the matching.")
    except DataError as error:
        missing.append(f"There is no timeline of the matching. {error}")
    return (Timeline(metrics, matching) if metrics or matching else None), missing


def _read_metrics(folder: RunFolder) -> tuple[Metrics | None, list[str]]:
    file = folder.metrics
    if not file.is_file():
        return None, [f"There is no {file}, so neither losses nor AP over time are shown."]
    epochs, rows, damaged = [], [], 0
    for row in folder.metrics_rows():
        try:
            epoch, numbers = int(row["epoch"]), [_number(row.get(name)) for name in ("seconds", "loss", "AP", "AP50")]
        except (ValueError, KeyError, TypeError, OverflowError):
            damaged += 1
        else:
            epochs.append(epoch)
            rows.append(numbers)
    missing = [f"{damaged} lines of {file.name} are damaged and left out."] if damaged else []
    return (Metrics(np.array(epochs, np.int64), *np.array(rows, np.float64).T) if rows else None), missing


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else np.nan
