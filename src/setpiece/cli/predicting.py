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
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the metrics into this file.")] = None,
) -> None:
    """Measure a detector on a data set: COCO's twelve numbers, and AP per class."""
    from setpiece.atomic import write_whole
    from setpiece.data.sources import open_dataset
    from setpiece.detector import Detector

    if json_file is not None:
        require_writable(json_file, "--json")
    detector = Detector.load(model)
    dataset = open_dataset(data, split)
    for line in dataset.defects.summary():
        console.print(line, soft_wrap=True, highlight=False)
    metrics = detector.evaluate_coco(dataset)
    console.print(metrics.table())
    if json_file is not None:
        text = json.dumps(metrics.to_dict(), indent=2) + "\n"
        write_whole(json_file, text)


@app.command()
def predict(
    model: Model,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Images, folders of images, globs.")],
    threshold: Annotated[
        float,
        typer.Option(help="Lowest confidence to report, 0 to 1. Higher: fewer false boxes, more missed objects."),
    ] = 0.5,
    output: Annotated[Path, typer.Option(help="Folder for pictures and predictions.json.")] = Path("predictions"),
) -> None:
    """Detect objects in images: draws them, and writes COCO results."""
    from setpiece.detector import Detector
    from setpiece.inference.files import predict_files
    from setpiece.inference.sources import find_images

    files = find_images(sources)
    count = predict_files(Detector.load(model).predictor(), files, output, threshold)
    console.print(f"{count} objects in {len(files)} images: see {output}/ and {output / 'predictions.json'}")
