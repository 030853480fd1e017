"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path


def write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name beside it and then rename it, so that no reader ever sees half of it.

    The file has the permissions that the user's umask gives, whatever `write` does about them. What `write` raises is
    passed on, and then the file is as it was before.

    Args:
        file: what to create or replace.
        write: writes the content to the path that it is given.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "metrics.json"
        >>> write_whole(file, lambda path: path.write_text("{}"))
        >>> file.read_text(), len(list(file.parent.iterdir()))
        ('{}', 1)
    """
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)  # of a process that was killed, perhaps under another umask
    try:
        unfinished.touch()
        permissions = stat.S_IMODE(unfinished.stat().st_mode)
        write(unfinished)
        unfinished.chmod(permissions)  # safetensors replaces the file by one that its owner alone can read
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)
