"""What whoever writes detections down needs of a model: a checkpoint, an exported model, or one that looks at tiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from setpiece.evaluation import sv
from setpiece.inference.pictures import Channels, Picture
from setpiece.inference.thresholds import DEFAULT, HasThresholds, Threshold

__all__ = ["Detects"]


@runtime_checkable
class Detects(HasThresholds, Protocol):
    """Detects objects in pictures, see `Detecting`."""

    def predict(
        self, pictures: Iterable[Picture], *, threshold: Threshold = DEFAULT, channels: Channels = "rgb"
    ) -> Iterator[sv.Detections]: ...
