"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from setpiece.errors import OutputError

__all__ = ["FULL", "is_special", "through_links", "write_whole", "written_whole"]

Content = str | bytes | Callable[[BinaryIO], object]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_whole(file: Path, content: Content, *, survives_power_cut: bool = False) -> None:
    """Write a file under another name beside it and then rename it, so that no reader ever sees half of it.

    Folders above it are made where they are missing. The file has the permissions that the user's umask gives. A link
    stays, and the file that it leads to is written. What is no file of a disk, as a pipe or a device, is written to.

    Args:
        file: what to create or replace.
        content: text, which is written as UTF-8, with "?" for what is no character, as in names that are not UTF-8;
            bytes; or what writes to the open file that it is given.
        survives_power_cut: wait until the disk has it, before the rename and after it. That takes some milliseconds.

    Raises:
        OutputError: it cannot be written, as on a full disk. The file is then as it was before; so it is with whatever
            else `content` raises.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "run" / "metrics.json"
        >>> write_whole(file, "{}")
        >>> file.read_text(), len(list(file.parent.iterdir()))
        ('{}', 1)
    """
    try:
        if is_special(file):
            with file.open("wb") as opened:
                _write(opened, content)
        else:
            _write_and_rename(through_links(file), content, survives_power_cut)
    except Exception as error:
        if (failure := _failure(error)) is None:
            raise
        raise _output_error(file, failure) from error


def is_special(path: Path) -> bool:
    """Whether a pipe, a device or a socket is there, itself or at the end of links: it is never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing is there
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def through_links(path: Path) -> Path:
    """What a link leads to, also where nothing is there yet; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path of the same name in a folder beside `path`, to write a file or a folder to; it replaces `path` at the end.

    A folder replaces a folder with all that is in it. A file replaces no folder. A link stays, and what it leads to is
    replaced.

    Raises:
        OutputError: it cannot be written, or a pipe or a device is there. What was at `path` is as it was; so it is
            with whatever the block raises.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "model"
        >>> with written_whole(folder) as unfinished:
        ...     unfinished.mkdir()
        >>> folder.is_dir()
        True
    """
    if is_special(path):
        raise OutputError(f"{path} could not be written (it is no file and no folder): choose another name.")
    try:
        target = through_links(path)
        unfinished = _unfinished(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(unfinished)
        unfinished.mkdir()
        try:
            yield unfinished / path.name
            if target.is_dir() and (unfinished / path.name).is_dir():  # a folder is not replaced in one operation
                _remove(target)
            os.replace(unfinished / path.name, target)
        finally:
            _remove(unfinished)
    except OSError as error:
        raise _output_error(path, error) from error


def _write_and_rename(file: Path, content: Content, survives_power_cut: bool) -> None:
    unfinished = _unfinished(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished.unlink(missing_ok=True)  # of a process that was killed, perhaps under another umask
    try:
        with unfinished.open("wb") as opened:
            _write(opened, content)
            if survives_power_cut:
                opened.flush()
                os.fsync(opened.fileno())
        os.replace(unfinished, file)
        if survives_power_cut:
            _sync_folder(file.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(opened: BinaryIO, content: Content) -> None:
    if callable(content):
        content(opened)
    else:
        opened.write(content.encode("utf-8", "replace") if isinstance(content, str) else content)


def _sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.unfinished")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _failure(error: BaseException | None) -> OSError | None:
    """The operating system's error behind another: torch.save raises one of its own on top of the file's."""
    while error is not None and not isinstance(error, OSError):
        error = error.__context__
    return error


def _output_error(path: Path, failure: OSError) -> OutputError:
    hint = "make room" if failure.errno in FULL else "check the folder and its permissions"
    return OutputError(f"{path} could not be written ({failure.strerror or failure}): {hint}.")
