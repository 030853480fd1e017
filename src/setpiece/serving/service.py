"""One request for detections, from its first byte to its answer."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from fastapi import Request

from setpiece.errors import UsageError
from setpiece.evaluation import sv
from setpiece.inference.detecting import Detecting
from setpiece.inference.thresholds import DEFAULT, class_thresholds, parse_threshold
from setpiece.serving.admission import Admission
from setpiece.serving.batching import Batcher, Found
from setpiece.serving.limits import Limits
from setpiece.serving.metrics import Metrics
from setpiece.serving.pictures import Received, decode
from setpiece.serving.refusals import RefusedError
from setpiece.serving.schema import Answer, ImageSize, Object, Timing
from setpiece.serving.uploads import THRESHOLD, opened, read_body, require_known_type

__all__ = ["Service"]

DECODERS = 4  # images that are decoded at a time, at most: each is in memory as a whole


class Service:
    """A detector with its limits, and the figures of what it does.

    Args:
        detecting: finds the objects.
        name: of the model, for those who ask.
        token: that requests have to carry, None for none.
    """

    def __init__(self, detecting: Detecting, name: str, limits: Limits, token: str | None) -> None:
        self.detecting, self.name, self.limits = detecting, name, limits
        self.metrics = Metrics()
        self.admission = Admission(token, limits.max_queue, lambda: self.batcher.seconds_per_image)
        self.batcher = Batcher(
            detecting,
            most=limits.max_batch,
            wait=limits.max_wait_ms / 1000,
            coming=lambda: self.admission.coming,
        )
        self.decoders = ThreadPoolExecutor(min(DECODERS, os.cpu_count() or 1), "setpiece-decode")
        self.metrics.in_progress.set_function(lambda: self.admission.inside)

    async def detect(self, request: Request) -> Answer:
        """Answer a request.

        Raises:
            RefusedError: it is not met, and says why.
        """
        self.admission.require_token(request.headers.get("authorization", ""))
        content_type = request.headers.get("content-type", "")
        require_known_type(content_type)
        thresholds = _in_query(request)
        self._least(thresholds, unread=True)
        with self.admission.enter():
            with self.admission.on_the_way():
                started = time.perf_counter()
                body = await read_body(request, self.limits)
                received = time.perf_counter()
                picture, least = await asyncio.get_running_loop().run_in_executor(
                    self.decoders, self._decode, body, content_type, thresholds
                )
                del body  # not kept while the image waits
                decoded = time.perf_counter()
            found = await self.batcher.detect(picture.pixels)
            times = {"receive": received - started, "decode": decoded - received}
            return self._answer(picture, found, least, times | {"wait": found.wait, "model": found.model})

    def _decode(self, body: bytes, content_type: str, thresholds: list[str]) -> tuple[Received, np.ndarray]:
        """The image, and the least score of each class, which a form may say."""
        upload = opened(body, content_type)
        least = self._least([*thresholds, *upload.thresholds])
        return decode(upload.file, self.detecting.size, self.limits.max_pixels), least

    def _least(self, thresholds: list[str], *, unread: bool = False) -> np.ndarray:
        """The least score of each class (C,), by the one threshold that is given, if any."""
        if len(thresholds) > 1:
            raise RefusedError(422, f"The threshold is given {len(thresholds)} times: give it once.", unread=unread)
        try:
            return class_thresholds(parse_threshold(thresholds[0]) if thresholds else DEFAULT, self.detecting)
        except UsageError as error:
            raise RefusedError(422, str(error), unread=unread) from None

    def _answer(self, picture: Received, found: Found, least: np.ndarray, seconds: dict[str, float]) -> Answer:
        """What reaches its threshold, in pixels of the image that was sent."""
        height, width = picture.size
        scale = np.array([width, height] * 2) / np.array([picture.pixels.shape[1], picture.pixels.shape[0]] * 2)
        objects = [
            Object(box=tuple(np.round(box, 2).tolist()), score=round(float(score), 4), class_name=name)
            for box, score, name in _kept(found.detections, least, scale)
        ]
        for each in objects:
            self.metrics.objects.labels(each.class_name).inc()
        for stage, value in seconds.items():
            self.metrics.stages.labels(stage).observe(value)
        self.metrics.batch.observe(found.batch)
        return Answer(
            model=self.name,
            image=ImageSize(width=width, height=height),
            detections=objects,
            notes=list(picture.notes),
            timing=Timing(batch=found.batch, **{stage: round(1000 * value, 2) for stage, value in seconds.items()}),
        )


def _in_query(request: Request) -> list[str]:
    """Every threshold in the query, in which nothing else is."""
    given = request.query_params.multi_items()
    if unknown := [name for name, _ in given if name != THRESHOLD]:
        said = f"There is no query parameter {unknown[0][:80]!r}: the only one is {THRESHOLD}."
        raise RefusedError(422, said, unread=True)
    return [value for _, value in given]


def _kept(found: sv.Detections, least: np.ndarray, scale: np.ndarray) -> list[tuple[np.ndarray, float, str]]:
    """Box, score and name of each detection that reaches the threshold of its class."""
    if found.class_id is None or found.confidence is None:
        return []
    kept = found.confidence >= least[found.class_id]
    names = np.asarray(found.data["class_name"])[kept].tolist()
    return list(zip(found.xyxy[kept].astype(np.float64) * scale, found.confidence[kept].tolist(), names, strict=True))
