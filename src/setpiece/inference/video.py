"""A video or a camera -> a video with boxes and lines of JSON: what `setpiece predict` does with them. Needs PyAV."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from setpiece.errors import DataError
from setpiece.evaluation import sv
from setpiece.inference.ahead import Ahead
from setpiece.inference.detects import Detects
from setpiece.inference.thresholds import Threshold, class_thresholds
from setpiece.inference.tracking import Tracks
from setpiece.inference.video_source import Frame, Video
from setpiece.inference.video_writer import JsonLines, VideoWriter, to_line

__all__ = ["Watched", "predict_video"]

MOST_FRAMES = 32  # in one call of the model, which makes batches of them for every core
MOST_BYTES = 128 * 2**20  # of the pixels of such a call; as many wait before it, and as many after it


@dataclass
class Watched:
    """How far a video was watched.

    Attributes:
        frames: that the model has seen.
        objects: that were found in them.
        dropped: frames of a camera that came while the model was busy.
        until: seconds of the video.
        length: seconds that the whole video has, where it is known.
        began: on the clock of `time.monotonic`.
    """

    frames: int = 0
    objects: int = 0
    dropped: int = 0
    until: float = 0.0
    length: float | None = None
    began: float = 0.0

    @property
    def rate(self) -> float:
        """Frames per second of work."""
        return self.frames / max(time.monotonic() - self.began, 1e-9)


def predict_video(
    model: Detects,
    source: str,
    *,
    threshold: Threshold,
    video: Path | None = None,
    lines: Path | None = None,
    track: bool = False,
    show: Callable[[Watched], object] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Watched:
    """Detect objects in a video, frame by frame; decoding, the model, and drawing with encoding go on at one time.

    Frames keep their times. Of a camera or a stream the model sees the newest frame, and those that came while it was
    busy are dropped. The memory that is used does not depend on the length of the video.

    Args:
        source: a file, the number of a camera, or an address.
        video: the video to write, without sound; its suffix is one of `video_writer.CONTAINERS`.
        lines: the file of JSON to write, a line per frame as soon as it is known, see `video_writer.to_line`; or
            `video_writer.STDOUT`.
        track: say which detections are the same object, see `tracking`.
        show: told after every frame.
        stopped: asked often; what was written until then is finished properly.

    Raises:
        BrokenPipeError: the lines go to a pipe that its reader closed, and no video is drawn.
        DataError: nothing of the video can be read, and nothing is written; or it is damaged, and what could be read
            is written.
        OutputError: a file cannot be written; there is no video then, and the lines before it stay.
        UsageError: `trackers` is not installed, or the threshold cannot be used.
    """
    least = float(class_thresholds(threshold, model).min())
    watched = Watched(began=time.monotonic())
    opened = Video(source)
    tracks = Tracks(float(opened.rate), least) if track else None
    watched.length = opened.length
    at_once = 1 if opened.live else max(1, min(MOST_FRAMES, MOST_BYTES // opened.frame_bytes))
    ahead = Ahead(opened.frames(), at_once, newest=opened.live)
    files = _Files(opened, video, lines, at_once)
    try:
        while frames := ahead.take(at_once, stopped):
            found = model.predict([frame.pixels for frame in frames], threshold=threshold)
            for frame, objects in zip(frames, found, strict=True):
                files.add(frame, objects if tracks is None else tracks.follow(objects, frame.time))
                watched.frames, watched.objects = watched.frames + 1, watched.objects + len(objects)
                watched.dropped, watched.until = ahead.dropped, frame.time
                show(watched)
                if stopped():  # a model that looks at tiles takes long for a frame
                    break
        files.finish()
    finally:
        ahead.close()
        files.abandon()
    if opened.damage and not stopped():
        raise DataError(
            f"{opened.name} is damaged ({opened.damage}): {watched.frames} frames, up to {watched.until:.1f} s, could "
            "be read and are written."
        )
    return watched


class _Files:
    """What is written of a video; the files are begun with its first frame."""

    def __init__(self, opened: Video, video: Path | None, lines: Path | None, most: int) -> None:
        self._opened, self._video, self._most = opened, video, most
        self._lines = None if lines is None else JsonLines(lines)
        self._writer: VideoWriter | None = None

    def add(self, frame: Frame, found: sv.Detections) -> None:
        if self._lines is not None:
            try:
                self._lines.add(to_line(frame, found))
            except BrokenPipeError:
                if self._video is None:
                    raise
                self._lines.close()
                self._lines = None  # the video is still wanted
        if self._video is not None:
            if self._writer is None:
                self._writer = VideoWriter(self._video, self._opened.time_base, self._opened.rate, self._most)
            self._writer.add(frame, found)

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.finish()

    def abandon(self) -> None:
        """Close the files; a video that is not finished is left out, and lines stay."""
        if self._writer is not None:
            self._writer.abandon()
        if self._lines is not None:
            self._lines.close()
