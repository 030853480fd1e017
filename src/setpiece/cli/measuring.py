"""`setpiece eval`, `curve` and `compare`: how good a model is, how much of that is chance, and what would help."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from setpiece.cli.app import DataFolder, Model, Split, app, console, require_writable
from setpiece.errors import UsageError

if TYPE_CHECKING:
    from setpiece.data.dataset import Dataset
    from setpiece.detector import Detector
    from setpiece.evaluation import CocoMetrics
    from setpiece.evaluation.matches import ClassMatches
    from setpiece.evaluation.precision import Interval
    from setpiece.explain.comparison import Changed
    from setpiece.training.config import TrainConfig
    from setpiece.training.studies import Measured

__all__ = ["compare", "curve", "evaluate"]

CHANGED = 5  # images that are named on either side
SHOWN = 12  # on the page


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
    report: Annotated[
        Path | None,
        typer.Option(help="Also write a page that shows the matching of both models side by side on these images."),
    ] = None,
) -> None:
    """Compare models on the same images: AP, how sure the difference is, and which images changed."""
    from setpiece.data.sources import open_dataset
    from setpiece.detector import Detector
    from setpiece.evaluation import evaluate_coco
    from setpiece.evaluation.matches import class_matches
    from setpiece.evaluation.precision import paired_bootstrap
    from setpiece.inference.evaluation import results_of

    if len(models) < 2:
        raise UsageError("Name two models or more to compare.")
    if report is not None:
        require_writable(report, "--report")
    dataset = open_dataset(data, split)
    truth = dataset.to_coco()
    detectors = [Detector.load(model) for model in models]
    if report is not None:
        for detector in detectors:
            detector.predictor()  # or it is said that an exported model has no matching
    results = [results_of(detector.detecting(), dataset) for detector in detectors]
    matches = [class_matches(truth, of_model) for of_model in results]
    metrics = [evaluate_coco(truth, of_model) for of_model in results]
    intervals = [paired_bootstrap(matches[0], found) for found in matches[1:]]
    title = f"{dataset.root.resolve().name} ({split}), {len(dataset.examples)} images"
    table = Table("model", title=title)
    for column in ("AP", "AP50", "AP less the first", "95 % interval"):
        table.add_column(column, justify="right")
    for number, (model, of) in enumerate(zip(models, metrics, strict=True)):
        beside = [f"{of.AP - metrics[0].AP:+.3f}", str(intervals[number - 1])] if number else []
        table.add_row(model, f"{of.AP:.3f}", f"{of.AP50:.3f}", *beside)
    console.print(table)
    changed = _changed(matches, CHANGED if report is None else SHOWN)
    for number, model in enumerate(models):
        for what, sign in (("better", 1), ("worse", -1)):
            of_model = [one for one in changed if one.model == number and one.change * sign > 0][:CHANGED]
            named = [f"{dataset.examples[one.image].path.name} ({one.change:+d})" for one in of_model]
            if named:
                console.print(f"{model} is {what} on {', '.join(named)}", soft_wrap=True, highlight=False)
    console.print("(+1: one more right detection, or one wrong one less, with each class's best threshold)")
    if report is not None:
        _write_comparison(report, models, detectors, matches, metrics, intervals, changed, dataset, title)
        console.print(f"The report is {report}: open it in a browser.", soft_wrap=True, highlight=False)


def _changed(matches: Sequence[Sequence[ClassMatches]], most: int) -> list[Changed]:
    """The images on which each later model is better than the first, those that changed most first; then the worse."""
    from setpiece.evaluation.precision import right_per_image
    from setpiece.explain.comparison import Changed

    old, changed = right_per_image(matches[0]), []
    for number, found in enumerate(matches[1:], 1):
        change = right_per_image(found) - old
        order = change.argsort(kind="stable")
        better = [int(i) for i in order[::-1][:most] if change[i] > 0]
        worse = [int(i) for i in order[:most] if change[i] < 0]
        changed += [Changed(number, i, int(change[i])) for i in [*better, *worse]]
    return changed


def _write_comparison(
    report: Path,
    models: Sequence[str],
    detectors: Sequence[Detector],
    matches: Sequence[Sequence[ClassMatches]],
    metrics: Sequence[CocoMetrics],
    intervals: Sequence[Interval],
    changed: Sequence[Changed],
    dataset: Dataset,
    title: str,
) -> None:
    from setpiece.atomic import write_whole
    from setpiece.evaluation.thresholds import DEFAULT
    from setpiece.evaluation.thresholds import curve as curve_of
    from setpiece.explain.comparison import Compared, comparison_payload
    from setpiece.web import render

    compared = []
    for number, (name, detector, found, of) in enumerate(zip(models, detectors, matches, metrics, strict=True)):
        best = {one.name: curve_of(one).best for one in found}
        compared.append(
            Compared(
                name,
                detector.predictor(),
                {name: DEFAULT if math.isnan(least) else least for name, least in best.items()},
                of.AP,
                of.AP50,
                of.AP - metrics[0].AP if number else None,
                (intervals[number - 1].low, intervals[number - 1].high) if number else None,
            )
        )
    write_whole(report, render(comparison_payload(compared, changed, dataset, title)))


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
