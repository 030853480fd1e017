"""The one forward path from images to predictions: training, evaluation, explanation and users all go through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn

from setpiece.data.batching import batches_of, eval_loader
from setpiece.data.dataset import Dataset
from setpiece.errors import NonFiniteCostError
from setpiece.evaluation import sv
from setpiece.inference.detecting import BATCH_SIZE, Detecting
from setpiece.inference.detections import to_detections
from setpiece.inference.found import COCO_LIMIT
from setpiece.inference.precision import Precision, autocast, uses_bf16
from setpiece.inference.preprocess import preprocess
from setpiece.inference.threads import in_threads
from setpiece.model.checkpoint import Checkpoint
from setpiece.records import Batch, Images, Outputs

__all__ = ["Predictor"]

T = TypeVar("T")
R = TypeVar("R")


class Predictor(Detecting):
    """A checkpoint that predicts, on the device that its model is on.

    Args:
        checkpoint: its model may be in training. It predicts in evaluation mode, and then returns to its former mode.
        precision: "auto" computes in bfloat16 where the hardware does, see `inference.precision`.
        in_turn: predict one batch after the other, on all cores, and not a batch per core: a model that is compiled
            cannot be compiled by several threads at a time.

    Example:
        >>> from setpiece.model.checkpoint import create
        >>> predictor = Predictor(create("detr-tiny", ["ace", "king"], shortest=64))
        >>> outputs = predictor.outputs(predictor.preprocess([np.zeros((48, 64, 3), np.uint8)]))
        >>> outputs.boxes.shape
        torch.Size([3, 1, 60, 4])
    """

    def __init__(self, checkpoint: Checkpoint, precision: Precision = "auto", *, in_turn: bool = False) -> None:
        super().__init__(checkpoint)
        self.checkpoint = checkpoint
        self.precision = precision
        self._in_turn = in_turn

    @property
    def device(self) -> torch.device:
        """That the model is on."""
        return next(self.checkpoint.model.parameters()).device

    def preprocess(
        self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], originals: Sequence[tuple[int, int]] | None = None
    ) -> Images:
        """Resize, pad and normalise RGB pictures, see `inference.preprocess`."""
        return preprocess(pictures, self.checkpoint, originals)

    def outputs(self, images: Images) -> Outputs:
        """What the model predicts in each of its L prediction sets."""
        with _evaluating(self.checkpoint.model):
            return self._outputs(images)

    @torch.inference_mode()
    def _outputs(self, images: Images) -> Outputs:
        device = self.device
        images = images.to(device)
        with autocast(device, uses_bf16(self.precision, device)):
            outputs: Outputs = self.checkpoint.model(images.pixels, images.padding)
        return outputs

    def detections(
        self, images: Images, *, threshold: float | Float[np.ndarray, " C"], limit: int = COCO_LIMIT
    ) -> list[sv.Detections]:
        """The last set as detections in pixels of each original image, see `to_detections`."""
        with _evaluating(self.checkpoint.model):
            return self._detections(images, threshold, limit)

    def _detections(
        self, images: Images, threshold: float | Float[np.ndarray, " C"], limit: int
    ) -> list[sv.Detections]:
        outputs, sizes = self._outputs(images), images.original_sizes.to(self.device)
        form = self.checkpoint.model.form
        return to_detections(outputs, sizes, self.checkpoint.classes, form, threshold=threshold, limit=limit)

    def _found(
        self,
        pixels: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        originals: Sequence[tuple[int, int]],
        threshold: Float[np.ndarray, " C"],
    ) -> list[sv.Detections]:
        limit = max(COCO_LIMIT, self.checkpoint.model.num_queries)
        return self._detections(self.preprocess(pixels, originals), threshold, limit)

    def _mapped(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        with _evaluating(self.checkpoint.model):
            yield from map(function, items) if self._in_turn else in_threads(function, items, self.device)

    def detect(
        self,
        dataset: Dataset,
        *,
        threshold: float = 0.0,
        batch_size: int = BATCH_SIZE,
        workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> Iterator[tuple[int, sv.Detections]]:
        """Detect objects in a data set, see `Detecting.detect`; images of one padded size follow each other."""
        loader = eval_loader(
            dataset,
            self.checkpoint.size,
            self.checkpoint.mean,
            self.checkpoint.std,
            batch_size=batch_size,
            workers=workers,
            rank=rank,
            world_size=world_size,
        )

        def detect(batch: Batch) -> list[tuple[int, sv.Detections]]:
            ids = batch.image_ids.tolist()
            try:
                found = self._detections(batch.images, threshold, COCO_LIMIT)
            except NonFiniteCostError as error:
                name = next(each.path for each in dataset.examples if each.image_id == ids[error.index[1]])
                raise NonFiniteCostError(f"Nothing can be detected in {name}. {error}", error.index) from error
            return list(zip(ids, found, strict=True))

        for found in self._mapped(detect, batches_of(loader)):
            yield from found


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and afterwards in the mode that it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
