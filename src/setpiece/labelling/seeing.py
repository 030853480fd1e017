"""What a detector sees in photos: boxes to suggest, and features that say which photos are alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from setpiece.data.fitting import alike
from setpiece.errors import DataError
from setpiece.evaluation import sv
from setpiece.inference.detections import to_detections
from setpiece.inference.fast import fast
from setpiece.inference.pictures import to_input
from setpiece.inference.predictor import Predictor
from setpiece.input_size import InputSize
from setpiece.model.checkpoint import Checkpoint

__all__ = ["Seeing", "Seen"]

LEAST = 0.05  # confidence of what is suggested
ONE_OBJECT = 0.7  # IoU from which on two predictions are of one object, whatever their classes: the better one is kept


@dataclass(frozen=True)
class Seen:
    """What is seen in a photo.

    Attributes:
        detections: of at least 0.05, one for each object, the most confident first.
        features: the means of the last map of the CNN.
    """

    detections: sv.Detections
    features: Float[np.ndarray, " D"]


class Seeing:
    """A detector that looks at photos.

    Args:
        checkpoint: of the detector; it stays as it is.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._predictor = Predictor(fast(checkpoint))

    def look(self, photos: Sequence[tuple[Path, tuple[int, int]]]) -> list[Seen | None]:
        """What is in each photo, of which the (height, width) is known; None where one cannot be read."""
        size = self._predictor.checkpoint.size
        pictures = [_read(path, size) for path, _ in photos]
        readable = [i for i, picture in enumerate(pictures) if picture is not None]
        found: list[Seen | None] = [None] * len(photos)
        for group in alike([photos[i][1] for i in readable], size):
            indices = [readable[i] for i in group]
            seen = self._look([(picture, photos[i][1]) for i in indices if (picture := pictures[i]) is not None])
            for i, each in zip(indices, seen, strict=True):
                found[i] = each
        return found

    def _look(self, pictures: list[tuple[UInt8[np.ndarray, "_ _ 3"], tuple[int, int]]]) -> Iterator[Seen]:
        checkpoint = self._predictor.checkpoint
        images = self._predictor.preprocess(*zip(*pictures, strict=True))
        with _last_map(checkpoint.model.backbone) as maps:
            outputs = self._predictor.outputs(images)
        features = maps[-1].float().mean((2, 3)).cpu().numpy()
        found = to_detections(
            outputs, images.original_sizes, checkpoint.classes, checkpoint.model.form, threshold=LEAST
        )
        for detections, of_image in zip(found, features, strict=True):
            yield Seen(detections.with_nms(ONE_OBJECT, class_agnostic=True), of_image)


@contextmanager
def _last_map(backbone: nn.Module) -> Iterator[list[Tensor]]:
    """The last map that a CNN gives in each forward pass meanwhile."""
    maps: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Tensor | Sequence[Tensor]) -> None:
        maps.append(output if isinstance(output, torch.Tensor) else output[-1])

    hook = backbone.register_forward_hook(keep)
    try:
        yield maps
    finally:
        hook.remove()


def _read(path: Path, size: InputSize) -> UInt8[np.ndarray, "_ _ 3"] | None:
    try:
        return to_input(path, size)[0]
    except DataError:
        return None
