"""Train a recipe for some minutes (or epochs) with several seeds, and append the metrics to a table.

    python benchmarks/convergence.py DATA --minutes 3 | --epochs 38 [--seeds 3] [--model sprint-n] [--name baseline]
        [--table runs/convergence.md] [--set learning_rate=2e-3 ...]

Every run is one of its own with its own schedule. The table gets a row per call: AP and AP50 on the validation images,
as the median over seeds with the lowest and the highest, and the median steps and images per second of training.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from setpiece.data.sources import available_splits
from setpiece.runs.layout import RunFolder
from setpiece.training.config import resolve
from setpiece.training.start import start_training

HEADER = """| data | name | settings | length | seeds | AP | AP50 | steps | images/s |
|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float)
    length.add_argument("--epochs", type=int, help="of equal steps, whatever the machine does beside them")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="sprint-n")
    parser.add_argument("--name", default="baseline", help="what to call the recipe in the table")
    parser.add_argument("--table", type=Path, default=Path("runs/convergence.md"))
    parser.add_argument("--set", nargs="*", default=[], metavar="SETTING=VALUE", help="fields of TrainConfig")
    options = parser.parse_args()

    settings: dict[str, Any] = dict(setting.split("=", 1) for setting in options.set)
    if ours := settings.keys() & {"data", "model", "minutes", "epochs", "evaluations", "seed"}:
        parser.error(f"--set {min(ours)}: the benchmark sets this itself.")
    if not {"valid", "test"} & set(available_splits(options.data)):
        parser.error(f"{options.data} has no valid and no test split to measure on.")
    rows = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            settings |= {"minutes": options.minutes, "epochs": options.epochs, "evaluations": 1, "seed": seed}
            config = resolve(options.data, options.model, **settings)
            run = RunFolder(Path(folder) / "run")
            start_training(config, run.path)
            last = json.loads(run.metrics.read_text(encoding="utf-8").splitlines()[-1])
        rows.append((last["AP"], last["AP50"], last["step"], last["step"] * config.batch_size / last["seconds"]))
        print("seed {}: AP {:.3f} AP50 {:.3f} in {} steps, {:.0f} images/s".format(seed, *rows[-1]), flush=True)
    what = f"{options.data.name} | {options.model} {options.name} | {' '.join(options.set)}"
    duration = f"{options.minutes:g} minutes" if options.minutes else f"{options.epochs} epochs"
    ap, ap50, steps, rates = zip(*rows, strict=True)
    row = (
        f"| {what} | {duration} | {options.seeds} | {spread(ap)} | {spread(ap50)} "
        f"| {statistics.median(steps):.0f} | {statistics.median(rates):.0f} |\n"
    )
    options.table.parent.mkdir(parents=True, exist_ok=True)
    if not options.table.exists():
        options.table.write_text(HEADER, encoding="utf-8")
    with options.table.open("a", encoding="utf-8") as table:
        table.write(row)
    print(row, end="")


def spread(values: tuple[float, ...]) -> str:
    """Median (lowest to highest)."""
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
