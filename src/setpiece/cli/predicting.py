"""`setpiece predict`: what a model detects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setpiece.cli.app import Model, app, console

__all__ = ["predict"]


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
    count = predict_files(Detector.load(model).detecting(), files, output, parse_threshold(threshold))
    console.print(f"{count} objects in {len(files)} images: see {output}/ and {output / 'predictions.json'}")
