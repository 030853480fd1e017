"""Eight-bit integers in the place of floating-point numbers, by NNCF, calibrated on the user's own images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from setpiece.data.dataset import Dataset
from setpiece.data.fitting import fitted, padded
from setpiece.data.images import read_image
from setpiece.inference.backends import INPUTS
from setpiece.inference.model_info import ModelInfo

__all__ = ["quantised"]

CALIBRATION_IMAGES = 100


def quantised(model: Any, info: ModelInfo, dataset: Dataset) -> Any:
    """A model of OpenVINO's or ONNX's whose convolutions and matrix products are computed in 8 bits.

    Args:
        model: float32.
        info: of the model.
        dataset: its first images show the ranges of the activations.

    Raises:
        ImportError: nncf is not installed.
    """
    import nncf

    inputs = list(_inputs(dataset, info))
    return nncf.quantize(
        model,
        nncf.Dataset(inputs),
        subset_size=len(inputs),
        model_type=nncf.ModelType.TRANSFORMER,
    )


def _inputs(dataset: Dataset, info: ModelInfo) -> Iterator[dict[str, np.ndarray]]:
    for example in dataset.examples[:CALIBRATION_IMAGES]:
        pixels = read_image(example.path, upright=example.upright)
        canvases, sizes = padded([fitted(pixels, info.size)])
        height, width = info.canvas or canvases.shape[1:3]
        filled = np.zeros((info.batch or 1, height, width, 3), np.uint8)
        filled[0, : canvases.shape[1], : canvases.shape[2]] = canvases[0]
        yield dict(zip(INPUTS, (filled, np.repeat(sizes, info.batch or 1, 0)), strict=True))
