"""Learning rate and image scale as functions of the progress of a run, so that they fit a run of any length."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

__all__ = ["Stopwatch", "image_scale", "learning_rate_factor"]

CONSTANT = 0.5  # share of the run at the full learning rate
GROWN = 0.6  # share of the run from which on images have their full size
FLOOR = 0.01  # of the full learning rate, at the end
WARMUP_AT_MOST = 0.05  # share of the run


def learning_rate_factor(step: int, progress: float, warmup_steps: int) -> float:
    """What to multiply every learning rate by: linear warm-up, constant, then half a cosine down to 1 %.

    Args:
        step: steps done.
        progress: share of the run that is done, in [0, 1].
        warmup_steps: 0 for none.

    Example:
        >>> [round(learning_rate_factor(1000, p, 100), 3) for p in (0.1, 0.5, 0.75, 1.0)]
        [1.0, 1.0, 0.505, 0.01]
    """
    warm = 1.0
    if warmup_steps:
        warm = min(1.0, max((step + 1) / warmup_steps, progress / WARMUP_AT_MOST))
    fall = max(0.0, progress - CONSTANT) / (1 - CONSTANT)
    return warm * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * fall)) / 2)


def image_scale(progress: float, first: float) -> float:
    """Size of training images as a share of their full size: it grows linearly from `first` to 1 at 60 % of the run.

    Args:
        progress: share of the run that is done, in [0, 1].
        first: the share at the start, in (0, 1]; with 1 the size does not change.

    Example:
        >>> [round(image_scale(p, 0.5), 2) for p in (0.0, 0.3, 0.6, 1.0)]
        [0.5, 0.75, 1.0, 1.0]
    """
    return 1.0 if progress >= GROWN else first + (1 - first) * progress / GROWN


@dataclass
class Stopwatch:
    """Seconds of training, not counting what happens while it is paused (evaluation, pictures, checkpoints)."""

    seconds: float = 0.0
    _since: float | None = field(default=None, repr=False)

    def start(self) -> None:
        """Count from now on."""
        self._since = time.perf_counter()

    def pause(self) -> None:
        """Stop counting."""
        self.seconds, self._since = self.elapsed, None

    @property
    def elapsed(self) -> float:
        """Seconds counted so far."""
        return self.seconds + (0.0 if self._since is None else time.perf_counter() - self._since)
