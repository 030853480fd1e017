"""`setpiece eval`, `curve` and `compare`: how good a model is, how much of that is chance, and what would help."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from setpiece.cli.app import DataFolder, Model, PredictIn, Split, app, console, load_detector, require_writable
from setpiece.cli.results import ap_history, require_page, write_page
from setpiece.errors import UsageError

if TYPE_CHECKING:
    from setpiece.training.config import TrainConfig
    from setpiece.training.studies import Measured

__all__ = ["compare", "curve", "evaluate"]

MINUTES = 3.0  # of a training
CHANGED = 5  # images that are named on either side
SHOWN = 12  # on the page
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the numbers into this file.")]
Size = Annotated[int | None, typer.Option(help="Input size of the trainings in pixels.  \\[default: the preset's]")]


@app.command("eval")
def evaluate(
    model: Model,
    data: DataFolder,
    split: Annotated[
        str | None, typer.Option(help="Which images of the data set: train, valid or test.  \\[default: valid]")
    ] = None,
    json_file: JsonFile = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Also write a page with thresholds, errors and their pictures, and what to do next; beside it its "
            "curves as PNG and its numbers as JSON."
        ),
    ] = None,
    curve_file: Annotated[
        Path | None,
        typer.Option("--curve", help="What setpiece curve --json wrote, to say what more images would bring."),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2, help="Cross-validation of a preset: leave each of so many parts of the images out in turn."
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=2, help="Train a preset with so many seeds.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Length of each training, with --folds or --seeds.  \\[default: 3]")
    ] = None,
    size: Size = None,
    precision: PredictIn = "auto",
) -> None:
    """Measure a detector on a data set: COCO's twelve numbers and how sure they are, thresholds, kinds of errors.

    With --folds or --seeds MODEL is a preset, which is trained several times: the spread says how much is chance.
    """
    from setpiece.atomic import write_whole
    from setpiece.data.fingerprint import fingerprint
    from setpiece.data.sources import open_dataset
    from setpiece.inference.next_steps import Outlook, next_steps

    if json_file is not None:
        require_writable(json_file, "--json")
    if folds is not None or seeds is not None:
        own = precision if precision != "auto" else None
        for option, value in (("--split", split), ("--report", report), ("--curve", curve_file), ("--precision", own)):
            if value is not None:
                raise UsageError(f"{option} is of one detector: leave it out with --folds and --seeds.")
        _repeat(_config(model, data, MINUTES if minutes is None else minutes, size), folds, seeds, json_file)
        return
    for option, given in (("--minutes", minutes), ("--size", size)):
        if given is not None:
            raise UsageError(f"{option} is of the trainings of --folds or --seeds: leave it out.")
    if report is not None:
        require_page(report, "--report")
    split = split or "valid"
    detector = load_detector(model, precision)
    dataset = open_dataset(data, split)
    outlook = None if curve_file is None else Outlook.read(curve_file, fingerprint(dataset)["sha256"])
    for line in dataset.defects.summary():
        console.print(line, soft_wrap=True, highlight=False)
    found = detector.analyse(dataset)
    for table in found.tables():
        console.print(table)
    console.print(found.sentence(), soft_wrap=True, highlight=False)
    steps = next_steps(found, dataset, detector.detecting().size, outlook, ap_history(model))
    for step in steps:
        console.print(f"- {step}", soft_wrap=True, highlight=False)
    if report is not None:
        write_page(report, found, dataset, f"{Path(model).name} on {dataset.root.resolve().name} ({split})", steps)
    if json_file is not None:
        write_whole(json_file, json.dumps(found.to_dict(), indent=2) + "\n")


def _repeat(config: TrainConfig, folds: int | None, seeds: int | None, json_file: Path | None) -> None:
    """Train a preset several times, and print each result, the mean and the spread."""
    from setpiece.atomic import write_whole
    from setpiece.training.start import open_data
    from setpiece.training.studies import by_fold, by_seed, join, spread, spread_table

    if folds is not None and seeds is not None:
        raise UsageError("Give either --folds or --seeds.")
    dataset, valid = open_data(config.data)
    if folds is not None:
        measured = _show(by_fold(config, join(dataset, valid), folds, console))
    elif valid is None:
        raise UsageError(f"{config.data} has no validation images to measure on: take --folds.")
    else:
        measured = _show(by_seed(config, dataset, valid, seeds or 2, console))
    console.print(spread_table(measured))
    if json_file is not None:
        write_whole(json_file, json.dumps(spread(measured), indent=2) + "\n")


@app.command()
def curve(
    data: DataFolder,
    model: Annotated[str, typer.Option(help="The preset that is trained.")] = "sprint-n",
    minutes: Annotated[float, typer.Option(help="Length of each of the four trainings.")] = MINUTES,
    size: Size = None,
    json_file: JsonFile = None,
) -> None:
    """Train on 25, 50, 75 and 100 % of the images, and say what twice as many would bring."""
    from setpiece.atomic import write_whole
    from setpiece.data.fingerprint import fingerprint
    from setpiece.training.start import open_data
    from setpiece.training.studies import by_share, outlook

    if json_file is not None:
        require_writable(json_file, "--json")
    config = _config(model, data, minutes, size)
    dataset, valid = open_data(data)
    if valid is None:
        raise UsageError(f"{data} has no validation images to measure on.")
    measured = _show(by_share(config, dataset, valid, console))
    expected = outlook(measured)
    if expected is not None:
        reached = (
            f"With {expected.images + expected.more} images AP would be {expected.low:.3f} to {expected.high:.3f}, if "
            "it grows by the same with every doubling."
        )
        said = [reached, expected.sentence()] if expected.rises else [expected.sentence()]
        console.print(" ".join(said), soft_wrap=True, highlight=False)
    if json_file is not None:
        points = [{"images": one.images} | one.metrics.to_dict() for one in measured]
        content = {
            "trainings": points,
            "measured_on": fingerprint(valid)["sha256"],
            "outlook": None if expected is None else asdict(expected),
        }
        write_whole(json_file, json.dumps(content, indent=2) + "\n")


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
    from setpiece.atomic import write_whole
    from setpiece.data.sources import open_dataset
    from setpiece.detector import Detector
    from setpiece.evaluation import comparison
    from setpiece.evaluation.analysis import few_images
    from setpiece.evaluation.numbers import in_words
    from setpiece.explain.comparison import comparison_payload
    from setpiece.inference.evaluation import results_of
    from setpiece.web import render

    if len(models) < 2:
        raise UsageError("Name two models or more to compare.")
    if report is not None:
        require_writable(report, "--report")
    dataset = open_dataset(data, split)
    detectors = [Detector.load(model) for model in models]
    if report is not None:
        for detector in detectors:
            detector.predictor()  # or it is said that an exported model has no matching
    results = [results_of(detector.detecting(), dataset) for detector in detectors]
    compared = comparison.compare(dataset.to_coco(), list(zip(models, results, strict=True)))
    images = len(dataset.examples)
    title = f"{dataset.root.resolve().name} ({split}), {images} image{'s' if images != 1 else ''}"
    table = Table(Column("model", overflow="fold"), title=title)
    for column in ("AP", "95 % interval", "AP50", "change", "95 % interval"):
        table.add_column(column, justify="right", no_wrap=True)
    for of in compared:
        beside = [] if of.difference is None else [in_words(of.difference, "+.3f"), str(of.interval)]
        table.add_row(of.name, in_words(of.metrics.AP), str(of.ap), in_words(of.metrics.AP50), *beside)
    console.print(table)
    for sentence in few_images(images):
        console.print(sentence)
    changed = comparison.changed_images(compared, CHANGED if report is None else SHOWN)
    for number, model in enumerate(models):
        for what, sign in (("better", 1), ("worse", -1)):
            of_model = [one for one in changed if one.model == number and one.change * sign > 0][:CHANGED]
            named = [f"{dataset.examples[one.image].path.name} ({one.change:+d})" for one in of_model]
            if named:
                console.print(f"{model} is {what} on {', '.join(named)}", soft_wrap=True, highlight=False)
    console.print("(+1: one more right detection, or one wrong one less, with each class's best threshold)")
    if report is not None:
        predictors = [detector.predictor() for detector in detectors]
        title = ". ".join([title, *few_images(images)])
        write_whole(report, render(comparison_payload(compared, predictors, changed, dataset, title)))
        console.print(f"The report is {report}: open it in a browser.", soft_wrap=True, highlight=False)


def _config(model: str, data: Path, minutes: float, size: int | None) -> TrainConfig:
    from setpiece.model.presets import presets
    from setpiece.training.config import resolve

    if model not in presets():
        raise UsageError(f"{model} is no preset to be trained: choose one of {', '.join(presets())}.")
    return resolve(data, model, minutes=minutes, size=size, evaluations=1)


def _show(trainings: Iterator[Measured]) -> list[Measured]:
    """Print a line for each training when it is done."""
    from setpiece.evaluation.numbers import in_words

    done = []
    for one in trainings:
        done.append(one)
        console.print(
            f"{one.name}: AP {in_words(one.metrics.AP)}, AP50 {in_words(one.metrics.AP50)}, trained on {one.images} "
            "images",
            highlight=False,
        )
    return done
