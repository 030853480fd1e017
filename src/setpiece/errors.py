"""Every error that Setpiece raises on purpose, and the exit code that each one ends the command with.

```
SetpieceError                 1   anything below; its message is one sentence that a person can act on
├── UsageError                2   the request is wrong: a missing path, an unknown preset, a bad option
├── DataError                 1   a data set, an annotation or an image cannot be read
├── LoadingError              1   a process that loads images was killed
├── OutOfMemoryError          1   a step does not fit into memory
├── OutputError               1   a file cannot be written: a full disk, a folder without permission
├── WeightsError              1   a checkpoint cannot be read, fetched, or does not fit the model
├── ExportError               1   an exported model does not detect what the model detects
├── HubError                  1   the hub cannot be reached, or does not take what is published
├── StoppedError      130, 143   Ctrl-C or SIGTERM ended a run, whose state is saved
└── NonFiniteError            1   a loss, a gradient or a weight is NaN or infinite
    └── NonFiniteCostError    1   a prediction or a cost is; names layer, image and query
```
"""

__all__ = [
    "DataError",
    "ExportError",
    "HubError",
    "LoadingError",
    "NonFiniteCostError",
    "NonFiniteError",
    "OutOfMemoryError",
    "OutputError",
    "SetpieceError",
    "StoppedError",
    "UsageError",
    "WeightsError",
]


class SetpieceError(Exception):
    """Base of all errors below. `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(SetpieceError):
    """The request itself cannot be met as written."""

    exit_code = 2


class DataError(SetpieceError):
    """A data set, an annotation file or an image cannot be read."""


class LoadingError(SetpieceError):
    """A process that loads images was killed."""


class OutOfMemoryError(SetpieceError):
    """A training step does not fit into memory."""


class OutputError(SetpieceError):
    """A file cannot be written."""


class WeightsError(SetpieceError):
    """A checkpoint cannot be read, fetched, or does not fit the model."""


class ExportError(SetpieceError):
    """An exported model does not detect what the model detects."""


class HubError(SetpieceError):
    """The Hugging Face hub cannot be reached, or does not take what is published."""


class StoppedError(SetpieceError):
    """A signal ended a run before its end; its state is saved. As in a shell, the exit code is 128 + the signal."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal


class NonFiniteError(SetpieceError):
    """A loss, a gradient or a weight is NaN or infinite. `index` says in which layer, and is empty where in none."""

    def __init__(self, message: str, index: tuple[int, ...]) -> None:
        super().__init__(message)
        self.index = index


class NonFiniteCostError(NonFiniteError):
    """A logit, a box or a matching cost is NaN or infinite.

    `index` says where: layer, image in the batch, and then query (of the outputs) or target and query (of a cost).
    """
