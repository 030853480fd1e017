"""The trained weights that the package holds: what presets start training from, see docs/head-start.md."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from setpiece.errors import WeightsError
from setpiece.model.checkpoint import Checkpoint, load
from setpiece.model.presets import presets

__all__ = ["HeadStart", "head_starts", "load_head_start"]

FOLDER = Path(__file__).with_name("head_starts")


class HeadStart(NamedTuple):
    """Weights to start training from. They find objects, and know no class of the user's.

    Attributes:
        file: safetensors in float16, with `config.json` beside it.
        sha256: of that file.
        card: the page of the documentation that says how it was made.
    """

    file: Path
    sha256: str
    card: str


def head_starts() -> dict[str, HeadStart]:
    """The packaged weights by the name of the preset that starts from them."""
    return {
        "sprint-n": HeadStart(
            FOLDER / "sprint-n" / "model.safetensors",
            "02472396b564653315819c4c4e5b53572aa03969a3727d2260377adeaa15de03",
            "docs/head-start.md",
        ),
    }


def load_head_start(preset: str, classes: Sequence[str] = ("object",)) -> Checkpoint:
    """The packaged weights of a preset, as a checkpoint with the preset's input size.

    Args:
        preset: its name.
        classes: to be trained on. Each starts as an object of no class in particular.

    Raises:
        WeightsError: the file is not the one that was packaged.
    """
    start = head_starts()[preset]
    if not start.file.is_file() or hashlib.sha256(start.file.read_bytes()).hexdigest() != start.sha256:
        raise WeightsError(f"{start.file} is missing or was changed: install setpiece again, or train from scratch.")
    checkpoint = load(start.file)
    checkpoint.model.change_classes([None] * len(classes))
    return replace(checkpoint, size=presets()[preset].size, classes=tuple(classes))
