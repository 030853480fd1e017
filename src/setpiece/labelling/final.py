"""What is known of the long training: the trainer writes it, and the server reads it when it starts."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["FINAL", "final_view", "read_final"]

FINAL = "final.json"
SHOWN = ("id", "state", "done", "folder", "said", "ap")


def read_final(folder: Path) -> dict[str, Any] | None:
    """Of a folder `training`: "id", "minutes", and what `final_view` shows; None where there was no long training."""
    with suppress(OSError, ValueError):
        about: dict[str, Any] = json.loads((folder / FINAL).read_bytes())
        return about
    return None


def final_view(about: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the page shows of it."""
    return None if about is None else {name: about[name] for name in SHOWN}
