"""The one forward path from images to predictions: training, evaluation, explanation and users all go through it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn

from setpiece.data.batching import alike, batches_of, eval_loader
from setpiece.data.dataset import Dataset
from setpiece.errors import UsageError
from setpiece.evaluation import sv
from setpiece.inference.detections import COCO_LIMIT, to_detections
from setpiece.inference.precision import Precision, autocast, uses_bf16
from setpiece.inference.preprocess import Picture, preprocess, to_pixels
from setpiece.inference.threads import in_threads
from setpiece.inference.thresholds import DEFAULT, Threshold, class_thresholds
from setpiece.model.checkpoint import Checkpoint
from setpiece.records import Batch, Images, Outputs

__all__ = ["BATCH_SIZE", "Predictor"]

BATCH_SIZE = 8


class Predictor:
    """A checkpoint that predicts, on the device that its model is on.

    Args:
        checkpoint: its model may be in training. It predicts in evaluation mode, and then returns to its former mode.
        precision: "auto" computes in bfloat16 where the hardware does, see `inference.precision`.

    Example:
        >>> from setpiece.model.checkpoint import create
        >>> predictor = Predictor(create("detr-tiny", ["ace", "king"], shortest=64))
        >>> outputs = predictor.outputs(predictor.preprocess([np.zeros((48, 64, 3), np.uint8)]))
        >>> outputs.boxes.shape
        torch.Size([3, 1, 60, 4])
    """

    def __init__(self, checkpoint: Checkpoint, precision: Precision = "auto") -> None:
        self.checkpoint = checkpoint
        self.precision = precision

    @property
    def device(self) -> torch.device:
        """That the model is on."""
        return next(self.checkpoint.model.parameters()).device

    def preprocess(self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> Images:
        """Resize, pad and normalise RGB pictures, see `inference.preprocess`."""
        return preprocess(pictures, self.checkpoint)

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

    def predict(self, pictures: Iterable[Picture], *, threshold: Threshold = DEFAULT) -> Iterator[sv.Detections]:
        """Detect objects in pictures, in batches; as many as the model finds, not COCO's hundred at most.

        Args:
            pictures: as `to_pixels` takes them, of any sizes; each is read when its batch is due.
            threshold: the least confidence, in [0, 1], see `inference.thresholds`.

        Raises:
            UsageError: the threshold is not understood or outside [0, 1], or the pictures are none.
        """
        if not isinstance(pictures, Iterable):
            raise UsageError(f"{type(pictures).__name__} is no image: give a path, an image, or a list of them.")
        return self._predict(iter(pictures), class_thresholds(threshold, self.checkpoint))

    def _predict(self, pictures: Iterator[Picture], threshold: Float[np.ndarray, " C"]) -> Iterator[sv.Detections]:
        limit = max(COCO_LIMIT, self.checkpoint.model.num_queries)

        def detect(batch: list[Picture]) -> list[sv.Detections]:
            pixels = [to_pixels(picture) for picture in batch]
            found: dict[int, sv.Detections] = {}
            for group in alike([image.shape[:2] for image in pixels], self.checkpoint.size):
                images = self.preprocess([pixels[i] for i in group])
                found.update(zip(group, self._detections(images, threshold, limit), strict=True))
            return [found[i] for i in range(len(batch))]

        batches = iter(lambda: list(islice(pictures, BATCH_SIZE)), [])
        with _evaluating(self.checkpoint.model):
            for found in in_threads(detect, batches, self.device):
                yield from found

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
        """Detect objects in the images of a data set.

        Args:
            threshold: the least confidence, in [0, 1].
            batch_size: images per forward pass.
            workers: processes that load images ahead.
            rank: which process this is; each takes every `world_size`-th image.
            world_size: how many processes there are.

        Yields:
            (image id, detections in pixels of the original image); images of one padded size follow each other.
        """
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
            found = self._detections(batch.images, threshold, COCO_LIMIT)
            return list(zip(batch.image_ids.tolist(), found, strict=True))

        with _evaluating(self.checkpoint.model):
            for found in in_threads(detect, batches_of(loader), self.device):
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
