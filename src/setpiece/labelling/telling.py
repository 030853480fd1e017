"""What the trainer tells the server: events, a line of JSON each."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

__all__ = ["Telling", "own_output"]

TICK = 0.5  # seconds between two events about how far something is


def own_output() -> TextIO:
    """Standard output for events alone: what libraries print goes to standard error instead."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


class Telling:
    """Writes events.

    Args:
        output: where they go.
    """

    def __init__(self, output: TextIO) -> None:
        self._output, self._lock = output, threading.Lock()

    def tell(self, event: str, **content: Any) -> None:
        """Write an event."""
        line = json.dumps({"event": event, **content}, allow_nan=False)
        with self._lock:
            self._output.write(line + "\n")
            self._output.flush()

    def state(self, state: str, said: str, done: float | None = None) -> None:
        """Tell what is done now."""
        self.tell("state", state=state, said=said, done=done)

    @contextmanager
    def by_the_clock(self, seconds: float, say: Callable[[float], None]) -> Iterator[None]:
        """Say again and again which share of a time has passed, up to 0.99: training goes by the clock, too."""
        ended, start = threading.Event(), time.monotonic()

        def run() -> None:
            while not ended.wait(TICK):
                say(round(min(0.99, (time.monotonic() - start) / seconds), 3))

        thread = threading.Thread(target=run, daemon=True)
        say(0.0)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
