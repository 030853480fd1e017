"""The step at which training diverged, in a folder: what is needed to compute it again, and to look at it.

```
model.safetensors, config.json   the weights that the step started from, as a checkpoint
capture.pt                       the batch, the states of the optimisers, the settings, and where in the run it was
```

What a step draws at random follows from the seed and its number, so no generator has a state to save. Where the weights
themselves are not finite they are those after the step, and computing it again fails at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from setpiece.atomic import write_whole
from setpiece.errors import UsageError, WeightsError
from setpiece.records import Batch, Images, Targets

__all__ = ["Capture", "is_capture", "read_capture", "write_capture"]

FILE = "capture.pt"


@dataclass(frozen=True)
class Capture:
    """A step that was not finite.

    Attributes:
        settings: of the run, ready for JSON.
        batch: the share of the process that failed.
        files: the name of the image file of each image of the batch.
        step: optimiser steps done before.
        progress: share of the run that was done, in [0, 1].
        process: which of several.
        error: what was not finite, in words.
        cause: why that may be.
        made_with: see `provenance`.
    """

    settings: Mapping[str, Any]
    batch: Batch
    files: Sequence[str]
    step: int
    progress: float
    process: int
    error: str
    cause: str
    made_with: Mapping[str, Any]


def is_capture(folder: str | Path) -> bool:
    """Whether a folder holds a capture."""
    return (Path(folder) / FILE).is_file()


def write_capture(folder: Path, capture: Capture, state: Mapping[str, Any]) -> None:
    """Write what `read_capture` reads. The checkpoint beside it is written by `model.checkpoint.save`, before.

    Args:
        folder: is made where it is missing.
        capture: the step.
        state: of weights and optimisers, a state dict.

    Raises:
        OutputError: the folder cannot be written to.
    """
    write_whole(folder / FILE, partial(torch.save, {"step": asdict(capture), "state": state}))


def read_capture(folder: Path) -> tuple[Capture, dict[str, Any]]:
    """A captured step, and the state of weights and optimisers that it started from, on the CPU.

    Raises:
        UsageError: there is no capture.
        WeightsError: it cannot be read.
    """
    if not is_capture(folder):
        raise UsageError(f"{folder} is no capture: name the folder that a run wrote when it diverged.")
    try:
        read = torch.load(folder / FILE, map_location="cpu", weights_only=True)
        step = read["step"]
        batch = step.pop("batch")
        images, targets = Images(**batch["images"]), Targets(**batch["targets"])
        return Capture(batch=Batch(images, targets, batch["image_ids"]), **step), read["state"]
    except Exception as error:  # unpickling damaged bytes can raise nearly anything
        raise WeightsError(f"{folder / FILE} is damaged: it cannot be computed again.") from error
