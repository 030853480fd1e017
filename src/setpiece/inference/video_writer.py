"""Frames with their detections -> a video with boxes, and lines of JSON. Needs PyAV."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from io import FileIO
from pathlib import Path
from queue import Full, Queue
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from jaxtyping import UInt8
from PIL import Image, ImageOps

from setpiece.atomic import write_whole
from setpiece.errors import OutputError, UsageError
from setpiece.evaluation import draw, sv
from setpiece.inference.video_source import Frame

__all__ = ["CONTAINERS", "STDOUT", "JsonLines", "VideoWriter", "is_stdout", "to_line"]

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
STDOUT = Path("-")  # where `JsonLines` writes to the standard output
ENCODER = "libx264"
ENCODING = {"preset": "veryfast", "crf": "21"}  # looks as the original does; a slower preset makes smaller files
WAIT = 0.2  # seconds after which a full queue is looked at again

Drawn = tuple[Frame, sv.Detections]


class AbandonedError(Exception):
    """Raised within the thread of a `VideoWriter`: what was written is not wanted."""


class VideoWriter:
    """A video of frames with their labelled boxes, drawn and encoded by a thread of its own; H.264, without sound.

    It is there whole or not at all, see `atomic`. A picture of odd sides gets a row or a column more, since H.264
    stores colours for every two; one under 640 pixels is enlarged, as `draw` does.

    Args:
        file: what to write; its suffix is one of `CONTAINERS`.
        time_base: seconds of a tick of the frames' `pts`.
        rate: frames per second, on the average.
        most: frames that wait to be drawn.

    Raises:
        UsageError: this PyAV cannot encode H.264.
    """

    def __init__(self, file: Path, time_base: Fraction, rate: Fraction, most: int) -> None:
        if ENCODER not in av.codecs_available:
            raise UsageError("This PyAV has no H.264 encoder (libx264): install the wheel of av from PyPI.")
        self.file, self.time_base, self.rate = file, time_base, rate
        self._waiting: Queue[Drawn | None] = Queue(most)
        self._abandoned = False
        self._pool = ThreadPoolExecutor(1)
        self._written: Future[None] = self._pool.submit(write_whole, file, self._encode)

    def add(self, frame: Frame, found: sv.Detections) -> None:
        """Draw a frame; waits while many others do.

        Raises:
            OutputError: an earlier frame could not be written.
        """
        self._put((frame, found))

    def finish(self) -> None:
        """Write what is left, and give the file its name.

        Raises:
            OutputError: it could not be written.
        """
        self._put(None)
        self._pool.shutdown()
        self._written.result()

    def abandon(self) -> None:
        """Leave no file; nothing happens if there is one already."""
        self._abandoned = True
        while not self._written.done():
            try:
                self._waiting.put(None, timeout=WAIT)
            except Full:
                continue
            break
        self._pool.shutdown()

    def _put(self, item: Drawn | None) -> None:
        while True:
            if self._written.done():
                self._written.result()  # raises what went wrong: it ends by itself for no other reason
            try:
                return self._waiting.put(item, timeout=WAIT)
            except Full:
                continue

    def _encode(self, opened: BinaryIO) -> None:
        kind = CONTAINERS[self.file.suffix.lower()]
        with av.open(opened, "w", format=kind) as container:
            stream = cast(av.VideoStream, container.add_stream(ENCODER, rate=self.rate, options=ENCODING))
            size = None
            for frame, found in self._drawn():
                picture = _even(draw(frame.pixels, found))
                if size is None:
                    size = stream.width, stream.height = picture.shape[1], picture.shape[0]
                    stream.pix_fmt = "yuv420p"
                    stream.codec_context.time_base = self.time_base
                    stream.codec_context.color_range = ColorRange.MPEG
                    stream.codec_context.colorspace = Colorspace.ITU709
                    stream.codec_context.color_primaries = ColorPrimaries.BT709
                    stream.codec_context.color_trc = ColorTrc.BT709
                container.mux(stream.encode(self._to_frame(picture, size, frame.pts)))
            container.mux(stream.encode())

    def _drawn(self) -> Iterator[Drawn]:
        while (item := self._waiting.get()) is not None and not self._abandoned:
            yield item
        if self._abandoned:
            raise AbandonedError

    def _to_frame(self, picture: UInt8[np.ndarray, "H W 3"], size: tuple[int, int], pts: int) -> av.VideoFrame:
        if picture.shape[1::-1] != size:  # a stream that changed its size
            picture = np.asarray(ImageOps.pad(Image.fromarray(picture), size))
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = pts, self.time_base
        return frame


def is_stdout(file: Path) -> bool:
    """Whether it means the standard output: `STDOUT`, or any path of what that is, as /dev/stdout."""
    try:
        return file == STDOUT or os.path.samestat(file.stat(), os.fstat(1))
    except OSError:  # there is nothing, or no standard output
        return False


class JsonLines:
    """A file of lines that can be read at any time: each is there as soon as it is written, and whole.

    Args:
        file: replaced with the first line, not before; `STDOUT` and pipes get the lines one after another.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._opened: BinaryIO | None = None
        self._whole = 0  # bytes

    def add(self, line: dict[str, Any]) -> None:
        """Write a line.

        Raises:
            BrokenPipeError: it is a pipe, and its reader closed it.
            OutputError: it cannot be written. The lines before it stay.
        """
        content = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        try:
            if self._opened is None:
                self._opened = self._open()
            rest = memoryview(content)
            while rest:  # a full disk takes a part, and so may a pipe
                rest = rest[self._opened.write(rest) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._opened is not None:
                with suppress(OSError):  # a pipe has no end to cut off
                    self._opened.truncate(self._whole)
            name = "The standard output" if self.file == STDOUT else self.file
            reason = error.strerror or error
            raise OutputError(
                f"{name} could not be written ({reason}): make room, or check the folder and its permissions."
            ) from error
        self._whole += len(content)

    def close(self) -> None:
        """Nothing more will be written."""
        if self._opened is not None:
            self._opened.close()

    def _open(self) -> BinaryIO:
        if self.file == STDOUT:
            opened = cast(BinaryIO, FileIO(1, "w", closefd=False))
            self._whole = opened.seek(0, os.SEEK_END) if opened.seekable() else 0  # of a file that is appended to
            return opened
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return cast(BinaryIO, self.file.open("wb", buffering=0))


def to_line(frame: Frame, found: sv.Detections) -> dict[str, Any]:
    """What is written about a frame.

    Example:
        >>> frame = Frame(3, 300, 0.1, np.zeros((4, 4, 3), np.uint8))
        >>> found = sv.Detections(np.array([[1.0, 2, 3, 4]]), confidence=np.array([0.75]), class_id=np.array([0]))
        >>> found.data["class_name"] = np.array(["cat"])
        >>> to_line(frame, found)
        {'frame': 3, 'time': 0.1, 'detections': [{'box': [1.0, 2.0, 3.0, 4.0], 'score': 0.75, 'class': 'cat'}]}
    """
    objects: list[dict[str, Any]] = []
    for index in range(len(found)):
        objects.append(
            {
                "box": [round(float(edge), 2) for edge in found.xyxy[index]],
                "score": round(float(np.asarray(found.confidence)[index]), 4),
                "class": str(found.data["class_name"][index]),
            }
        )
        if found.tracker_id is not None:
            track = int(found.tracker_id[index])
            objects[-1]["track"] = None if track < 0 else track
    return {"frame": frame.number, "time": round(frame.time, 6), "detections": objects}


def _even(picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
