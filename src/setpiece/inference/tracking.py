"""Detections of frames that follow each other -> which of them are the same object. Needs the package `trackers`."""

from __future__ import annotations

import importlib
from typing import Any, cast

import numpy as np

from setpiece.errors import UsageError
from setpiece.evaluation import sv

__all__ = ["Tracks", "require_trackers"]

UNTRACKED = -1  # of a detection that no track has, as the package says it


def require_trackers() -> Any:
    """The module `trackers`.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module("trackers")
    except ImportError as error:
        raise UsageError("--track needs the package trackers: pip install 'setpiece[track]'.") from error


class Tracks:
    """The objects of one video, followed by ByteTrack.

    Every detection may begin a track: what is too uncertain was left out by the threshold.

    Args:
        rate: frames per second.
        threshold: the least confidence that a detection has.

    Raises:
        UsageError: `trackers` is not installed.

    References:
        Zhang et al. 2022, arXiv 2110.06864 (ByteTrack).
    """

    def __init__(self, rate: float, threshold: float) -> None:
        self._tracker = require_trackers().ByteTrackTracker(
            frame_rate=rate, track_activation_threshold=threshold, high_conf_det_threshold=threshold
        )

    def follow(self, found: sv.Detections, seconds: float) -> sv.Detections:
        """The detections of the next frame, the most confident first, with `tracker_id`.

        Args:
            seconds: when the frame was; later than the one before. What moves is looked for where it must be by then.

        Returns:
            `tracker_id` -1 means: not followed yet. A track begins with the second frame of an object.
        """
        followed = self._tracker.update(found, timestamp=seconds)
        if not len(followed):  # without the names of the classes, where nothing was found
            found.tracker_id = np.full(len(found), UNTRACKED)
            return found
        order = np.argsort(-np.asarray(followed.confidence), kind="stable")
        return cast(sv.Detections, followed[order])
