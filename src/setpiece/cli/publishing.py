"""`setpiece push`: a model for other people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setpiece.cli.app import Model, app, console

__all__ = ["push"]


@app.command()
def push(
    model: Model,
    repository: Annotated[str, typer.Argument(metavar="USER/NAME", help="Repository of the hub; made if missing.")],
    private: Annotated[bool, typer.Option("--private", help="Make a repository that only you see.")] = False,
    token: Annotated[
        str | None, typer.Option(help="Of the hub. Without: that of `hf auth login`, or of the variable HF_TOKEN.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights, by the hub's identifier, such as apache-2.0.")
    ] = None,
) -> None:
    """Publish a model on the Hugging Face hub, with a card that says what it detects, how well, and how it was trained.

    A paper's DETR is published in the form of transformers too. Paths of this machine are not published.
    """
    from setpiece.detector import Detector
    from setpiece.export.publish import publish
    from setpiece.model.formats.files import locate
    from setpiece.runs.layout import RunFolder, read_metrics

    checkpoint = Detector.load(model).predictor().checkpoint
    run = RunFolder.around(Path(model))
    address = publish(
        checkpoint,
        repository,
        settings=None if run is None else run.read_settings(),
        metrics=None if run is None else read_metrics(locate(model).parent),
        licence=licence,
        private=private,
        token=token,
    )
    console.print(
        f'Published at {address}\nAnyone who may see it loads it by Detector.load("{repository}").',
        soft_wrap=True,
        highlight=False,
    )
