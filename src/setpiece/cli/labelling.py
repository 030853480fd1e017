"""`setpiece label`: from photos to a detector while you label."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from setpiece.cli.app import app, console
from setpiece.errors import UsageError

__all__ = ["label"]


@app.command()
def label(
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="Folder of photos, or of a data set.")],
    classes: Annotated[
        str | None, typer.Option(help="Names of classes to begin with, as cat,dog; more can be added in the page.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the labels.  \\[default: PHOTOS-labels in the working folder]")
    ] = None,
    model: Annotated[str, typer.Option(help="The preset that is trained while you label.")] = "sprint-n",
    size: Annotated[
        int | None, typer.Option(min=64, help="Input size in pixels.  \\[default: the preset's own]")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Other than this machine's own, the printed address has a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
) -> None:
    """Label photos in the browser, while a detector learns from your labels and suggests the next ones."""
    import setpiece.serving  # noqa: F401  says what to install where something is missing
    from setpiece.labelling.server import Settings, serve

    names = [] if classes is None else [name.strip() for name in classes.split(",")]
    if not all(names):
        raise UsageError("--classes has a blank name: write names with commas between them, as cat,dog.")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--classes names {twice!r} twice: write each name once.")
    folder = output or Path(f"{photos.resolve().name}-labels")

    def ready(address: str) -> None:
        console.print(f"Labelling {photos} at {address} until Ctrl-C.", soft_wrap=True, highlight=False)
        sys.stdout.flush()  # which may be a file
        if browser:
            import webbrowser

            webbrowser.open(address)

    serve(Settings(photos, folder, names, model, size, host, port), ready)
    console.print(f"Stopped. The labels are in {folder}/; the same command goes on.", soft_wrap=True, highlight=False)
