"""`setpiece export`: a model for other programs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from setpiece.cli.app import Model, app, console
from setpiece.errors import DataError, UsageError

if TYPE_CHECKING:
    from setpiece.export.export import Pictures

__all__ = ["export"]

IMAGES = 16  # that an export is verified on


@app.command()
def export(
    model: Model,
    format: Annotated[
        str,
        typer.Option(
            help="onnx, openvino, torch (an archive of torch.export), html (one page that detects in a browser), or "
            "transformers (of a paper's DETR)."
        ),
    ] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option(help="File to write, a folder for openvino and transformers; named after the model if not given."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Fix the input to one size x size canvas. Without, any height and width are taken."),
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Fix the number of images taken at once. Without, any.")] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Weights and their products in float16; coordinates stay float32.")
    ] = False,
    int8: Annotated[
        Path | None, typer.Option(metavar="DATA", help="8-bit integers, calibrated and measured on this data set.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data set or image folder to verify on. Without: what the run was trained on, or scenes. With --int8 "
            "a data set to measure AP on, in the place of DATA."
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare what it detects with what PyTorch detects.")
    ] = True,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights, to write into the file.")] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="For html: what `npm pack onnxruntime-web` wrote. Without: fetched through npm, once."
        ),
    ] = None,
) -> None:
    """Write a model for other programs or a browser, and verify it by what it detects in real images."""
    from setpiece.data import open_dataset
    from setpiece.detector import Detector
    from setpiece.export.export import FORMATS, describe, export, require_output
    from setpiece.export.web_runtime import find_web_runtime
    from setpiece.model.formats.files import locate
    from setpiece.runs.layout import RunFolder, read_metrics

    if format not in FORMATS:
        raise UsageError(f"There is no format {format!r}: choose {', '.join(FORMATS)}.")
    if half and int8 is not None:
        raise UsageError("--half and --int8 exclude each other: choose one.")
    if runtime is not None and format != "html":
        raise UsageError("--runtime is for --format html.")
    if data is not None and not verify:
        raise UsageError("--data is what is verified on: leave out --data or --no-verify.")
    run = RunFolder.around(Path(model))
    path = output or Path(f"{_name(model, run)}{FORMATS[format]}")
    require_output(path, format)
    checkpoint = Detector.load(model).predictor().checkpoint
    info = describe(
        checkpoint,
        size=size,
        batch=batch,
        precision="int8" if int8 else "fp16" if half else "fp32",
        metrics=None if run is None else read_metrics(locate(model).parent),
        licence=licence,
    )
    in_page = find_web_runtime(runtime, partial(console.print, soft_wrap=True)) if format == "html" else None
    pictures, whose = _pictures(data, run) if verify and int8 is None else ([], "")
    found = export(
        checkpoint,
        info,
        format,
        path,
        pictures=pictures,
        calibrate=None if int8 is None else open_dataset(int8, "train"),
        measure=None if int8 is None or not verify else open_dataset(data or int8, "valid"),
        runtime=in_page,
    )
    console.print(f"{found}{f' ({whose})' if whose else ''}\n{path}  {_megabytes(path):.1f} MB", soft_wrap=True)


def _name(model: str, run: Any) -> str:
    return (run.path if run is not None else Path(model)).resolve().name.removesuffix(".pth") or "model"


def _pictures(data: Path | None, run: Any) -> tuple[Pictures, str]:
    """Images to verify on, and whose they are."""
    from setpiece.data import read_image
    from setpiece.data.scenes import draw_scene
    from setpiece.data.sources import NoDatasetError
    from setpiece.inference.sources import find_images

    if data is not None:
        try:
            return _of_dataset(data), str(data)
        except NoDatasetError:  # a folder of images alone
            return [(file.name, read_image(file)) for file in find_images([str(data)])[:IMAGES]], str(data)
    if run is not None:
        known = run.data()
        try:
            return _of_dataset(known), str(known)
        except (DataError, UsageError):  # moved, emptied or changed since, and nobody asked for it
            where = "is not here" if not known.exists() else "cannot be read any more"
            said = f"The data set of the run, {known}, {where}, so that drawn scenes are looked at: name one by --data."
            console.print(said, soft_wrap=True, highlight=False)
    return [(f"scene {seed}", draw_scene(seed)[0]) for seed in range(IMAGES)], "scenes that were drawn"


def _of_dataset(data: Path) -> Pictures:
    from setpiece.data import available_splits, open_dataset, read_image

    split = "valid" if "valid" in available_splits(data) else "train"
    examples = open_dataset(data, split).examples[:IMAGES]
    return [(example.path.name, read_image(example.path, upright=example.upright)) for example in examples]


def _megabytes(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6
