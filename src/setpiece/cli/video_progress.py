"""The progress of a video: a live line in a terminal, or a line every ten seconds in a log file."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from setpiece.inference.video import Watched

__all__ = ["VideoProgress"]

LOG_SECONDS = 10.0  # between lines where there is no terminal


class VideoProgress:
    """Shows how far a video was watched.

    Args:
        console: where to show it.
        name: of the video.
    """

    def __init__(self, console: Console, name: str) -> None:
        self._console, self._name = console, name
        self._live = Live(Text(""), console=console, refresh_per_second=4, transient=True)
        self._next_line = time.monotonic() + LOG_SECONDS

    def __enter__(self) -> VideoProgress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, watched: Watched) -> None:
        """The model has seen more frames."""
        line = f"{self._name}  {describe(watched)}"
        if self._console.is_terminal:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"))
        elif time.monotonic() >= self._next_line:
            self._console.print(line, soft_wrap=True, highlight=False)
            self._next_line = time.monotonic() + LOG_SECONDS


def describe(watched: Watched) -> str:
    """Frames, frames per second, objects, and how much of the video that is.

    Example:
        >>> from setpiece.inference.video import Watched
        >>> describe(Watched(frames=90, objects=12, until=3.0, length=12.0)).split("  ")[::2]
        ['25%', '12 objects']
    """
    share = f"{min(1.0, watched.until / watched.length):.0%}  " if watched.length else ""
    dropped = f"  {watched.dropped} dropped" if watched.dropped else ""
    return f"{share}frame {watched.frames} ({watched.rate:.1f} frames/s)  {watched.objects} objects{dropped}"
