"""What the packaged weights cost: their size, and the time from them to a model that is ready to train.

    python benchmarks/loading.py [--model sprint-n] [--repeats 21]

The time is printed beside that of making the same model with new weights, in turn; medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from setpiece.model.checkpoint import create
from setpiece.model.zoo import head_starts, load_head_start

CLASSES = ["ace", "king", "queen"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sprint-n", choices=list(head_starts()))
    parser.add_argument("--repeats", type=int, default=21)
    options = parser.parse_args()
    ways: dict[str, Callable[[], object]] = {
        "new weights": lambda: create(options.model, CLASSES),
        "packaged weights": lambda: load_head_start(options.model, CLASSES),
    }
    milliseconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.repeats):
        for way, make in ways.items():
            begin = time.perf_counter()
            make()
            milliseconds[way].append(1000 * (time.perf_counter() - begin))
    medians = {way: statistics.median(times) for way, times in milliseconds.items()}
    folder = head_starts()[options.model].file.parent
    print(f"size: {sum(file.stat().st_size for file in folder.iterdir()) / 2**20:.2f} MiB")
    for way, median in medians.items():
        print(f"{way}: {median:.0f} ms")
    print(f"difference: {medians['packaged weights'] - medians['new weights']:.0f} ms")


if __name__ == "__main__":
    main()
