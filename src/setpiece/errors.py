"""Every error that Setpiece raises on purpose, and the exit code that each one ends the command with.

```
SetpieceError                 1   anything below; its message is one sentence that a person can act on
├── UsageError                2   the request is wrong: a missing path, an unknown preset, a bad option
├── DataError                 1   a data set, an annotation or an image cannot be read
├── OutputError               1   a file cannot be written: a full disk, a folder without permission
├── WeightsError              1   a checkpoint cannot be read, fetched, or does not fit the model
└── NonFiniteCostError        1   the model produced NaN or infinity; names layer, image and query
```
"""

__all__ = ["DataError", "NonFiniteCostError", "OutputError", "SetpieceError", "UsageError", "WeightsError"]


class SetpieceError(Exception):
    """Base of all errors below. `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(SetpieceError):
    """The request itself cannot be met as written."""

    exit_code = 2


class DataError(SetpieceError):
    """A data set, an annotation file or an image cannot be read."""


class OutputError(SetpieceError):
    """A file cannot be written."""


class WeightsError(SetpieceError):
    """A checkpoint cannot be read, fetched, or does not fit the model."""


class NonFiniteCostError(SetpieceError):
    """A logit, a box or a matching cost is NaN or infinite.

    `index` says where: layer, image in the batch, and then query (of the outputs) or target and query (of a cost).
    """

    def __init__(self, message: str, index: tuple[int, ...]) -> None:
        super().__init__(message)
        self.index = index
