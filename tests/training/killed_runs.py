"""Runs that are killed at random moments and resumed: `python killed_runs.py DATA OUTPUT KILLS SEED`.

`OUTPUT/whole` is not killed; `OUTPUT/killed-1` and so on are, until there were enough kills. Every other kill waits for
the next file that is being written. A run is a fork of this process, which has loaded everything and computed nothing,
so that it starts at once.
"""

import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

from setpiece.model import presets
from setpiece.model.backbones.single_scale import TinyBackbone
from setpiece.model.detr import Detr
from setpiece.model.layers.transformer import Decoder, Encoder
from setpiece.training import loop
from setpiece.training.config import resolve
from setpiece.training.start import start_training


def least(classes, *, queries=10):
    """A model that is written in a moment, since a run is saved after every step."""
    return Detr(
        backbone=TinyBackbone(width=8),
        encoder=Encoder(layers=1, width=32, heads=2, hidden=32, dropout=0.1),
        decoder=Decoder(layers=1, width=32, heads=2, hidden=32, dropout=0.1),
        classes=classes,
        queries=queries,
    )


def run(data, output):
    torch.set_num_threads(1)
    presets.detr_tiny = least
    loop.SAVE_SECONDS = 0.0
    loop.write_pictures = lambda *_: None  # which take half of such a run
    settings = {"size": 64, "batch_size": 8, "evaluations": 2, "precision": "fp32"}
    start_training(resolve(data, "detr-tiny", epochs=2, **settings), output, resume=True)


def killed_after(seconds, data, output, *, writing=False):
    """How a run was killed after some seconds, or in the next write after them; else it came to its end.

    Returns:
        "writing" where a file was being written, "killed" where none was, "ended".
    """
    started, end = time.time(), time.monotonic() + seconds
    child = os.fork()
    if child == 0:
        run(data, output)
        os._exit(0)
    while time.monotonic() < end or (writing and not is_writing(output, started)):
        if os.waitpid(child, os.WNOHANG)[0]:
            return "ended"
        time.sleep(0.0002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "writing" if is_writing(output, started) else "killed"


def is_writing(output, since):
    """Whether a file is half written, and not by a run that was killed before."""
    with suppress(FileNotFoundError):  # it was finished meanwhile
        return any(file.stat().st_mtime > since for file in output.glob("*/.*.unfinished"))
    return False


if __name__ == "__main__":
    data, output, kills, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    draw = random.Random(seed)
    began = time.monotonic()
    killed_after(1e9, data, output / "whole")
    longest = time.monotonic() - began
    ends = []
    while (done := len(ends) - ends.count("ended")) < kills:
        folder = output / f"killed-{ends.count('ended') + 1}"
        ends.append(killed_after(draw.uniform(0, longest), data, folder, writing=done % 2 == 1))
    killed_after(1e9, data, output / f"killed-{ends.count('ended') + 1}")
    print(kills, "kills,", ends.count("writing"), "of them while a file was written")
