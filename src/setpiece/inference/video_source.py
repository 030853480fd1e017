"""A video file, a camera or a stream -> frames: upright RGB pixels with the time of each. Needs PyAV."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from setpiece.errors import DataError, UsageError
from setpiece.inference.sources import camera, is_live

try:
    import av
except ModuleNotFoundError as error:
    raise UsageError("Videos and cameras need PyAV: pip install 'setpiece[video]'.") from error

__all__ = ["Frame", "Video", "shown_name"]

TIMEOUTS = (10.0, 15.0)  # seconds, to open a stream and to read from it
USUAL_RATE = Fraction(25)  # frames per second, where a video does not say
HIGHEST_RATE = 1000  # some files give the ticks of their clock instead
OVER_HTTP = ("mpjpeg", "hls")  # of what comes over HTTP, where it says nothing of a length
FROM_ZERO = ("matroska,webm", "asf")  # their duration counts from time 0, also where the first frame comes later
MISSING = 3  # frames: a file that ends earlier than it says by more was cut off


@dataclass(frozen=True)
class Frame:
    """A picture of a video.

    Attributes:
        number: from 0, of all frames that could be decoded.
        pts: its time in ticks of the video's `time_base`, from the start of the video; it grows from frame to frame.
        time: the same in seconds.
        pixels: upright, RGB.
    """

    number: int
    pts: int
    time: float
    pixels: UInt8[np.ndarray, "H W 3"]


class Video:
    """A video that is open until its frames were read.

    Args:
        source: a file, a camera's number, or an address. What `sources.is_live` names is live, and so are MJPEG over
            HTTP, as cameras send it, and HLS that does not say how long it is.

    Attributes:
        name: for people, without the password of an address.
        live: whether frames come as they happen, and are lost if nobody takes them.
        time_base: seconds of a tick.
        rate: frames per second, on the average.
        length: seconds that the file says it has; None where it does not say.
        frame_bytes: of the pixels of a frame.

    Raises:
        DataError: it cannot be opened, or has no picture.
    """

    def __init__(self, source: str) -> None:
        self.name = shown_name(source)
        if os.path.isfile(source) and not os.path.getsize(source):
            raise DataError(f"{self.name} is empty (0 bytes): copy or record it again.")
        try:
            self._container = _open(source)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise DataError(f"{self.name} cannot be {_advice(source, _reason(error))}") from error
        if not self._container.streams.video:
            self._container.close()
            raise DataError(f"{self.name} has no picture: give a video.")
        self._stream = self._container.streams.video[0]
        self.live = is_live(source) or (self._container.format.name in OVER_HTTP and self._container.duration is None)
        if not self.live:
            self._stream.thread_type = "AUTO"  # several frames at a time; a camera's would come late
        self.time_base = self._stream.time_base or Fraction(1, 90000)
        rate = self._stream.average_rate or self._stream.guessed_rate or USUAL_RATE
        self.rate = rate if 0 < rate <= HIGHEST_RATE else USUAL_RATE
        self.length = None if self.live else self._length()
        self.frame_bytes = 3 * max(1, self._stream.width * self._stream.height)
        self._start: int | None = None  # in ticks, of what counts as time 0
        self._damaged = 0  # packets that could not be decoded
        self._patched = 0  # frames of which the decoder made up a part
        self._ended = ""  # why there is no more to read
        self._last: int | None = None  # pts of the latest frame
        self._until = 0  # where it ends

    def frames(self) -> Iterator[Frame]:
        """Every frame that can be decoded; `damage` says afterwards what could not. To be called once.

        Raises:
            DataError: there is none.
        """
        number = 0
        try:
            for decoded in self._decoded():
                pts = self._grown(decoded)
                self._last, self._until = pts, pts + (decoded.duration or self._step())
                self._patched += decoded.is_corrupt
                yield Frame(number, pts, float(pts * self.time_base), _upright(decoded))
                number += 1
        finally:
            self._container.close()  # by the thread that reads: another might close it in the middle of a read
        if not number:
            why = self._ended or "no frame of it can be decoded"
            raise DataError(f"{self.name} cannot be read as a video ({why}): is it damaged?")

    @property
    def damage(self) -> str:
        """What is wrong with the video in a few words, once its frames were read; empty where nothing is."""
        if self._ended:
            return self._ended
        until = float(self._until * self.time_base)
        if self.length is not None and until < self.length - float(MISSING / self.rate):
            return f"it ends after {until:.1f} of {self.length:.1f} s"
        if self._damaged:
            return f"{_count(self._damaged, 'packet')} could not be decoded"
        return f"{_count(self._patched, 'frame')} could not be decoded whole" if self._patched else ""

    def _decoded(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError) as error:
                self._ended = _reason(error)
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.EOFError:  # of a decoder that was emptied already
                return
            except av.FFmpegError:  # what follows may be whole again
                self._damaged += 1
            else:
                yield from frames

    def _grown(self, frame: av.VideoFrame) -> int:
        """The time of a frame in ticks since the start, later than that of the frame before."""
        if frame.pts is None:  # as in a file of nothing but H.264
            return 0 if self._last is None else self._last + self._step()
        ticks = round(frame.pts * (frame.time_base or self.time_base) / self.time_base)
        if self._start is None:
            begins = None if self.live else self._container.start_time
            self._start = ticks if begins is None else round(Fraction(begins, av.time_base) / self.time_base)
        if self._last is None or ticks - self._start > self._last:
            return ticks - self._start
        if self._last - (ticks - self._start) > 1 / self.time_base:  # the clock of a camera was set back
            self._start = ticks - self._last - self._step()
            return self._last + self._step()
        return self._last + 1

    def _step(self) -> int:
        return max(1, round(1 / self.rate / self.time_base))

    def _length(self) -> float | None:
        first = Fraction(self._container.start_time or 0, av.time_base)
        from_zero = self._container.format.name in FROM_ZERO
        if self._stream.duration is not None:
            begins = 0 if from_zero else self._stream.start_time or 0
            length = (begins + self._stream.duration) * self.time_base - first
        elif self._container.duration is not None and len(self._container.streams) == 1:
            length = Fraction(self._container.duration, av.time_base) - (first if from_zero else 0)
        else:
            return None
        return float(length) if length > 0 else None


def shown_name(source: str) -> str:
    """A source as it can be shown: an address without user and password.

    Example:
        >>> shown_name("rtsp://me:secret@10.0.0.7/door"), shown_name("0"), shown_name("clip.mp4")
        ('rtsp://10.0.0.7/door', 'camera 0', 'clip.mp4')
    """
    number = camera(source)
    return re.sub(r"(?<=://)[^/]*@", "", source) if number is None else f"camera {number}"


def _count(number: int, thing: str) -> str:
    return f"one {thing}" if number == 1 else f"{number} {thing}s"


def _open(source: str) -> av.container.InputContainer:
    number = camera(source)
    if number is not None:
        return av.open(f"/dev/video{number}", format="v4l2")
    if "://" in source:
        options = {"rtsp_transport": "tcp"} if source.startswith("rtsp") else {}  # with UDP lost packets smear
        container = av.open(source, options=options, timeout=TIMEOUTS)
        if container.format.name != "mpjpeg":
            return container
        container.close()  # its pictures have no times: they get those at which they come
        return av.open(source, options={"use_wallclock_as_timestamps": "1"}, timeout=TIMEOUTS)
    return av.open(str(Path(source)))


def _upright(frame: av.VideoFrame) -> UInt8[np.ndarray, "H W 3"]:
    pixels = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4  # counterclockwise, as NumPy turns
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _reason(error: Exception) -> str:
    reason: str | None = None
    with suppress(AttributeError):
        reason = error.strerror  # type: ignore[attr-defined]
    return (reason or str(error) or type(error).__name__).splitlines()[0]


def _advice(source: str, reason: str) -> str:
    if camera(source) is not None:
        return f"opened ({reason}): is it connected, and does no other program use it?"
    if "://" in source:
        return f"read ({reason}): check the address, and that its sender runs."
    return f"read as a video ({reason}): is it damaged, or another kind of file?"
