"""The losses and metrics of a run as TensorBoard's events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from setpiece.errors import OutputError

__all__ = ["Events"]


class Events:
    """The event file of a run. A thread of TensorBoard's writes it, so leave the context before the folder goes.

    Args:
        folder: of the event files.
        step: steps done; what an earlier file of the run says of later ones is void.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, row: Mapping[str, object]) -> None:
        """Write every number of a row at its `step`.

        Raises:
            OutputError: an earlier one could not be written.
        """
        try:
            for name, value in row.items():
                if isinstance(value, float):
                    self._writer.add_scalar(name, value, row["step"])
        except OSError as error:
            raise self._failed(error) from error

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._writer.close()
        except OSError as failure:
            if error is None:  # else that is what matters
                raise self._failed(failure) from failure

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"TensorBoard's events could not be written to {self.folder} ({error.strerror or error}).")
