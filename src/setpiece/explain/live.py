"""A run that may still be training -> what its page shows, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setpiece.errors import DataError, UsageError
from setpiece.explain.payload_training import training_payload
from setpiece.explain.timeline import read_timeline
from setpiece.runs import recording_files
from setpiece.runs.layout import RunFolder

__all__ = ["LiveRun"]


class LiveRun:
    """A run's folder, read again and again.

    Training replaces its files whole, but for `metrics.jsonl`, of which a line that is half written is not read.

    Args:
        path: the folder of a run, or a checkpoint in it.

    Raises:
        UsageError: there is no run.
    """

    def __init__(self, path: Path) -> None:
        folder = RunFolder.around(path)
        if folder is None:
            raise UsageError(f"{path} is no run: name the folder that setpiece train writes (--output).")
        self.folder = folder

    def state(self) -> dict[str, Any]:
        """How far the run is, and a `version` that changes whenever there is something new to show."""
        rows = [row for row in self.folder.metrics_rows() if "epoch" in row]
        last: Mapping[str, Any] = rows[-1] if rows else {}
        written = self._written()
        done, seconds = _share_done(self.folder.read_settings(), last), last.get("seconds")
        return {
            "version": "-".join(str(when) for when in written),
            "epoch": last.get("epoch", 0),
            "step": last.get("step", 0),
            "done": done,
            "left": None if not done or seconds is None else seconds / done * (1 - done),
            "ended": self.folder.ended(),
            "images_per_second": last.get("images_per_second"),
            "learning_rate": last.get("lr"),
            "age": max(0.0, time.time() - max(written) / 1e9),
        }

    def payload(self) -> dict[str, Any]:
        """The page, for `web.render`: the Training chapter of the report."""
        version = self.state()["version"]
        timeline, missing = read_timeline(self.folder.path)
        if not self.folder.metrics.is_file():
            missing = []  # of a run that has just begun everything is missing
        return {
            "kind": "watch",
            "title": self.folder.path.resolve().name,
            "version": version,
            "live": True,
            "classes": self._classes(),
            "training": None if timeline is None else training_payload(timeline),
            "missing": missing,
        }

    def _classes(self) -> list[str]:
        try:
            return recording_files.read_header(self.folder.recording).classes
        except DataError:
            return []

    def _written(self) -> list[int]:
        """When the settings, the lines and the recording were written, in nanoseconds."""
        files = [self.folder.settings, self.folder.metrics, self.folder.recording]
        return [file.stat().st_mtime_ns if file.exists() else 0 for file in files]


def _share_done(settings: Mapping[str, Any], last: Mapping[str, Any]) -> float | None:
    """Of the run, at the end of its latest epoch; None where the settings do not say how long it is."""
    if epochs := settings.get("epochs"):
        return min(1.0, last.get("epoch", 0) / epochs)
    if minutes := settings.get("minutes"):
        return min(1.0, last.get("seconds", 0.0) / (60 * minutes))
    return None
