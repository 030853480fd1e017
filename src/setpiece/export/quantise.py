"""Eight-bit integers in the place of floating-point numbers, by NNCF, calibrated on the user's own images.

Only the CNN is quantised: it is most of the arithmetic. The encoder behind it is not. On BCCD with `sprint-n`, AP went
from 0.589 to 0.587 with the CNN in 8 bits, and to 0.507 with the convolutions of the hybrid encoder as well, which lead
straight to the scores that queries are selected by.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from setpiece.data.dataset import Dataset
from setpiece.data.fitting import fitted, padded
from setpiece.data.images import read_image
from setpiece.errors import ExportError
from setpiece.export.telemetry import send_nothing
from setpiece.inference.backends import INPUTS
from setpiece.inference.model_info import ModelInfo

__all__ = ["quantised_onnx", "quantised_openvino"]

CALIBRATION_IMAGES = 100
CNN = "model.backbone"  # the scope of the CNN's modules in a graph


def quantised_openvino(model: Any, info: ModelInfo, dataset: Dataset) -> Any:
    """A model of OpenVINO's whose CNN computes in 8 bits.

    Args:
        model: float32.
        info: of the model.
        dataset: its first images show the ranges of the activations.

    Raises:
        ExportError: nothing became 8 bits.
        ImportError: nncf is not installed.
    """
    others = [op.get_friendly_name() for op in model.get_ops() if CNN not in op.get_friendly_name()]
    quantised = _quantised(model, others, info, dataset)
    _require_some(op.get_type_name() == "FakeQuantize" for op in quantised.get_ops())
    return quantised


def quantised_onnx(model: Any, info: ModelInfo, dataset: Dataset) -> Any:
    """The same of an ONNX model.

    Raises:
        ExportError: likewise.
        ImportError: likewise.
    """
    _fold_constant_casts(model)
    others = [node.name for node in model.graph.node if not any(CNN in each.value for each in node.metadata_props)]
    quantised = _quantised(model, others, info, dataset)
    _require_some(node.op_type == "QuantizeLinear" for node in quantised.graph.node)
    return quantised


def _require_some(is_quantiser: Iterable[bool]) -> None:
    """The scope of the CNN is known by its name, which the exporters write."""
    if not any(is_quantiser):
        raise ExportError(
            "Nothing of the model became 8 bits: its CNN is not found in what this version of torch or OpenVINO "
            "writes. Leave --int8 out, or install the versions of constraints.txt."
        )


def _quantised(model: Any, others: list[str], info: ModelInfo, dataset: Dataset) -> Any:
    send_nothing()
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    logging.getLogger("nncf").setLevel(logging.ERROR)  # its own function changes the handlers of others, too
    inputs = list(_inputs(dataset, info))
    return nncf.quantize(
        model,
        nncf.Dataset(inputs),
        subset_size=len(inputs),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=others, validate=False),
        # Processors without VNNI add products of 8 bits in 16, which overflow: half of the range is used.
        advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
    )


def _inputs(dataset: Dataset, info: ModelInfo) -> Iterator[dict[str, np.ndarray]]:
    for example in dataset.examples[:CALIBRATION_IMAGES]:
        pixels = read_image(example.path, upright=example.upright)
        canvases, sizes = padded([fitted(pixels, info.size)], 1 if info.canvas else info.least_area)
        height, width = info.canvas or canvases.shape[1:3]
        filled = np.zeros((info.batch or 1, height, width, 3), np.uint8)
        filled[0, : canvases.shape[1], : canvases.shape[2]] = canvases[0]
        yield dict(zip(INPUTS, (filled, np.repeat(sizes, info.batch or 1, 0)), strict=True))


def _fold_constant_casts(model: Any) -> None:
    """Convert constants once. NNCF stops at a Cast of one."""
    from onnx import helper, numpy_helper

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in [node for node in model.graph.node if node.op_type == "Cast" and node.input[0] in constants]:
        kind = helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
        value = numpy_helper.to_array(constants[node.input[0]]).astype(kind)
        model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        model.graph.node.remove(node)
