"""Which images the model looks at together, and what becomes of those who wait when nothing goes on."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from setpiece.inference.backends import Backend
from setpiece.inference.exported import ExportedPredictor
from setpiece.inference.model_info import ModelInfo
from setpiece.inference.predictor import Predictor
from setpiece.serving.batching import Batcher
from setpiece.serving.refusals import RefusedError

from ..colours import measuring
from ..coroutines import run
from .conftest import running
from .images import encoded
from .test_detect import refused

BLACK, WHITE = np.zeros((60, 90, 3), np.uint8), np.full((60, 90, 3), 255, np.uint8)


class Counting(Predictor):
    """Notes how many images its model looks at together; white images are too much for it."""

    def __init__(self, fixed_batch=None):
        super().__init__(measuring())
        self.fixed_batch, self.together = fixed_batch, []

    def _found(self, pixels, originals, threshold):
        self.together.append(len(pixels))
        if any(image.min() == 255 for image in pixels):
            raise RuntimeError("white is not bearable")
        return super()._found(pixels, originals, threshold)


class Forgetful(Predictor):
    """Finds nothing, not even an empty list, so that the loop of batches ends."""

    def __init__(self):
        super().__init__(measuring())
        self.forgets = False

    def predict(self, pictures, **options):
        """Detect objects until it forgets to."""
        return iter(()) if self.forgets else super().predict(pictures, **options)


def looked_at(detecting, pictures, most):
    """What a batcher gives for each of some pictures that come at the same time."""

    async def look():
        async with Batcher(detecting, most=most, wait=0.2) as batcher:
            each = (batcher.detect(picture) for picture in pictures)
            return await asyncio.wait_for(asyncio.gather(*each, return_exceptions=True), 5)

    return run(look())


@pytest.mark.parametrize(("fixed", "sizes"), [(None, [12]), (5, [5, 5, 2]), (20, [12])])
def test_a_batch_is_as_large_as_is_asked_for_and_as_the_model_takes(fixed, sizes):
    detecting = Counting(fixed)
    answers = looked_at(detecting, [BLACK] * 12, most=12)
    assert detecting.together == sizes
    assert [each.batch for each in answers] == [size for size in sizes for _ in range(size)]


def test_images_whose_batch_failed_say_that_they_were_looked_at_alone():
    first, failed, last = looked_at(Counting(), [BLACK, WHITE, BLACK], most=3)
    assert isinstance(failed, RuntimeError)
    assert (first.batch, last.batch) == (1, 1)


def test_an_exported_model_says_how_many_images_it_takes():
    info = ModelInfo(
        preset="sprint-n", classes=("thing",), thresholds=None, shortest=64, longest=64, canvas=None, batch=4,
        mean=(0, 0, 0), std=(1, 1, 1), precision="fp32", metrics=None, licence=None, made_with={},
    )  # fmt: skip
    assert ExportedPredictor(Backend("none", info, lambda *_: None)).fixed_batch == 4


def test_who_waits_is_told_when_the_loop_ends():
    detecting = Forgetful()
    detecting.forgets = True
    answers = looked_at(detecting, [BLACK, BLACK, np.zeros((200, 50, 3), np.uint8)], most=2)
    assert all(isinstance(each, RefusedError) and each.status == 503 for each in answers)


def test_a_server_without_its_loop_says_that_it_is_dead(caplog):
    detecting = Forgetful()
    with running(detecting) as served:
        detecting.forgets = True
        for _ in range(2):  # the one that waited, and one that comes later
            answer = served.post(encoded())
            assert "has to be started again" in refused(answer, 503)
            assert int(answer.headers["Retry-After"]) > 0
        assert (served.client.get("/healthz").status_code, served.client.get("/readyz").status_code) == (503, 503)
    assert "No more images are looked at" in caplog.text
