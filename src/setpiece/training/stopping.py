"""Ctrl-C and SIGTERM: note that a run is asked to stop, so that it can save its state first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

__all__ = ["StopNow", "StopSignals"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what a scheduler sends before it takes a machine away


class StopNow(BaseException):
    """Raised by a signal, wherever the program is; see `StopSignals.at_once`."""


class StopSignals:
    """While entered, the first SIGINT or SIGTERM is noted and does nothing else. A second one acts as ever.

    Signals reach the main thread alone: in any other thread nothing is noted, and a signal acts as ever. One that is
    ignored, as in a shell's background, stays so.

    Attributes:
        received: the signal that was noted; None where none came.

    Example:
        >>> with StopSignals() as signals:
        ...     signal.raise_signal(signal.SIGTERM)
        >>> signals.received.name
        'SIGTERM'
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, signal._HANDLER] = {}
        self._at_once = False

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            handled = [each for each in SIGNALS if signal.getsignal(each) not in (signal.SIG_IGN, None)]
            self._before = {each: signal.signal(each, self._note) for each in handled}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise `StopNow` at a signal, now or inside: for long work after which there is nothing to save."""
        self._at_once = True
        try:
            if self.received is not None:
                raise StopNow
            yield
        finally:
            self._at_once = False

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()
        if self._at_once:
            raise StopNow

    def _restore(self) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._before.clear()
