"""Runs that are killed at random moments and resumed: `python killed_runs.py DATA OUTPUT KILLS SEED`.

`OUTPUT/whole` is not killed; `OUTPUT/killed-1` and so on are, until there were enough kills. A run is a fork of this
process, which has loaded everything and computed nothing, so that it starts at once.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from setpiece.training import loop
from setpiece.training.config import resolve
from setpiece.training.start import start_training


def run(data, output):
    torch.set_num_threads(1)
    loop.SAVE_SECONDS = 0.0  # after every step
    loop.write_pictures = lambda *_: None  # which take half of such a run
    settings = {"size": 64, "batch_size": 4, "evaluations": 2, "precision": "fp32"}
    start_training(resolve(data, "detr-tiny", epochs=2, **settings), output, resume=True)


def killed_after(seconds, data, output):
    """Whether a run was killed after some seconds; else it came to its end."""
    child = os.fork()
    if child == 0:
        run(data, output)
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


if __name__ == "__main__":
    data, output, kills, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    draw = random.Random(seed)
    started = time.monotonic()
    killed_after(1e9, data, output / "whole")
    longest = time.monotonic() - started
    done = writing = 0
    number = 1
    while done < kills:
        folder = output / f"killed-{number}"
        if killed_after(draw.uniform(0, longest), data, folder):
            done += 1
            writing += any(folder.rglob("*.unfinished"))
        else:  # it came to its end
            number += 1
    killed_after(1e9, data, output / f"killed-{number}")
    print(done, "kills,", writing, "of them while a file was written")
