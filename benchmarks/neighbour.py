"""Images per second of training, alone and beside other busy programs.

    python benchmarks/neighbour.py DATA [--seconds 30] [--neighbours 0 1 2] [--arrangement replicas threads]

Each figure is a run of `setpiece train` of its own, from scratch, and they take turns. A neighbour is a program that
keeps one core busy. "replicas" is the default on a CPU: one replica of the model per core, each computing with one
thread. "threads" is one model whose every operation is divided among the cores, as PyTorch does by itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from setpiece.training import replicas
from setpiece.training.config import resolve
from setpiece.training.start import start_training

BUSY = "while True: pass"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--neighbours", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arrangement", nargs="+", default=["replicas", "threads"], choices=["replicas", "threads"])
    parser.add_argument("--child", choices=["replicas", "threads"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        print(f"rate {train(options)}")
        return
    print("| busy programs beside it |" + "".join(f" {name}: images/s |" for name in options.arrangement))
    print("|---|" + "---|" * len(options.arrangement))
    for neighbours in options.neighbours:
        rates = [measure(options, arrangement, neighbours) for arrangement in options.arrangement]
        print(f"| {neighbours} |" + "".join(f" {rate:.1f} |" for rate in rates), flush=True)


def measure(options: argparse.Namespace, arrangement: str, neighbours: int) -> float:
    """Images per second of a run in a program of its own."""
    command = [sys.executable, __file__, str(options.data), "--seconds", str(options.seconds), "--child", arrangement]
    with ExitStack() as stack:
        for _ in range(neighbours):
            busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            stack.callback(busy.kill)
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(run.stdout.rpartition("rate ")[2])


def train(options: argparse.Namespace) -> float:
    """Train for some seconds; images per second without evaluation."""
    if options.child == "threads":
        replicas.SMALLEST_SHARE = sys.maxsize
    with tempfile.TemporaryDirectory() as folder:
        config = resolve(options.data, "sprint-n", minutes=options.seconds / 60, evaluations=1, pretrained=False)
        start_training(config, Path(folder) / "run")
        last = json.loads((Path(folder) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return float(last["step"] * config.batch_size / last["seconds"])


if __name__ == "__main__":
    main()
