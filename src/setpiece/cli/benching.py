"""`setpiece bench`: how fast a model detects on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from setpiece.cli.app import Model, Split, app, console

if TYPE_CHECKING:
    from setpiece.inference.detecting import Detecting

__all__ = ["bench"]

IMAGES = 16  # that are detected in


@app.command()
def bench(
    model: Model,
    data: Annotated[Path | None, typer.Option(help="Data set: its images are detected in, and AP is measured.")] = None,
    split: Split = "valid",
    seconds: Annotated[
        float, typer.Option(help="Of timing for each number of images at once; more gives steadier numbers.")
    ] = 20.0,
) -> None:
    """Time a model on this machine: PyTorch, ONNX Runtime and OpenVINO in turn, or an exported model alone."""
    from rich.table import Table

    from setpiece.data import open_dataset, read_image
    from setpiece.data.scenes import draw_scene
    from setpiece.detector import Detector
    from setpiece.export.timing import exported_runtimes, time_in_turn
    from setpiece.inference.evaluation import evaluate
    from setpiece.inference.exported import ExportedPredictor

    detector = Detector.load(model)
    detecting = detector.detecting()
    runtimes: dict[str, Detecting] = {}
    if isinstance(detecting, ExportedPredictor):
        runtimes[detecting.backend.name] = detecting
    else:
        console.print("Exporting to ONNX and OpenVINO …")
        if detector.computes_in_bf16:
            runtimes["PyTorch, bfloat16"] = detecting
        runtimes["PyTorch"] = Detector(model, detector.checkpoint, precision="fp32").detecting()
        runtimes |= exported_runtimes(detector.predictor().checkpoint, ["onnx", "openvino"])
    dataset = None if data is None else open_dataset(data, split)
    if dataset is None:
        pictures = [draw_scene(seed)[0] for seed in range(IMAGES)]
    else:
        pictures = [read_image(each.path, upright=each.upright) for each in dataset.examples[:IMAGES]]
    table = Table("runtime", "images at once", "p50", "p95", "images/s", *([] if dataset is None else ["AP"]))
    metrics = {} if dataset is None else {name: evaluate(each, dataset).AP for name, each in runtimes.items()}
    fixed = [each.fixed_batch for each in runtimes.values() if each.fixed_batch]  # of an exported model, which is alone
    for batch in fixed or (1, 8):
        for name, timing in time_in_turn(runtimes, pictures, batch=batch, seconds=seconds).items():
            row = [f"{timing.p50:.1f} ms", f"{timing.p95:.1f} ms", f"{timing.images_per_second:.1f}"]
            table.add_row(name, str(batch), *row, *([f"{metrics[name]:.3f}"] if metrics else []))
    console.print(table)
    console.print(f"From pixels to detections, images of {_sides(pictures)}, in turn on {os.cpu_count()} cores.")


def _sides(pictures: Sequence[Any]) -> str:
    sizes = sorted({f"{image.shape[1]}x{image.shape[0]}" for image in pictures})
    return sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes, such as {sizes[0]}"
