"""Servers on the loopback address, in a thread each, that end with the test or the session."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import httpx
import pytest

from setpiece.inference.predictor import Predictor
from setpiece.serving.limits import Limits
from setpiece.serving.server import DetectionServer, bind

from ..colours import measuring


class Running:
    """A server that runs, and a client of it."""

    def __init__(self, server, bound):
        self.server = server
        self.port = bound.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        server.last_seconds = 0.05
        self.thread = threading.Thread(target=server.run, args=([bound],))
        self.thread.start()
        self.client = httpx.Client(base_url=self.address, timeout=30)
        while not server.started:
            assert self.thread.is_alive()

    def post(self, content, kind="image/png", threshold="0.5", **headers):
        """The answer to an image."""
        headers = headers if kind is None else {"Content-Type": kind, **headers}
        return self.client.post("/v1/detect", params={"threshold": threshold}, content=content, headers=headers)

    def end(self):
        """As a signal does."""
        self.client.close()
        self.server.handle_exit()
        self.thread.join()


@contextmanager
def running(detecting=None, token=None, name="colours", **limits):
    """A server of a detector; of the one that measures rectangles if none is given."""
    detecting = detecting or Predictor(measuring())
    bound = bind("127.0.0.1", 0)
    served = Running(DetectionServer(detecting, name, Limits(**limits), token), bound)
    try:
        yield served
    finally:
        served.end()


@pytest.fixture(scope="package")
def server():
    """One that finds red, green and blue rectangles exactly; images up to 40,000 pixels and 200,000 bytes."""
    with running(max_pixels=40_000, max_bytes=200_000) as served:
        yield served
