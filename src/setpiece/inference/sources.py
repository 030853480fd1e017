"""What a user names -> image files, and videos, cameras and streams."""

from __future__ import annotations

import re
from collections.abc import Sequence
from glob import glob
from pathlib import Path

from setpiece.data.formats.files import is_image
from setpiece.errors import UsageError

__all__ = ["camera", "find_images", "find_sources", "is_live"]

VIDEO_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".3gp", ".ogv", ".h264", ".h265"),
}
LIVE = ("rtsp://", "rtsps://", "rtmp://", "udp://", "rtp://", "srt://")


def find_images(sources: Sequence[str]) -> list[Path]:
    """The image files that files, folders and globs name, each once, in the order given and sorted within a source.

    Raises:
        UsageError: a source names no image.
    """
    return list(dict.fromkeys(file for source in sources for file in _files(source)))


def find_sources(sources: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The images as `find_images` finds them, and the videos: files by their suffix, cameras, addresses.

    A folder stands for its images alone: a folder of photos may hold clips that nobody thinks of.

    Raises:
        UsageError: a source names nothing, or a folder has videos and no image.
    """
    images: list[Path] = []
    videos: list[str] = []
    for source in sources:
        if camera(source) is not None or "://" in source:
            videos.append(source)
            continue
        for file in _files(source):
            if file.suffix.lower() in VIDEO_SUFFIXES:
                videos.append(str(file))
            else:
                images.append(file)
    return list(dict.fromkeys(images)), list(dict.fromkeys(videos))


def camera(source: str) -> int | None:
    """The number of the camera that is meant; None where none is.

    Example:
        >>> camera("0"), camera("/dev/video2"), camera("clip.mp4")
        (0, 2, None)
    """
    matched = re.fullmatch(r"(?:/dev/video)?([0-9]{1,3})", source)
    return None if matched is None or Path(source).is_file() or Path(source).is_dir() else int(matched[1])


def is_live(source: str) -> bool:
    """Whether it is a camera or a stream, whose frames are lost if nobody takes them."""
    return camera(source) is not None or source.startswith(LIVE)


def _files(source: str) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        files = sorted(path.iterdir())
        found = [file for file in files if is_image(file)]
        clips = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
        if clips and not found:
            raise UsageError(
                f"There is no image at {source}, but videos: name them, as in '{path}/*{clips[0].suffix}'."
            )
    elif path.is_file():
        found = [path]
    else:
        found = sorted(file for file in map(Path, glob(source, recursive=True)) if file.is_file())
    if not found:
        what = "video" if path.suffix.lower() in VIDEO_SUFFIXES else "image"
        raise UsageError(f"There is no {what} at {source}.")
    return found
