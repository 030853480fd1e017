"""Items that a thread makes ahead of their use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

__all__ = ["Ahead"]

T = TypeVar("T")

WAIT = 0.2  # seconds after which a waiting thread looks whether it is still wanted


class Ahead(Generic[T]):
    """What an iterable gives, made by a thread of its own while what it gave before is used.

    Args:
        items: iterated by that thread alone, which also closes it if it is a generator.
        most: how many wait at a time. The thread waits where there are as many.
        newest: do not wait then, but drop the oldest one: of a camera the newest image matters.

    Attributes:
        dropped: how many were.

    Example:
        >>> ahead = Ahead(range(5), most=2)
        >>> ahead.take(3), ahead.take(3), ahead.take(3)
        ([0, 1, 2], [3, 4], [])
    """

    def __init__(self, items: Iterable[T], most: int, *, newest: bool = False) -> None:
        self.dropped = 0
        self._newest = newest
        self._waiting: Queue[T] = Queue(most)
        self._closed, self._ended = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        # A camera that stopped answering may hold the thread in a read, which must not hold up the program's end.
        self._thread = threading.Thread(target=self._make, args=(items,), daemon=True)
        self._thread.start()

    def take(self, most: int, stopped: Callable[[], bool] = lambda: False) -> list[T]:
        """The next items, fewer at the end, and none after it or once `stopped` says so.

        Raises:
            whatever the iterable raised, after what it gave before.
        """
        taken: list[T] = []
        while len(taken) < most and not stopped():
            ended = self._ended.is_set()  # before the look at what waits: nothing is added after it
            try:
                taken.append(self._waiting.get(block=not ended, timeout=WAIT))
            except Empty:
                if ended:
                    break
        if not taken and self._error is not None and not stopped():
            raise self._error
        return taken

    def close(self) -> None:
        """Let the thread end, and wait a little for it."""
        self._closed.set()
        self._thread.join(5 * WAIT)

    def _make(self, items: Iterable[T]) -> None:
        try:
            for item in items:
                if not self._put(item):
                    return
        except BaseException as error:  # raised where the items are used
            self._error = error
        finally:
            if isinstance(items, Generator):
                items.close()
            self._ended.set()

    def _put(self, item: T) -> bool:
        """False where nobody wants it any more."""
        while not self._closed.is_set():
            try:
                self._waiting.put(item, block=not self._newest, timeout=WAIT)
            except Full:
                if self._newest:
                    self._drop()
            else:
                return True
        return False

    def _drop(self) -> None:
        try:
            self._waiting.get_nowait()
        except Empty:  # it was taken in this moment
            return
        self.dropped += 1
