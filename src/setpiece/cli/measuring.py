"""`setpiece eval`, `curve` and `compare`: how good a model is, how much of that is chance, and what would help."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from setpiece.cli.app import DataFolder, Model, Split, app, console, require_writable
from setpiece.errors import UsageError

if TYPE_CHECKING:
    from setpiece.training.config import TrainConfig
    from setpiece.training.studies import Measured

__all__ = ["compare", "curve", "evaluate"]

CHANGED = 5  # images that are named on either side


@app.command("eval")
def evaluate(
    model: Model,
    data: DataFolder,
    split: Split = "valid",
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the numbers into this file.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Also write a page with thresholds, errors and their pictures, and what to do next; beside it its "
            "curves as PNG and its numbers as JSON."
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2, help="Cross-validation of a preset: leave each of so many parts of the images out in turn."
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=2, help="Train a preset with so many seeds.")] = None,
    minutes: Annotated[float, typer.Option(help="Length of each training, with --folds or --seeds.")] = 3.0,
) -> None:
    """Measure a detector on a data set: COCO's twelve numbers and how sure they are, thresholds, kinds of errors.

    With --folds or --seeds MODEL is a preset, which is trained several times: the spread says how much is chance.
    """
    from setpiece.atomic import write_whole
    from setpiece.data.sources import open_dataset
    from setpiece.detector import Detector
    from setpiece.evaluation.figures import write_beside
    from setpiece.inference.analysis_page import analysis_payload
    from setpiece.inference.next_steps import next_steps
    from setpiece.web import render

    if folds is not None or seeds is not None:
        if json_file is not None or report is not None:
            raise UsageError("--json and --report are of one detector: leave them out with --folds and --seeds.")
        _repeat(model, data, folds, seeds, minutes)
        return
    for file, option in ((json_file, "--json"), (report, "--report")):
        if file is not None:
            require_writable(file, option)
    detector = Detector.load(model)
    dataset = open_dataset(data, split)
    for line in dataset.defects.summary():
        console.print(line, soft_wrap=True, highlight=False)
    found = detector.analyse(dataset)
    console.print(found.metrics.table())
    for table in found.tables():
        console.print(table)
    console.print(found.sentence(), soft_wrap=True, highlight=False)
    steps = next_steps(found, dataset, detector.detecting().size)
    for step in steps:
        console.print(f"- {step}", soft_wrap=True, highlight=False)
    if report is not None:
        title = f"{Path(model).name} on {dataset.root.resolve().name} ({split})"
        write_whole(report, render(analysis_payload(found, dataset, title, steps)))
        beside = write_beside(found, report)
        console.print(
            f"The report is {report}: open it in a browser. Beside it are {', '.join(file.name for file in beside)}.",
            soft_wrap=True,
            highlight=False,
        )
    if json_file is not None:
        text = json.dumps(found.to_dict(), indent=2) + "\n"
        write_whole(json_file, text)


def _repeat(model: str, data: Path, folds: int | None, seeds: int | None, minutes: float) -> None:
    """Train a preset several times, and print each result and the spread."""
    from setpiece.training.start import open_data
    from setpiece.training.studies import by_fold, by_seed, join

    if folds is not None and seeds is not None:
        raise UsageError("Give either --folds or --seeds.")
    config = _config(model, data, minutes)
    dataset, valid = open_data(data)
    if folds is not None:
        measured = _show(by_fold(config, join(dataset, valid), folds, console))
    elif valid is None:
        raise UsageError(f"{data} has no validation images to measure on: take --folds.")
    else:
        measured = _show(by_seed(config, dataset, valid, seeds or 2, console))
    for name in ("AP", "AP50"):
        values = [value for one in measured if not math.isnan(value := getattr(one.metrics, name))]
        if len(values) < 2:
            console.print(f"{name}: there were no objects to measure it on in {len(measured) - len(values)} of them")
            continue
        spread = f"{min(values):.3f} to {max(values):.3f}, standard deviation {statistics.stdev(values):.3f}"
        console.print(f"{name}: {statistics.mean(values):.3f} on average, {spread}", highlight=False)


@app.command()
def curve(
    data: DataFolder,
    model: Annotated[str, typer.Option(help="The preset that is trained.")] = "sprint-n",
    minutes: Annotated[float, typer.Option(help="Length of each of the four trainings.")] = 3.0,
) -> None:
    """Train on 25, 50, 75 and 100 % of the images, and say what twice as many would bring."""
    from setpiece.training.start import open_data
    from setpiece.training.studies import by_share, outlook

    config = _config(model, data, minutes)
    dataset, valid = open_data(data)
    if valid is None:
        raise UsageError(f"{data} has no validation images to measure on.")
    expected = outlook(_show(by_share(config, dataset, valid, console)))
    if expected is None:
        console.print("There are too few images, or no objects among those of validation, to look further.")
        return
    console.print(
        f"With {expected.images} images AP would be {expected.low:.3f} to {expected.high:.3f}, if it grows by the same "
        "with every doubling.",
        soft_wrap=True,
        highlight=False,
    )


@app.command()
def compare(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Runs or checkpoints; the first is the old.")],
    data: Annotated[Path, typer.Option(metavar="DATA", help="Folder of a data set.")],
    split: Split = "valid",
) -> None:
    """Compare models on the same images: AP, how sure the difference is, and which images changed."""
    from setpiece.data.sources import open_dataset
    from setpiece.detector import Detector
    from setpiece.evaluation import evaluate_coco
    from setpiece.evaluation.matches import class_matches
    from setpiece.evaluation.precision import paired_bootstrap, right_per_image
    from setpiece.inference.evaluation import results_of

    if len(models) < 2:
        raise UsageError("Name two models or more to compare.")
    dataset = open_dataset(data, split)
    truth = dataset.to_coco()
    results = [results_of(Detector.load(model).detecting(), dataset) for model in models]
    matches = [class_matches(truth, of_model) for of_model in results]
    table = Table("model", title=f"{dataset.root.resolve().name} ({split}), {len(dataset.examples)} images")
    for column in ("AP", "AP50", "AP less the first", "95 % interval"):
        table.add_column(column, justify="right")
    first = evaluate_coco(truth, results[0])
    for model, of_model, found in zip(models, results, matches, strict=True):
        metrics = first if of_model is results[0] else evaluate_coco(truth, of_model)
        row = [model, f"{metrics.AP:.3f}", f"{metrics.AP50:.3f}"]
        if found is not matches[0]:
            row += [f"{metrics.AP - first.AP:+.3f}", str(paired_bootstrap(matches[0], found))]
        table.add_row(*row)
    console.print(table)
    old = right_per_image(matches[0])
    for model, found in zip(models[1:], matches[1:], strict=True):
        change = right_per_image(found) - old
        order = change.argsort(kind="stable")
        for what, indices in (("better", order[::-1][:CHANGED]), ("worse", order[:CHANGED])):
            named = [
                f"{dataset.examples[i].path.name} ({change[i]:+d})"
                for i in indices
                if (change[i] > 0 if what == "better" else change[i] < 0)
            ]
            if named:
                console.print(f"{model} is {what} on {', '.join(named)}", soft_wrap=True, highlight=False)
    console.print("(+1: one more right detection, or one wrong one less, with each class's best threshold)")


def _config(model: str, data: Path, minutes: float) -> TrainConfig:
    from setpiece.model.presets import presets
    from setpiece.training.config import resolve

    if model not in presets():
        raise UsageError(f"{model} is no preset to be trained: choose one of {', '.join(presets())}.")
    return resolve(data, model, minutes=minutes, evaluations=1)


def _show(trainings: Iterator[Measured]) -> list[Measured]:
    """Print a line for each training when it is done."""
    done = []
    for one in trainings:
        done.append(one)
        console.print(
            f"{one.name}: AP {one.metrics.AP:.3f}, AP50 {one.metrics.AP50:.3f}, trained on {one.images} images",
            highlight=False,
        )
    return done
