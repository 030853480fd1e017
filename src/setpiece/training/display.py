"""The progress of a run: a live line in a terminal, or a line every ten seconds in a log file."""

from __future__ import annotations

import math
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from setpiece.evaluation import CocoMetrics

__all__ = ["Display", "duration"]

LOG_SECONDS = 10.0  # between lines where there is no terminal


class Display:
    """Live progress of a run.

    Args:
        console: where to show it; nothing is shown where None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(quiet=True)
        self._progress = Progress(
            TextColumn("{task.fields[where]}", style="bold", markup=False),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TextColumn("{task.fields[what]}", markup=False),
            console=self.console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=1.0, where="", what="")
        self._next_line = time.monotonic() + LOG_SECONDS

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, where: str, done: float, what: str) -> None:
        """Update the live line.

        Args:
            where: such as "epoch 3".
            done: share of the run that is done, in [0, 1].
            what: losses and speed, say.
        """
        self._progress.update(self._task, completed=done, where=where, what=what)
        if not self.console.is_terminal and time.monotonic() >= self._next_line:
            self.console.print(f"{where} {done:4.0%} {what}", soft_wrap=True, highlight=False, markup=False)
            self._next_line = time.monotonic() + LOG_SECONDS

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def step(self, epoch: int, done: float, what: str) -> None:
        """A step was made.

        Args:
            epoch: from 1.
            done: share of the run that is done, in [0, 1].
            what: losses and speed.
        """
        self.show(f"epoch {epoch}", done, what)

    def evaluating(self, done: float, images: int) -> None:
        """An evaluation begins on so many images."""
        self.show("evaluating", done, f"{images} images")

    def evaluated(self, epoch: int, seconds: float, metrics: CocoMetrics, *, best: bool) -> None:
        """An evaluation is done, and its checkpoint is saved.

        Args:
            epoch: from 1.
            seconds: of training done.
            best: whether its AP is the highest so far.
        """
        measured = f"AP {metrics.AP:.3f}  AP50 {metrics.AP50:.3f}{'  best so far' if best else ''}"
        if math.isnan(metrics.AP):
            measured = "nothing to measure"
        self.say(f"epoch {epoch:3d}  {duration(seconds):>12}  {measured}")


def duration(seconds: float) -> str:
    """Seconds in words.

    Example:
        >>> duration(42.4), duration(340.0), duration(7260.0)
        ('42 s', '5 min 40 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
