"""`setpiece serve`: a model behind HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from setpiece.cli.app import Model, PredictIn, app, console, load_detector

__all__ = ["serve"]

SUFFIXES = (".onnx", ".xml", ".pt2", ".pth", ".safetensors")


@app.command()
def serve(
    model: Model,
    host: Annotated[str, typer.Option(help="Address to listen on. 0.0.0.0: every machine that reaches this one.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8000,
    max_batch: Annotated[int, typer.Option(min=1, help="Images that the model looks at together, at most.")] = 8,
    max_wait_ms: Annotated[
        float, typer.Option(min=0, help="How long an image waits for others that are on their way, in milliseconds.")
    ] = 5.0,
    max_pixels: Annotated[
        int,
        typer.Option(
            min=1, max=178_956_970, help="Of an image. One whose header says more is refused, and not decoded."
        ),
    ] = 25_000_000,
    max_bytes: Annotated[int, typer.Option(min=1, help="Of the body of a request; more are not read.")] = 20_000_000,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Requests that are worked on at a time. Others are told to come again: 503.")
    ] = 128,
    body_seconds: Annotated[
        float, typer.Option(min=0.1, help="In which the body of a request has to arrive, or it is refused: 408.")
    ] = 30.0,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SETPIECE_TOKEN",
            help="Refuse requests without 'Authorization: Bearer TOKEN'. Other users of this machine see the option in "
            "the list of processes, and not the variable.",
        ),
    ] = None,
    precision: PredictIn = "auto",
) -> None:
    """Detect objects in images that are sent over HTTP, until Ctrl-C. Exported models are served without PyTorch."""
    from setpiece.serving.admission import checked_token
    from setpiece.serving.allocator import return_large_blocks
    from setpiece.serving.limits import Limits
    from setpiece.serving.server import DetectionServer, address_of, bind, is_loopback

    token = None if token is None else checked_token(token)
    limits = Limits(max_batch, max_wait_ms, max_pixels, max_bytes, max_queue, body_seconds)
    with bind(host, port) as bound:  # before the model is loaded, which takes longer
        server = DetectionServer(load_detector(model, precision).detecting(), _name(model), limits, token)
        if token is None and not is_loopback(host):
            console.print(
                f"Everybody who reaches {host} can use this server: give a --token, or listen on 127.0.0.1.",
                soft_wrap=True,
            )
        console.print(f"Serving {_name(model)} at {address_of(bound)} until Ctrl-C.", soft_wrap=True, highlight=False)
        sys.stdout.flush()  # which may be a file
        return_large_blocks()
        server.run([bound])
    console.print("Stopped; what was accepted is answered.")


def _name(model: str) -> str:
    """What a model is called, without the folders that it lies in; a hub id is whole.

    Example:
        >>> _name("facebook/detr-resnet-50")
        'facebook/detr-resnet-50'
    """
    path = Path(model)
    if not path.exists():
        return model
    path = path.resolve()
    name = path.name if path.suffix not in SUFFIXES else path.stem
    return f"{path.parent.name}/{name}" if name in ("best", "last", "model") else name
