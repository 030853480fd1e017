"""`setpiece explain`, `setpiece watch` and `setpiece tour`: the pages that show set prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setpiece.cli.app import Model, Split, app, console, require_writable
from setpiece.cli.results import ap_history
from setpiece.errors import UsageError

__all__ = ["explain", "tour", "watch"]


@app.command()
def explain(
    model: Model,
    data: Annotated[Path | None, typer.Option(metavar="DATA", help="Folder of a data set.")] = None,
    split: Split = "valid",
    images: Annotated[
        list[str] | None,
        typer.Option(help="Images of the data set by their file names, one or several; without --data, any images."),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE", show_default=False, help="Further --images.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The report: one HTML file that needs nothing else.")] = Path(
        "report.html"
    ),
    limit: Annotated[int, typer.Option(min=1, help="How many images to show where none are named.")] = 50,
    evaluate: Annotated[
        bool,
        typer.Option(help="Also evaluate on all images of --data, as setpiece eval does, unless some are named."),
    ] = True,
) -> None:
    """Show the set prediction: which query matched which object, at what cost, and how training changed it.

    MODEL may also be the capture that a run wrote when it diverged: then the batch of that step is shown.
    """
    from setpiece.data.sources import open_dataset
    from setpiece.detector import Detector
    from setpiece.explain.captured import explain_capture
    from setpiece.inference.analysis_page import analysis_payload
    from setpiece.inference.next_steps import next_steps
    from setpiece.inference.sources import find_images
    from setpiece.runs.capture import is_capture

    if more and not images:
        raise UsageError(f"It is not clear what {more[0]} is: name images after --images, a data set after --data.")
    names = [*(images or []), *(more or [])]
    captured = data is None and not names and is_capture(model)
    if data is None and not names and not captured:
        raise UsageError("Say what to explain the model on: --data DATA, or --images FILE.")
    require_writable(output, "--output")
    if captured:
        explanation = explain_capture(Path(model))
    elif data is None:
        explanation = Detector.load(model).explain([str(file) for file in find_images(names)])
    else:
        detector, dataset = Detector.load(model), open_dataset(data, split)
        explanation = detector.explain_dataset(dataset, names, limit=limit)
        if evaluate and not names:
            found = detector.analyse(dataset)
            console.print(found.sentence(), soft_wrap=True, highlight=False)
            steps = next_steps(found, dataset, detector.detecting().size, history=ap_history(model))
            explanation = explanation.evaluated(analysis_payload(found, dataset, explanation.title, steps))
    explanation.to_html(output)
    for finding in explanation.findings:
        console.print(f"- {finding}", soft_wrap=True, highlight=False)
    count = len(explanation.images)
    console.print(f"{count} image{'s' if count != 1 else ''} explained in {output}: open it in a browser.")


@app.command()
def watch(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that trains, or that has ended.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of this machine; 0 takes any that is free.")] = 0,
) -> None:
    """Show a run in a browser while it trains: losses, AP, and the matching of its probe images as it moves.

    The page is for a browser on this machine, and updates by itself. Ctrl-C ends the command, not the run.
    """
    from setpiece.explain.watch import WatchServer

    with WatchServer(run, port) as server:
        console.print(f"Watching {run}/: open {server.address} in a browser. Ctrl-C ends.", soft_wrap=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.print("No longer watching.")


@app.command()
def tour(
    output: Annotated[Path, typer.Option(help="The page: one HTML file that needs nothing else.")] = Path("tour.html"),
) -> None:
    """Learn set prediction from the beginning: a guided page with examples to play with, no model needed."""
    from setpiece.explain import write_tour

    require_writable(output, "--output")
    write_tour(output)
    console.print(f"The tour is {output}: open it in a browser.")
