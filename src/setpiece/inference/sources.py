"""What a user names -> image files, and videos, cameras and streams."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from setpiece.data.formats.files import is_hidden, is_image
from setpiece.errors import UsageError

__all__ = [
    "UNREAD_SUFFIXES",
    "VIDEO_SUFFIXES",
    "camera",
    "find_images",
    "find_sources",
    "is_live",
    "left_out",
    "names_several",
    "require_no_address",
]

VIDEO_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".3gp", ".ogv", ".h264", ".h265"),
}
# Of photos, by cameras and programs that Pillow does not read.
UNREAD_SUFFIXES = {
    *(".heic", ".heif", ".hif", ".jxl", ".svg", ".psd", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw"),
    *(".raf", ".rw2", ".orf", ".pef", ".srw", ".x3f"),
}
LIVE = ("rtsp://", "rtsps://", "rtmp://", "udp://", "rtp://", "srt://")


def find_images(sources: Sequence[str]) -> list[Path]:
    """The image files that files, folders and globs name, each once, in the order given and sorted within a source.

    A folder stands for its images; where it has none, for those in folders below it.

    Raises:
        UsageError: a source names no image, or is an address.
    """
    for source in sources:
        require_no_address(source)
    return list(dict.fromkeys(file for source in sources for file in _files(source)))


def find_sources(sources: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The images as `find_images` finds them, and the videos: files by their suffix, cameras, addresses.

    A folder stands for its images alone: a folder of photos may hold clips that nobody thinks of.

    Raises:
        UsageError: a source names nothing, a folder has videos and no image, or an address is that of an image.
    """
    images: list[Path] = []
    videos: list[str] = []
    for source in sources:
        if camera(source) is not None or "://" in source:
            if not is_live(source) and is_image(Path(re.sub(r"[?#].*", "", source))):
                require_no_address(source)
            videos.append(source)
            continue
        for file in _files(source):
            if file.suffix.lower() in VIDEO_SUFFIXES:
                videos.append(str(file))
            else:
                images.append(file)
    return list(dict.fromkeys(images)), list(dict.fromkeys(videos))


def require_no_address(source: str | Path) -> None:
    """Refuse the address of an image.

    Raises:
        UsageError: it is one.
    """
    if address := re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?:[^/@]*@)?(.*)", str(source)):
        scheme, rest = address.groups()  # of a `Path`, whose second slash is gone; without user and password
        raise UsageError(f"{scheme}://{rest} is an address, and images are not fetched: download it first.")


def names_several(source: str | Path) -> bool:
    """Whether it is a folder, or a glob and no file.

    Example:
        >>> names_several("photos/*.jpg"), names_several("photos/a.jpg")
        (True, False)
    """
    return Path(source).is_dir() or (has_magic(str(source)) and not Path(source).exists())


def left_out(sources: Sequence[str]) -> list[str]:
    """What lies in the folders that are named and is not looked at, in a sentence for each folder and reason."""
    said = []
    for path in (path for path in map(Path, sources) if path.is_dir()):
        below = _below(path)
        deeper = [file for file in below if is_image(file) and file.parent != path]
        if deeper and any(is_image(file) for file in path.iterdir()):
            said.append(
                f"{len(deeper)} image{'s' if len(deeper) != 1 else ''} in folders below {path} {_are(deeper)} left "
                f"out, such as {deeper[0]}: name these folders, or '{path}/**/*{deeper[0].suffix}'."
            )
        unread = [file for file in below if file.suffix.lower() in UNREAD_SUFFIXES]
        if unread:
            kinds = ", ".join(sorted({file.suffix.lower() for file in unread}))
            said.append(
                f"{len(unread)} file{'s' if len(unread) != 1 else ''} in {path} of a kind that is not read ({kinds}) "
                f"{_are(unread)} left out, such as {unread[0].name}: convert to JPEG or PNG."
            )
    return said


def _are(files: Sequence[Path]) -> str:
    return "is" if len(files) == 1 else "are"


def _below(folder: Path) -> list[Path]:
    """The files in a folder and below it, without what is hidden or in folders that cannot be read."""
    found: list[Path] = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(Path(name))]
        found += [file for file in (Path(here, name) for name in names) if not is_hidden(file)]
    return sorted(found)


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
        found = [file for file in files if is_image(file)] or [file for file in _below(path) if is_image(file)]
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
        raise UsageError(" ".join([f"There is no {what} at {source}.", *left_out([source])]))
    return found
