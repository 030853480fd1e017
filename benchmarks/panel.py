"""Train one recipe on each data set of a panel, and print AP, AP50 and steps of each, and their means.

    python benchmarks/panel.py PANEL --name NAME --minutes 3 | --images 7200 [--sets aquarium pothole ...] [--seeds 1]
        [--model sprint-n] [--subset 25] [--set learning_rate=2e-3 ...] [--against NAME] [--table runs/panel.jsonl]

PANEL is a folder of data sets. Every run is one of its own, and its figures are appended to the table as soon as it
ends: the same command after a stop goes on with the runs that are missing. `--images` counts the images shown in place
of minutes: the figures are then the same however busy the machine is. `--subset` trains on that many images of each
set, drawn by the seed. `--against` prints the figures of an earlier name beside them.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from setpiece.data.dataset import Dataset
from setpiece.model.checkpoint import load_unless_preset
from setpiece.runs.layout import RunFolder
from setpiece.training.config import resolve
from setpiece.training.start import open_data, starting_checkpoint
from setpiece.training.train import train

Row = dict[str, Any]
KEY = ("name", "set", "length", "subset", "seed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("panel", type=Path)
    parser.add_argument("--name", required=True, help="what to call the recipe in the table")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float)
    length.add_argument("--images", type=int, help="shown in training, rounded to whole epochs of at least one")
    parser.add_argument("--sets", nargs="*", default=[], help="folders of the panel; all where none are named")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--model", default="sprint-n")
    parser.add_argument("--subset", type=int, help="how many training images of each set, drawn by the seed")
    parser.add_argument("--against", help="a name whose figures are printed beside these")
    parser.add_argument("--table", type=Path, default=Path("runs/panel.jsonl"))
    parser.add_argument("--set", nargs="*", default=[], metavar="SETTING=VALUE", help="fields of TrainConfig")
    options = parser.parse_args()

    settings: dict[str, Any] = dict(setting.split("=", 1) for setting in options.set)
    sets = options.sets or sorted(folder.name for folder in options.panel.iterdir() if folder.is_dir())
    rows = read(options.table)
    for seed in range(options.seeds):
        for name in sets:
            key = (options.name, name, length_of(options), options.subset, seed)
            if key not in rows:
                measured = measure(options.panel / name, options, settings | {"seed": seed})
                rows[key] = dict(zip(KEY, key, strict=True)) | measured
                options.table.parent.mkdir(parents=True, exist_ok=True)
                with options.table.open("a", encoding="utf-8") as table:
                    table.write(json.dumps(rows[key]) + "\n")
            print(
                f"{name} seed {seed}: " + " ".join(f"{k} {v}" for k, v in rows[key].items() if k not in KEY), flush=True
            )
    report(rows, sets, options)


def length_of(options: argparse.Namespace) -> str:
    """How long the runs are, as the table says it."""
    return f"{options.minutes:g} minutes" if options.minutes else f"{options.images} images"


def measure(folder: Path, options: argparse.Namespace, settings: dict[str, Any]) -> Row:
    """Train on one set of the panel, and say how good the EMA model is at the end."""
    dataset, valid = open_data(folder)
    if options.subset is not None:
        dataset = subset(dataset, options.subset, settings["seed"])
    epochs = None if options.minutes else max(1, round(options.images / len(dataset.examples)))
    checkpoint = load_unless_preset(options.model)
    config = resolve(
        folder, options.model, checkpoint, **settings, minutes=options.minutes, epochs=epochs, evaluations=1
    )
    with tempfile.TemporaryDirectory() as temporary:
        run = RunFolder(Path(temporary) / "run")
        start = starting_checkpoint(config, dataset.classes, checkpoint)
        train(start, dataset, valid, config, run.path)
        last = json.loads(run.metrics.read_text(encoding="utf-8").splitlines()[-1])
    rate = last["step"] * config.batch_size / last["seconds"]
    return {
        "AP": round(last["AP"], 4),
        "AP50": round(last["AP50"], 4),
        "steps": last["step"],
        "images/s": round(rate, 1),
    }


def subset(dataset: Dataset, count: int, seed: int) -> Dataset:
    """Some images of a data set, drawn by a seed."""
    kept = random.Random(seed).sample(range(len(dataset.examples)), min(count, len(dataset.examples)))
    return replace(dataset, examples=tuple(dataset.examples[index] for index in sorted(kept)))


def read(table: Path) -> dict[tuple[Any, ...], Row]:
    """The rows that were measured before, by what they are of."""
    rows = map(json.loads, table.read_text(encoding="utf-8").splitlines()) if table.exists() else []
    return {tuple(row[field] for field in KEY): row for row in rows}


def report(rows: dict[tuple[Any, ...], Row], sets: list[str], options: argparse.Namespace) -> None:
    """Print the median over seeds for each set, and the mean over the sets, as a table."""
    names = [options.name, *([options.against] if options.against else [])]
    print("| set |" + "".join(f" {name}: AP | AP50 | steps |" for name in names))
    print("|---|" + "---|" * 3 * len(names))
    columns: dict[str, list[list[float]]] = {name: [] for name in names}
    for each in sets:
        line = f"| {each} |"
        for name in names:
            key = (name, each, length_of(options), options.subset)
            found = [row for of, row in rows.items() if of[:4] == key]
            if not found:
                line += " | | |"
                continue
            medians = [statistics.median(row[field] for row in found) for field in ("AP", "AP50", "steps")]
            columns[name].append(medians)
            line += " {:.3f} | {:.3f} | {:.0f} |".format(*medians)
        print(line)
    means = ([statistics.mean(column) for column in zip(*columns[name], strict=True)] for name in names)
    print("| mean |" + "".join(" {:.3f} | {:.3f} | {:.0f} |".format(*mean) if mean else " | | |" for mean in means))


if __name__ == "__main__":
    main()
