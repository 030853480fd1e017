"""The progress of a run: a live view in a terminal, or a line every ten seconds in a log file."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from setpiece.evaluation import CocoMetrics
from setpiece.training.memory_use import in_words

__all__ = ["Display", "Status", "duration"]

LOG_SECONDS = 10.0  # between lines where there is no terminal
PER_SECOND = 4  # pictures of the live view
TERM_NAMES = {"l1": "L1", "giou": "GIoU", "one_to_many": "one-to-many"}  # where it is not the name itself
WIDEST = 120  # columns of the live view


@dataclass(frozen=True)
class Status:
    """Where a run stands after a step.

    Attributes:
        epoch: from 1.
        done: share of the run that is done, in [0, 1].
        losses: by name, the mean over the steps of this epoch: "loss" is the weighted Hungarian loss of all prediction
            sets; its terms are those of the last set, unweighted.
        learning_rate: of the latest step.
        rate: images per second of training since the start of the run.
        memory: bytes that are held, see `memory_use.used`.
        left: seconds of training to come.
        note: what else matters for the speed; empty where nothing does.
    """

    epoch: int
    done: float
    losses: Mapping[str, float]
    learning_rate: float
    rate: float
    memory: int
    left: float
    note: str = ""

    def terms(self) -> list[str]:
        """The losses in the field's names."""
        return [f"{TERM_NAMES.get(name, name)} {value:.3f}" for name, value in self.losses.items()]

    def speed(self) -> list[str]:
        """What the run costs."""
        numbers = [f"lr {self.learning_rate:.1e}", f"{self.rate:.0f} images/s", f"{in_words(self.memory)} memory"]
        return [*numbers, self.note] if self.note else numbers


@dataclass(frozen=True)
class _Scored:
    """An evaluation; its numbers are NaN where there is nothing to measure."""

    epoch: int
    AP: float
    AP50: float

    def __str__(self) -> str:
        return f"AP {self.AP:.3f}  AP50 {self.AP50:.3f}"


class Display:
    """Live progress of a run.

    Args:
        console: where to show it; nothing is shown where None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(quiet=True)
        self._where, self._done, self._what = "", 0.0, ""
        self._status: Status | None = None
        self._latest: _Scored | None = None
        self._best: _Scored | None = None
        self._live = Live(self, console=self.console, refresh_per_second=PER_SECOND, transient=True)
        self._next_line = time.monotonic() + LOG_SECONDS

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        """The live view: the bar, and lines of what is known, broken between two things where they are too long."""
        width = min(options.max_width, WIDEST)
        status = self._status
        bar = Table.grid(padding=(0, 2), expand=False)
        bar.add_row(
            Text(self._where, "bold"), ProgressBar(total=1.0, completed=self._done, width=20), f"{self._done:.0%}",
            self._what,
        )  # fmt: skip
        yield bar
        if status is not None:
            for pieces in (status.terms(), self._scores(), status.speed()):
                for line in _lines(pieces, width - 2):
                    yield Text(f"  {line}", no_wrap=True, overflow="ellipsis")

    def _scores(self) -> list[str]:
        """The latest evaluation and the best one."""
        if self._latest is None:
            return []
        if self._best is None or math.isnan(self._best.AP):
            return ["no AP, since there are no objects"]
        if self._latest is self._best:
            return [f"{self._latest} in epoch {self._latest.epoch}, the best so far"]
        return [f"{self._latest} in epoch {self._latest.epoch}", f"best {self._best} in epoch {self._best.epoch}"]

    def show(self, where: str, done: float, what: str) -> None:
        """Show what the run is at.

        Args:
            where: such as "epoch 3".
            done: share of it that is done, in [0, 1].
            what: a few words.
        """
        self._where, self._done, self._what = where, done, what
        self._log(f"{where} {done:4.0%} {what}")

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def step(self, status: Status) -> None:
        """A step was made."""
        self._status, self._where, self._done = status, f"epoch {status.epoch}", status.done
        self._what = f"{duration(status.left)} left"
        pieces = [*status.terms(), *self._scores(), *status.speed(), self._what]
        self._log(f"{self._where} {status.done:4.0%} {'  '.join(pieces)}")

    def _log(self, line: str) -> None:
        """Print a line where there is no terminal, and the one before is ten seconds old."""
        if not self.console.is_terminal and time.monotonic() >= self._next_line:
            self.say(line)
            self._next_line = time.monotonic() + LOG_SECONDS

    def resumed(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """A run goes on, of which these lines of `metrics.jsonl` are known."""
        for row in rows:
            if "AP" in row and "epoch" in row:
                values = (math.nan if row.get(name) is None else float(row[name]) for name in ("AP", "AP50"))
                self._score(_Scored(int(row["epoch"]), *values))

    def _score(self, scored: _Scored) -> None:
        self._latest = scored
        if self._best is None or not self._best.AP >= scored.AP:
            self._best = scored

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
        scored = _Scored(epoch, metrics.AP, metrics.AP50)
        self._score(scored)
        measured = f"{scored}{'  best so far' if best else ''}"
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


def _lines(pieces: Iterable[str], width: int) -> list[str]:
    """Pieces side by side, on as many lines as they need."""
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1]) + 3 + len(piece) <= width:
            lines[-1] += f"   {piece}"
        else:
            lines.append(piece)
    return lines
