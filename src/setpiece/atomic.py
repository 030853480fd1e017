"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from setpiece.errors import OutputError

__all__ = ["write_whole", "written_whole"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_whole(
    file: Path, content: str | bytes | Callable[[BinaryIO], object], *, survives_power_cut: bool = False
) -> None:
    """Write a file under another name beside it and then rename it, so that no reader ever sees half of it.

    Folders above it are made where they are missing. The file has the permissions that the user's umask gives.

    Args:
        file: what to create or replace.
        content: text, which is written as UTF-8; bytes; or what writes to the open file that it is given.
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
    unfinished = _unfinished(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)  # of a process that was killed, perhaps under another umask
        try:
            with unfinished.open("wb") as opened:
                if callable(content):
                    content(opened)
                else:
                    opened.write(content.encode() if isinstance(content, str) else content)
                if survives_power_cut:
                    opened.flush()
                    os.fsync(opened.fileno())
            os.replace(unfinished, file)
            if survives_power_cut:
                _sync_folder(file.parent)
        finally:
            unfinished.unlink(missing_ok=True)
    except Exception as error:
        if (failure := _failure(error)) is None:
            raise
        raise _output_error(file, failure) from error


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path of the same name in a folder beside `path`, to write a file or a folder to; it replaces `path` at the end.

    A folder replaces a folder with all that is in it. A file replaces no folder.

    Raises:
        OutputError: it cannot be written. What was at `path` is as it was; so it is with whatever the block raises.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "model"
        >>> with written_whole(folder) as unfinished:
        ...     unfinished.mkdir()
        >>> folder.is_dir()
        True
    """
    unfinished = _unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(unfinished)
        unfinished.mkdir()
        try:
            yield unfinished / path.name
            if path.is_dir() and (unfinished / path.name).is_dir():  # a folder is not replaced in one operation
                _remove(path)
            os.replace(unfinished / path.name, path)
        finally:
            _remove(unfinished)
    except OSError as error:
        raise _output_error(path, error) from error


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
    hint = "make room" if failure.errno in _FULL else "check the folder and its permissions"
    return OutputError(f"{path} could not be written ({failure.strerror or failure}): {hint}.")
