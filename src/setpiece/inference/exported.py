"""An exported model -> detections, without torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8

from setpiece.data.dataset import Dataset, Example
from setpiece.data.fitting import alike, padded, read_fitted
from setpiece.errors import NonFiniteCostError
from setpiece.evaluation import sv
from setpiece.inference.backends import Backend
from setpiece.inference.detecting import BATCH_SIZE, Detecting
from setpiece.inference.found import COCO_LIMIT, to_record
from setpiece.input_size import STRIDE

__all__ = ["ExportedPredictor"]

LEAST_SIDES = {"torch.export": 2 * STRIDE}  # of a canvas in pixels: its archives take one cell for a constant

T = TypeVar("T")
R = TypeVar("R")


class ExportedPredictor(Detecting):
    """A model that `setpiece export` wrote, and what runs it.

    Args:
        backend: see `inference.backends`.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend.info)
        self.backend = backend
        self.info = backend.info
        self.fixed_batch = backend.info.batch

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
        """Detect objects in the images of a data set, see `Detecting.detect`; `workers` threads more than one read."""
        examples = dataset.examples[rank::world_size]
        groups = alike([(example.height, example.width) for example in examples], self.size)
        batches = [group[i : i + batch_size] for group in groups for i in range(0, len(group), batch_size)]
        least = np.full(len(self.classes), threshold)

        def read(batch: list[int]) -> list[Example]:
            return [examples[i] for i in batch]

        def found(batch: list[Example]) -> list[tuple[int, sv.Detections]]:
            images = [read_fitted(example.path, self.size, upright=example.upright) for example in batch]
            pixels, originals = zip(*images, strict=True)
            records = self._found(pixels, originals, least, COCO_LIMIT)
            return list(zip([example.image_id for example in batch], records, strict=True))

        for each in self._mapped(found, map(read, batches), 1 + workers):
            yield from each

    def _found(
        self,
        pixels: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        originals: Sequence[tuple[int, int]],
        threshold: Float[np.ndarray, " C"],
        limit: int | None = None,
    ) -> list[sv.Detections]:
        least_area = 1 if self.info.canvas else self.info.least_area  # the only canvas has that many
        canvases, sizes = padded(pixels, least_area)
        step = self.info.batch or len(pixels)
        records: list[sv.Detections] = []
        for start in range(0, len(pixels), step):
            some = slice(start, start + step)
            records += self._run(canvases[some], sizes[some], originals[some], threshold, limit)
        return records

    def _run(
        self,
        canvases: UInt8[np.ndarray, "B H W 3"],
        sizes: Int64[np.ndarray, "B 2"],
        originals: Sequence[tuple[int, int]],
        threshold: Float[np.ndarray, " C"],
        limit: int | None,
    ) -> list[sv.Detections]:
        """What is in a batch, which is filled up to the only size that the graph takes, if it takes one only."""
        least = LEAST_SIDES.get(self.backend.name, STRIDE)
        height, width = self.info.canvas or (max(side, least) for side in canvases.shape[1:3])
        missing = max(0, (self.info.batch or 0) - len(canvases))
        down, right = height - canvases.shape[1], width - canvases.shape[2]
        filled = np.pad(canvases, ((0, missing), (0, down), (0, right), (0, 0)))
        found = self.backend.run(filled, np.pad(sizes, ((0, missing), (0, 0)), constant_values=1))
        images = zip(*(field[: len(canvases)] for field in found), originals, strict=True)
        return [self._record(*image, threshold=threshold, limit=limit) for image in images]

    def _record(
        self,
        boxes: Float32[np.ndarray, "N 4"],
        scores: Float32[np.ndarray, " N"],
        labels: Int64[np.ndarray, " N"],
        original: tuple[int, int],
        *,
        threshold: Float[np.ndarray, " C"],
        limit: int | None,
    ) -> sv.Detections:
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise NonFiniteCostError(
                f"{self.backend.name} computes a score or a box that is not finite: the file is damaged, or its "
                "precision is too low for this model.",
                (),
            )
        height, width = original
        boxes_xyxy = boxes[:limit] * np.array([width, height, width, height], np.float32)
        return to_record(boxes_xyxy, scores[:limit], labels[:limit], names=self.classes, threshold=threshold)

    def _mapped(self, function: Callable[[T], R], items: Iterable[T], ahead: int = 1) -> Iterator[R]:
        """Calls read their images while the call before them computes; so many are ahead of it."""
        with ThreadPoolExecutor(1 + ahead) as pool:
            waiting: deque[Future[R]] = deque()
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
