"""What can be undone and done again, and how long people worked."""

from __future__ import annotations

from setpiece.labelling.journal import Entry
from setpiece.labelling.labels import Change

__all__ = ["History"]

BREAK = 120.0  # seconds without a change that count as a pause, and not as work


class History:
    """The changes so far, read from the journal's entries in their order.

    Attributes:
        sequence: the number of the last entry.
        seconds: of work, without pauses.
    """

    def __init__(self) -> None:
        self.sequence, self.seconds = 0, 0.0
        self._at = 0.0
        self._done: list[tuple[int, Change]] = []
        self._undone: list[tuple[int, Change]] = []

    def add(self, entry: Entry) -> None:
        """An entry was written."""
        if entry.undoes is not None:
            self._undone.append(self._done.pop())
        elif entry.redoes is not None:
            self._done.append(self._undone.pop())
        else:
            self._done.append((entry.sequence, entry.change))
            self._undone.clear()
        if 0 <= entry.at - self._at < BREAK:
            self.seconds += entry.at - self._at
        self._at, self.sequence = entry.at, entry.sequence

    def to_undo(self) -> tuple[int, Change] | None:
        """The last change that is not undone, with its number; None where there is none."""
        return self._done[-1] if self._done else None

    def to_redo(self) -> tuple[int, Change] | None:
        """The last change that was undone, with its number; None where there is none."""
        return self._undone[-1] if self._undone else None
