"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from setpiece.errors import OutputError

__all__ = ["write_whole"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_whole(file: Path, content: str | bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file under another name beside it and then rename it, so that no reader ever sees half of it.

    Folders above it are made where they are missing. The file has the permissions that the user's umask gives.

    Args:
        file: what to create or replace.
        content: text, which is written as UTF-8; bytes; or what writes to the open file that it is given.

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
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)  # of a process that was killed, perhaps under another umask
        try:
            with unfinished.open("wb") as opened:
                if callable(content):
                    content(opened)
                else:
                    opened.write(content.encode() if isinstance(content, str) else content)
            os.replace(unfinished, file)
        finally:
            unfinished.unlink(missing_ok=True)
    except Exception as error:
        failure: BaseException | None = error
        while failure is not None and not isinstance(failure, OSError):
            failure = failure.__context__  # torch.save raises an error of its own on top of the file's
        if failure is None:
            raise
        hint = "make room" if failure.errno in _FULL else "check the folder and its permissions"
        raise OutputError(f"{file} could not be written ({failure.strerror or failure}): {hint}.") from error
