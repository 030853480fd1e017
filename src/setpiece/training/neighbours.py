"""How much of the machine other programs use while a run trains."""

from __future__ import annotations

import os
import time

import psutil

__all__ = ["Neighbours"]

WORTH_SAYING = 0.3  # cores


class Neighbours:
    """Measures from its creation on. Times are those that the operating system counts: `/proc/stat` on Linux."""

    def __init__(self) -> None:
        self.cores = os.cpu_count() or 1
        self._since, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def used(self) -> float:
        """Cores that other programs kept busy on average, from 0 to all."""
        seconds = max(time.monotonic() - self._since, 1e-3)
        others = (_busy_seconds() - self._busy) - (_own_seconds() - self._own)
        return min(max(others / seconds, 0.0), float(self.cores))

    def note(self) -> str:
        """A few words for the line of progress; empty where they hardly matter."""
        used = self.used()
        return f"other programs use {used:.1f} of {self.cores} cores" if used >= WORTH_SAYING else ""

    def sentence(self) -> str:
        """What to say of them after a run; empty where they hardly mattered."""
        used = self.used()
        if used < WORTH_SAYING:
            return ""
        return (
            f"Other programs used {used:.1f} of the {self.cores} cores during this run: alone it would have made more "
            "steps in the same time."
        )


def _busy_seconds() -> float:
    """Of all cores together since the machine was started, in this and in any other program."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    counted_twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - idle - counted_twice)


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
