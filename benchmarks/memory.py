"""Train for many steps, and print the memory that the process holds on the way: it has to stay flat.

    python benchmarks/memory.py [--steps 2000] [--model sprint-n] [--size 96]

The memory is what the operating system counts for this process (its resident set), in MB. The first tenth of the run is
left out of the slope: PyTorch's allocator fills its pools there.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import psutil

from setpiece.data.scenes import write_scenes
from setpiece.training.config import resolve
from setpiece.training.display import Display
from setpiece.training.start import start_training

MEASURED = 20  # times over the run


class Measuring(Display):
    """Notes the memory of this process after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.megabytes: list[float] = []

    def step(self, *_: object) -> None:
        """A step was made."""
        self.megabytes.append(psutil.Process().memory_info().rss / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--model", default="sprint-n")
    parser.add_argument("--size", type=int, default=96)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = write_scenes(Path(folder) / "scenes", train=64, valid=8)
        epochs = options.steps // 8  # of eight batches
        config = resolve(data, options.model, epochs=epochs, size=options.size, batch_size=8)
        display = Measuring()
        start_training(config, Path(folder) / "run", display=display)
    memory = display.megabytes
    print("| step | MB |\n|---|---|")
    for step in range(len(memory) // MEASURED, len(memory) + 1, len(memory) // MEASURED):
        print(f"| {step} | {memory[step - 1]:.0f} |")
    settled = np.array(memory[len(memory) // 10 :])
    slope = np.polyfit(np.arange(len(settled)), settled, 1)[0] * 1000
    print(f"{slope:+.1f} MB in 1,000 steps after the first tenth")


if __name__ == "__main__":
    main()
