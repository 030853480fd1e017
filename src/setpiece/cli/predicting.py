"""`setpiece predict` and `setpiece eval`: what a model detects, and how well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from setpiece.cli.app import DataFolder, Model, Split, app, console, require_writable

__all__ = ["evaluate", "predict"]


@app.command("eval")
def evaluate(
    model: Model,
    data: DataFolder,
    split: Split = "valid",
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the numbers into this file.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Also write a page with thresholds, errors and their pictures, and what to do next."),
    ] = None,
) -> None:
    """Measure a detector on a data set: COCO's twelve numbers and how sure they are, thresholds, kinds of errors."""
    from setpiece.atomic import write_whole
    from setpiece.data.sources import open_dataset
    from setpiece.detector import Detector
    from setpiece.inference.analysis_page import analysis_payload
    from setpiece.inference.next_steps import next_steps
    from setpiece.web import render

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
    steps = next_steps(found, dataset, detector.predictor().checkpoint.size)
    for step in steps:
        console.print(f"- {step}", soft_wrap=True, highlight=False)
    if report is not None:
        title = f"{Path(model).name} on {dataset.root.resolve().name} ({split})"
        write_whole(report, render(analysis_payload(found, dataset, title, steps)))
        console.print(f"The report is {report}: open it in a browser.", soft_wrap=True, highlight=False)
    if json_file is not None:
        text = json.dumps(found.to_dict(), indent=2) + "\n"
        write_whole(json_file, text)


@app.command()
def predict(
    model: Model,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Images, folders of images, globs.")],
    threshold: Annotated[
        str,
        typer.Option(
            help="Lowest confidence to report, 0 to 1. Higher: fewer false boxes, more missed objects. auto takes what "
            "gave each class its best F1 on the validation images; cat=0.4,dog=0.3 gives classes their own."
        ),
    ] = "0.5",
    output: Annotated[Path, typer.Option(help="Folder for pictures and predictions.json.")] = Path("predictions"),
) -> None:
    """Detect objects in images: draws them, and writes COCO results."""
    from setpiece.detector import Detector
    from setpiece.inference.files import predict_files
    from setpiece.inference.sources import find_images
    from setpiece.inference.thresholds import parse_threshold

    files = find_images(sources)
    count = predict_files(Detector.load(model).predictor(), files, output, parse_threshold(threshold))
    console.print(f"{count} objects in {len(files)} images: see {output}/ and {output / 'predictions.json'}")
