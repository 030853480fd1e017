"""A `DetectionGraph` -> a file of each format."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from setpiece.export.graph import DetectionGraph
from setpiece.export.telemetry import send_nothing
from setpiece.inference.backends import INPUTS, OUTPUTS
from setpiece.inference.model_info import KEY, ModelInfo
from setpiece.input_size import STRIDE

__all__ = ["onnx_model", "openvino_model", "write_onnx", "write_openvino", "write_torch"]

OPSET = 18
EXAMPLE = (5 * STRIDE, 4 * STRIDE)  # a canvas that is traced where any is taken; its sides differ from each other


def onnx_model(graph: DetectionGraph, info: ModelInfo) -> Any:
    """The graph as ONNX.

    Raises:
        ImportError: onnx or onnxscript is not installed.
    """
    import onnxscript  # noqa: F401 (named by the error where it is missing)

    with _quietly():
        program = torch.onnx.export(
            _program(graph, info), dynamo=True, opset_version=OPSET, input_names=INPUTS, output_names=OUTPUTS
        )
    assert program is not None
    model = program.model_proto
    for value in (*model.graph.input, *model.graph.output):
        _name_dimensions(value)
    return model


def write_onnx(model: Any, info: ModelInfo, file: Path) -> None:
    """Write an ONNX file with `info` in its metadata."""
    import onnx

    onnx.helper.set_model_props(model, {KEY: info.model_dump_json()})
    model.producer_name = "setpiece"
    onnx.checker.check_model(model)
    onnx.save(model, file)


def _name_dimensions(value: Any) -> None:
    """Of an input or an output, by what they count: the exporter writes its own symbols."""
    names = {"images": ("batch", "height", "width"), "sizes": ("batch",)}.get(value.name, ("batch", "detections"))
    for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
        if dimension.dim_param:
            dimension.dim_param = name


def write_torch(graph: DetectionGraph, info: ModelInfo, file: Path) -> None:
    """Write an archive of `torch.export` with `info` beside the program."""
    with file.open("wb") as opened:
        torch.export.save(_program(graph, info), opened, extra_files={f"{KEY}.json": info.model_dump_json()})


def openvino_model(graph: DetectionGraph, info: ModelInfo) -> Any:
    """The graph as a model of OpenVINO's, converted from the PyTorch module.

    Raises:
        ImportError: openvino is not installed.
    """
    import openvino

    send_nothing()
    images, sizes = _example(info)
    shapes = [[info.batch or -1, *(info.canvas or (-1, -1)), 3], [info.batch or -1, 2]]
    with _quietly():
        model = openvino.convert_model(
            graph,
            example_input=(images, sizes),
            input=list(zip(shapes, (openvino.Type.u8, openvino.Type.i64), strict=True)),
        )
    for port, name in zip((*model.inputs, *model.outputs), (*INPUTS, *OUTPUTS), strict=True):
        port.get_tensor().set_names({name})
    return model


def write_openvino(model: Any, info: ModelInfo, folder: Path) -> None:
    """Write `model.xml`, with `info` inside, and `model.bin` into a new folder."""
    import openvino

    folder.mkdir()
    model.set_rt_info(info.model_dump_json(), [KEY])
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)


def _program(graph: DetectionGraph, info: ModelInfo) -> torch.export.ExportedProgram:
    """The graph traced, with a canvas and a batch of any size unless `info` says which."""
    batch = torch.export.Dim("batch") if info.batch is None else torch.export.Dim.STATIC
    rows, columns = (STRIDE * torch.export.Dim(name, min=2, max=4096) for name in ("rows", "columns"))
    sides = {} if info.canvas else {1: rows, 2: columns}
    shapes = {"images": {0: batch, **sides}, "sizes": {0: batch}}
    with torch.no_grad():
        return torch.export.export(graph, _example(info), dynamic_shapes=shapes)


def _example(info: ModelInfo) -> tuple[Tensor, Tensor]:
    height, width = info.canvas or EXAMPLE
    count = info.batch or 2
    return torch.zeros(count, height, width, 3, dtype=torch.uint8), torch.tensor([[height, width]] * count)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Exporters print their progress and warn of what they do themselves."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
