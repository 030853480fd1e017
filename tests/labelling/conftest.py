"""Small folders of photos, stores of their labels, and servers as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

# Loads the server once, and forks a process that serves for each line of options that comes in.
SERVE = """
import json, os, signal, sys
from pathlib import Path
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None
from setpiece.labelling import server
server.LOOK_SECONDS = 0.1
for line in sys.stdin:
    child = os.fork()
    if not child:
        options = json.loads(line)
        folders = {name: Path(options.pop(name)) for name in ("photos", "output")}
        try:
            server.serve(server.Settings(**folders, **options), lambda address: print(os.getpid(), address, flush=True))
        except server.SetpieceError as error:
            print("refused", error, flush=True)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("ended", code, flush=True)
"""
TO_TRAIN = ("torch", "torchvision", "accelerate", "safetensors", "tensorboard", "plotly", "supervision")
FROM_PAGE = {"X-Setpiece": "label"}


def write_photos(folder: Path, count: int = 6, size=(80, 60)) -> Path:
    """PNG files of one grey each: a.png, b.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.full((size[1], size[0], 3), 20 * number + 10, np.uint8)
        Image.fromarray(pixels).save(folder / f"{chr(97 + number)}.png")
    return folder


def until(true, seconds=120):
    """Wait until something is true, and return it."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos")


class Served:
    """A server in a process of its own, and a client that asks as the page does."""

    def __init__(self, launcher, options):
        self._launcher = launcher
        launcher.stdin.write(json.dumps(options) + "\n")
        launcher.stdin.flush()
        pid, self.address = launcher.stdout.readline().strip().split(" ", 1)
        assert pid != "refused", self.address
        self.pid = int(pid)
        self.client = httpx.Client(base_url=self.address, headers=FROM_PAGE, timeout=120)

    def state(self):
        """All that the page shows."""
        return self.client.get("api/state").json()

    def draw(self, id, boxes, state="open", action="draw box"):
        """Replace the boxes of an image, of (box, class); the answer."""
        now = self.client.get(f"api/images/{id}").json()
        sent = {"revision": now["revision"], "state": state, "action": action}
        sent["boxes"] = [{"box": list(map(float, box)), "class": int(label)} for box, label in boxes]
        return self.client.put(f"api/images/{id}", json=sent)

    def send(self, number):
        """Send a signal; SIGKILL is `kill -9`."""
        os.kill(self.pid, number)

    def end(self, number=signal.SIGTERM):
        """Send a signal if it still runs, and wait; the exit code."""
        self.client.close()
        if self.pid is not None:
            with suppress(ProcessLookupError):  # it was killed before
                self.send(number)
            self.pid, self.code = None, int(self._launcher.stdout.readline().split()[1])
        return self.code


@pytest.fixture(scope="session")
def serving():
    """`with serving(photos, output, **settings) as served`: a server without a trainer, in a process without torch."""
    with launching(TO_TRAIN) as launcher:
        yield partial(started, launcher, trains=False)


@pytest.fixture(scope="session")
def serving_with_trainer():
    """The same with a trainer beside it."""
    with launching(TO_TRAIN) as launcher:
        yield partial(started, launcher)


@contextmanager
def launching(blocked):
    command = [sys.executable, "-c", SERVE, json.dumps(blocked)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as launcher:
        yield launcher
        launcher.stdin.close()
        assert launcher.wait(60) == 0


@contextmanager
def started(launcher, photos, output, **settings):
    served = Served(launcher, {"photos": str(photos), "output": str(output), **settings})
    try:
        yield served
    finally:
        served.end(signal.SIGKILL)
