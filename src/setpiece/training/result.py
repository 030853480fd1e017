"""What a training run ends with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from setpiece.evaluation import CocoMetrics
from setpiece.model.checkpoint import Checkpoint

__all__ = ["TrainingResult"]


@dataclass(frozen=True)
class TrainingResult:
    """The checkpoint to use: the best one, or the last where nothing was evaluated.

    Attributes:
        folder: that it is saved in.
        checkpoint: the same in memory.
        metrics: of this checkpoint on the validation images; None where nothing was evaluated.
    """

    folder: Path
    checkpoint: Checkpoint
    metrics: CocoMetrics | None
