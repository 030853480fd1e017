"""A checkpoint -> a file that other programs run, verified by what it detects before it takes its name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8

from setpiece.atomic import write_whole, written_whole
from setpiece.data.dataset import Dataset
from setpiece.errors import ExportError, UsageError
from setpiece.export.graph import DetectionGraph
from setpiece.export.page import write_page
from setpiece.export.quantise import quantised_onnx, quantised_openvino
from setpiece.export.transformers import (
    TRANSFORMERS_FILES,
    is_transformers_export,
    require_transformers_form,
    transformers_backend,
    write_transformers,
)
from setpiece.export.verify import Agreement, Tolerance, compare
from setpiece.export.web_runtime import WebRuntime, find_web_runtime
from setpiece.export.writing import onnx_model, openvino_model, write_onnx, write_openvino, write_torch
from setpiece.inference.backends import Backend, Canvases, Found, Sizes, load_backend
from setpiece.inference.detecting import BATCH_SIZE
from setpiece.inference.evaluation import evaluate
from setpiece.inference.exported import ExportedPredictor
from setpiece.inference.model_info import ModelInfo
from setpiece.inference.thresholds import DEFAULT
from setpiece.input_size import STRIDE, InputSize, padded_size
from setpiece.model.checkpoint import Checkpoint

__all__ = ["FORMATS", "Format", "Pictures", "describe", "export", "require_output", "torch_backend"]

Format = Literal["onnx", "openvino", "torch", "html", "transformers"]
FORMATS: dict[Format, str] = {  # what a file's name ends in
    "onnx": ".onnx",
    "openvino": "_openvino",
    "torch": ".pt2",
    "html": ".html",
    "transformers": "_transformers",
}

FILES = {"openvino": {"model.xml", "model.bin"}, "transformers": TRANSFORMERS_FILES}  # of formats that are folders

Pictures = Sequence[tuple[str, UInt8[np.ndarray, "_ _ 3"]]]

# Of each precision. Eight bits are judged by AP: single boxes move, and that says little.
# In half precision another cell may be among the queries where scores are nearly equal, and all faint detections change
# a little: those are compared that `predict` reports.
TOLERANCES = {
    "fp32": Tolerance(pixels=0.5, score=1e-3, least=0.1),
    "fp16": Tolerance(pixels=1.0, score=1e-2, least=DEFAULT),
}
CELLS = 21  # of three maps in 32 x 32 pixels: 16 + 4 + 1
AP_LOSS = 0.01  # that eight bits may cost


def describe(
    checkpoint: Checkpoint,
    *,
    size: int | None = None,
    batch: int | None = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    metrics: dict[str, Any] | None = None,
    licence: str | None = None,
) -> ModelInfo:
    """What an export of a checkpoint will say of itself.

    Args:
        size: the side of the only canvas that the graph takes, in pixels, rounded up to a multiple of 32, and higher
            where it has fewer cells than there are queries; any where None, with the checkpoint's own input size.
        batch: the only number of images that it takes at once; any where None.
        metrics: of the checkpoint.
        licence: of the weights.

    Raises:
        UsageError: `size` or `batch` is not positive.
    """
    if (size is not None and size < 1) or (batch is not None and batch < 1):
        raise UsageError("--size and --batch are at least 1.")
    side = None if size is None else -(-size // STRIDE) * STRIDE
    least_area = math.ceil(checkpoint.model.num_queries * STRIDE**2 / CELLS)
    packages = ("setpiece", "torch", "onnx", "openvino", "nncf")
    return ModelInfo(
        preset=checkpoint.preset,
        classes=checkpoint.classes,
        thresholds=checkpoint.thresholds,
        shortest=side or checkpoint.size.shortest,
        longest=side or checkpoint.size.longest,
        canvas=None if side is None else padded_size(side, side, least_area),
        least_area=least_area,
        batch=batch,
        mean=checkpoint.mean,
        std=checkpoint.std,
        precision=precision,
        metrics=metrics,
        licence=licence,
        made_with={name: found for name in packages if (found := _version(name))},
    )


def export(
    checkpoint: Checkpoint,
    info: ModelInfo,
    format: Format,
    output: Path,
    *,
    pictures: Pictures = (),
    calibrate: Dataset | None = None,
    measure: Dataset | None = None,
    runtime: WebRuntime | None = None,
) -> str:
    """Write a checkpoint as `info` describes it.

    Args:
        output: a file, or a folder for OpenVINO and transformers.
        pictures: names and RGB pixels to verify it on.
        calibrate: for 8 bits: images that show the ranges of the activations.
        measure: for 8 bits: images to measure AP on. It is not verified where there are none to verify it on.
        runtime: for a page, what runs the model in it; from the cache or npm where None.

    Returns:
        What was found in verifying it, in a sentence or a small table.

    Raises:
        ExportError: it does not detect what the checkpoint detects, and nothing was written but a picture of the worst
            image; or nothing was detected, so that nothing could be verified; or nothing became 8 bits.
        UsageError: a package that writes or runs the format is not installed, or the format has no such precision, or
            `output` is not what the format writes, or may not be replaced, see `require_output`.
        OutputError: it cannot be written.
    """
    require_output(output, format)
    if format == "torch" and info.precision == "int8":
        raise UsageError("A torch.export archive has no 8-bit form: choose --format onnx or openvino.")
    if format == "transformers":
        require_transformers_form(checkpoint, info)
    if format == "html":
        if info.batch not in (None, 1):
            raise UsageError("A page looks at one image at a time: leave --batch out.")
        info = info.model_copy(update={"batch": 1})
        runtime = runtime or find_web_runtime()
    try:
        with written_whole(output) as unfinished:
            model = unfinished.with_name(f"{unfinished.name}.onnx") if format == "html" else unfinished
            _write(checkpoint, info, format, model, calibrate)
            said = _verified(checkpoint, info, format, model, pictures, measure, output)
            if format == "html" and runtime is not None:
                write_page(model.read_bytes(), info, runtime, unfinished, title=output.stem)
            return said
    except ImportError as error:
        raise UsageError(f"Exporting to {format} needs {error.name}: pip install 'setpiece[export]'.") from error


def require_output(output: Path, format: Format) -> None:
    """Refuse an output of another kind than the format writes, and to replace a folder that holds more than an export.

    Raises:
        UsageError: `output` is a file for a format that is a folder, or the reverse, or has another suffix; or it is
            another folder, or the working folder is it or in it.
    """
    if format not in FILES and output.is_dir():
        raise UsageError(f"{output} is a folder, and {format} is one file: name a file by --output.")
    if format not in FILES and output.suffix.lower() != FORMATS[format]:
        raise UsageError(f"--format {format} writes a {FORMATS[format]} file: name one by --output, not {output}.")
    if format in FILES and output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file, and {format} is a folder: name a folder by --output.")
    if not output.is_dir():
        return
    written = {file.name for file in output.iterdir()} <= FILES[format]
    if not written or (format == "transformers" and not is_transformers_export(output)):
        raise UsageError(f"{output} is a folder with other things: choose another --output.")
    if Path.cwd().is_relative_to(output.resolve()):
        raise UsageError(f"{output} is the folder that you work in, and would be replaced: choose another --output.")


def _verified(
    checkpoint: Checkpoint,
    info: ModelInfo,
    format: Format,
    model: Path,
    pictures: Pictures,
    measure: Dataset | None,
    output: Path,
) -> str:
    """What was found, in words; without images, whether it loads."""
    if format == "transformers" and not pictures:  # writing needs no transformers, running does
        return "Not verified."
    exported = ExportedPredictor(transformers_backend(model, info) if format == "transformers" else load_backend(model))
    reference = ExportedPredictor(torch_backend(checkpoint, info.model_copy(update={"precision": "fp32"})))
    if measure is not None:
        return _verify_ap(reference, exported, measure)
    if not pictures:
        return "Not verified."
    together = format != "transformers" and info.batch != 1  # transformers makes batches in its own way
    return _verify(reference, exported, pictures, output, together=together)


def torch_backend(checkpoint: Checkpoint, info: ModelInfo) -> Backend:
    """The graph computed by PyTorch: what an exported model is compared with."""
    graph = DetectionGraph(checkpoint)

    @torch.inference_mode()
    def run(images: Canvases, sizes: Sizes) -> Found:
        boxes, scores, labels = graph(torch.from_numpy(images), torch.from_numpy(sizes))
        return boxes.numpy(), scores.numpy(), labels.numpy()

    return Backend("PyTorch", info, run)


def _write(
    checkpoint: Checkpoint,
    info: ModelInfo,
    format: Format,
    unfinished: Path,
    calibrate: Dataset | None,
) -> None:
    if format == "transformers":
        write_transformers(checkpoint, info, unfinished)
        return
    graph = DetectionGraph(checkpoint, half=info.precision == "fp16")
    if format == "torch":
        write_torch(graph, info, unfinished)
        return
    if format in ("onnx", "html"):
        model = onnx_model(graph, info)
        write_onnx(model if calibrate is None else quantised_onnx(model, info, calibrate), info, unfinished)
    else:
        model = openvino_model(graph, info)
        write_openvino(model if calibrate is None else quantised_openvino(model, info, calibrate), info, unfinished)


def _verify(
    reference: ExportedPredictor,
    exported: ExportedPredictor,
    pictures: Pictures,
    output: Path,
    *,
    together: bool,
) -> str:
    """Compare images alone, and `together` in a batch too."""
    tolerance = TOLERANCES[exported.info.precision]
    agreement = compare(reference, exported, pictures, tolerance)
    if not agreement.detections:
        raise ExportError(
            f"The model detects nothing in {agreement.images} images, so that nothing can be verified: name images "
            "with such objects by --data, or give --no-verify."
        )
    _require_within(agreement, tolerance, output)
    if not together:
        return f"Verified on {agreement}"
    in_batch = compare(reference, exported, _batch(pictures, exported.size), tolerance, together=True)
    _require_within(in_batch, tolerance, output, " in a batch")
    return f"Verified on {agreement.with_worst_of(in_batch)}"


def _batch(pictures: Pictures, size: InputSize) -> Pictures:
    """Images that the model looks at together, two of them of different sizes in canvases of one size."""
    name, image = pictures[0]
    height, width = image.shape[:2]
    canvas = size.padded(height, width)
    for rows in range(height * 31 // 32, height // 2, -1):  # the lower rows are cut off
        if size.padded(rows, width) == canvas and size.fit(rows, width) != size.fit(height, width):
            return [pictures[0], (f"{name}, cut", image[:rows]), *pictures[1 : BATCH_SIZE - 1]]
    return pictures[:BATCH_SIZE]


def _require_within(agreement: Agreement, tolerance: Tolerance, output: Path, how: str = "") -> None:
    if not agreement.within(tolerance):
        picture = output.with_name(f"{output.name}.disagreement.png")
        if agreement.picture is not None:
            write_whole(picture, partial(agreement.picture.save, format="PNG"))
        raise ExportError(
            f"The exported model does not detect{how} what PyTorch detects: {agreement} At most {tolerance.pixels} px "
            f"and {tolerance.score} are allowed. The worst image is {agreement.worst}, see {picture}."
        )


def _verify_ap(reference: ExportedPredictor, exported: ExportedPredictor, dataset: Dataset) -> str:
    before, after = (evaluate(each, dataset) for each in (reference, exported))
    names = ("AP", "AP50", "AP75")
    rows = [
        " ".join([f"{who:8}", *(f"{getattr(of, name):6.3f}" for name in names)])
        for who, of in (("float32", before), ("8 bits", after))
    ]
    table = "\n".join([" ".join([" " * 8, *(f"{name:>6}" for name in names)]), *rows])
    if not before.AP > 0:  # nor where there is no object to find
        raise ExportError(
            f"The model in float32 has an AP of {before.AP:.3f} on {dataset.root}, so that nothing can be verified: "
            "name a data set with such objects by --data, or give --no-verify."
        )
    if not after.AP >= before.AP - AP_LOSS:
        raise ExportError(f"Eight bits cost more than {AP_LOSS} AP on {dataset.root}:\n{table}")
    return f"Verified on {len(dataset.examples)} images of {dataset.root}:\n{table}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
