"""Images of several requests -> one batch for the model."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
from jaxtyping import UInt8

from setpiece.evaluation import sv
from setpiece.inference.detecting import Detecting
from setpiece.serving.refusals import RefusedError

__all__ = ["Batcher", "Found"]

FORGETTING = 0.1  # weight of the latest batch in the mean time per image
RESTART = 60  # seconds after which those come again whom a server told that it has to be started again


@dataclass(frozen=True)
class Found:
    """What is in an image.

    Attributes:
        detections: all candidates, whatever their confidence, in pixels of the image that was given.
        wait: seconds until the model had time.
        model: seconds that the model took for the batch.
        batch: images that the model looked at together.
    """

    detections: sv.Detections
    wait: float
    model: float
    batch: int


@dataclass(eq=False)
class _Waiting:
    pixels: UInt8[np.ndarray, "_ _ 3"]
    padded: tuple[int, int]
    answer: asyncio.Future[Found]
    since: float = field(default_factory=time.perf_counter)


class Batcher:
    """Brings images together that arrive at about the same time; one thread computes.

    A batch begins with the image that waited longest, and takes others of the same padded size: such images do not
    change what is found in each other, see `data.fitting.alike`. While the model computes, the next batch gathers.

    Args:
        detecting: finds the objects.
        most: images in a batch, at most; fewer where the model was exported with a smaller fixed number.
        wait: seconds that an image waits at most for others, while the model is free.
        coming: how many images are on their way here. Where there are none, nothing is waited for.

    Attributes:
        seconds_per_image: that the model took lately.
    """

    def __init__(self, detecting: Detecting, *, most: int, wait: float, coming: Callable[[], int] = lambda: 1) -> None:
        self._detecting, self._wait, self._coming = detecting, wait, coming
        self._most = min(most, detecting.fixed_batch or most)
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "setpiece-model")
        self._task: asyncio.Task[None] | None = None
        self.seconds_per_image = 0.0

    @property
    def running(self) -> bool:
        """Whether images are looked at."""
        return self._task is not None and not self._task.done()

    @property
    def waiting(self) -> int:
        """How many images wait for the model."""
        return len(self._waiting)

    async def __aenter__(self) -> Batcher:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError, Exception):  # an error is in the log already
                await self._task
        self._thread.shutdown()

    async def detect(self, pixels: UInt8[np.ndarray, "_ _ 3"]) -> Found:
        """Detect objects in an image, together with others.

        Args:
            pixels: RGB.

        Raises:
            RefusedError: 503, no images are looked at any more.
            Exception: whatever the model raises on this image, also when it is alone in a batch.
        """
        if not self.running:
            raise _ended()
        padded = self._detecting.size.padded(*pixels.shape[:2])
        waiting = _Waiting(pixels, padded, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        return await waiting.answer

    async def _run(self) -> None:
        batch: list[_Waiting] = []
        try:
            while True:
                batch = await self._next()
                await self._look(batch)
        except Exception:
            logging.getLogger("uvicorn.error").exception("No more images are looked at: start the server again.")
            raise
        finally:  # nobody waits for what does not come
            for each in [*batch, *self._waiting]:
                if not each.answer.done():
                    each.answer.set_exception(_ended())
            self._waiting = []

    async def _look(self, batch: list[_Waiting]) -> None:
        """Detect objects in the images of a batch, and answer who waits for them."""
        started = time.perf_counter()
        found, together = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._find, [each.pixels for each in batch]
        )
        seconds = time.perf_counter() - started
        share = FORGETTING if self.seconds_per_image else 1.0
        self.seconds_per_image += share * (seconds / len(batch) - self.seconds_per_image)
        for each, result in zip(batch, found, strict=True):
            if each.answer.done():  # whoever asked has left
                continue
            if isinstance(result, Exception):
                each.answer.set_exception(result)
            else:
                each.answer.set_result(Found(result, started - each.since, seconds, together))

    async def _next(self) -> list[_Waiting]:
        """The next batch; waits until there is one."""
        while not self._waiting:
            await self._arrival()
        oldest = self._waiting[0]
        until = oldest.since + self._wait
        while True:
            batch = [each for each in self._waiting if each.padded == oldest.padded][: self._most]
            left = until - time.perf_counter()
            if len(batch) == self._most or left <= 0 or self._coming() <= 0:
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._arrival()
        self._waiting = [each for each in self._waiting if each not in batch]
        return batch

    async def _arrival(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    def _find(self, pictures: list[np.ndarray]) -> tuple[list[sv.Detections | Exception], int]:
        """What is in each picture, or what went wrong with it when it was alone; how many were looked at together."""
        try:
            return list(self._detecting.predict(pictures, threshold=0.0, batch_size=len(pictures))), len(pictures)
        except Exception as error:
            if len(pictures) == 1:
                return [error], 1
        # One bad picture costs its neighbours no answer.
        return [self._find([picture])[0][0] for picture in pictures], 1


def _ended() -> RefusedError:
    said = "The server looks at no more images: it ends, or has to be started again."
    return RefusedError(503, said, {"Retry-After": str(RESTART)})
