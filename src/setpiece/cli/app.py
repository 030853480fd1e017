"""The Typer application, what its commands share, and the entry point."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console

from setpiece.atomic import FULL, is_special, through_links
from setpiece.errors import SetpieceError, StoppedError, UsageError

if TYPE_CHECKING:
    from setpiece.detector import Detector
    from setpiece.inference.precision import Precision

__all__ = [
    "DataFolder",
    "Model",
    "PredictIn",
    "Split",
    "app",
    "console",
    "load_detector",
    "main",
    "require_writable",
    "saying_on",
    "unused",
]

app = typer.Typer(
    help="Object detection as set prediction: train a DETR on your images, evaluate it, predict with it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(markup=False)  # class names and paths may hold brackets

DataFolder = Annotated[Path, typer.Argument(metavar="DATA", help="Folder of a data set: COCO, YOLO or Pascal VOC.")]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A run folder, a checkpoint folder, a .pth or .safetensors file, an exported model, or a hub id.",
    ),
]
Split = Annotated[str, typer.Option(help="Which images of the data set: train, valid or test.")]
PredictIn = Annotated[
    str,
    typer.Option(
        "--precision",
        help="auto, bf16 or fp32: auto takes bfloat16 where the hardware multiplies in it. Not of an exported model.",
    ),
]


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """Options of every command; `main` finds `--debug` itself, wherever it stands."""


def load_detector(model: str, precision: str) -> Detector:
    """A detector that predicts in a precision; where "auto" chose bfloat16, that is said.

    Raises:
        UsageError: there is no such precision, or see `Detector.load`.
    """
    from setpiece.detector import Detector

    if precision not in ("auto", "bf16", "fp32"):
        raise UsageError(f"--precision is auto, bf16 or fp32, not {precision}.")
    detector = Detector.load(model, precision=cast("Precision", precision))
    if precision == "auto" and detector.computes_in_bf16:
        console.print("Predicting in bfloat16, as this hardware does best; --precision fp32 for float32.")
    return detector


@contextmanager
def saying_on(*, stderr: bool) -> Iterator[None]:
    """Let `console` print to the standard error meanwhile, where the standard output carries data, or not."""
    before, console.stderr = console.stderr, stderr
    try:
        yield
    finally:
        console.stderr = before


def require_writable(file: Path, option: str) -> None:
    """Refuse a file that cannot be written before the work is done.

    Raises:
        UsageError: it is a folder, or its folder does not exist or is not writable; a link is judged by what it leads
            to, and a pipe or a device by itself.
    """
    if is_special(file):
        if not os.access(file, os.W_OK):
            raise UsageError(f"{option} {file} cannot be written: it is not writable, name another file.")
        return
    folder = through_links(file).parent
    if file.is_dir() or not folder.is_dir():
        raise UsageError(f"{option} {file} cannot be written: name a file in a folder that exists.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {file} cannot be written: {folder}/ is not writable, name another folder.")


def unused(folder: Path) -> Path:
    """The folder itself where nothing is there yet, else with the first free number from 2.

    Example:
        >>> import tempfile
        >>> runs = Path(tempfile.mkdtemp())
        >>> (runs / "demo").mkdir()
        >>> unused(runs / "demo").name
        'demo-2'
    """
    number, free = 2, folder
    while free.exists():
        free, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return free


def main() -> None:
    """Run the command line; an error of ours is one sentence and its own exit code."""
    for stream in (sys.stdout, sys.stderr):  # a console that cannot show a character does not end a run
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(format="%(message)s")
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="setpiece")
    except SystemExit as end:
        if end.code == 130:  # Typer's for an interrupt
            print("Stopped.", file=sys.stderr)
        raise
    except Exception as error:
        if debug:
            raise
        message, code = f"{type(error).__name__}: {error} (run again with --debug to see where)", 1
        if isinstance(error, SetpieceError):
            message, code = str(error), error.exit_code
        elif isinstance(error, OSError) and error.errno in FULL and error.filename is None:  # of no file that is named
            message = f"The output could not be written ({error.strerror}): make room where it goes."
        print(*([] if isinstance(error, StoppedError) else ["Error:"]), *message.splitlines(), file=sys.stderr)
        sys.exit(code)
