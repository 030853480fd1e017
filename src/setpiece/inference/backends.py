"""What runs an exported model: ONNX Runtime, OpenVINO, or PyTorch for its own archives. Only the last needs torch.

All run one graph, see `export.graph`: uint8 canvases and the size of the image in each -> boxes, scores, labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from setpiece.errors import UsageError, WeightsError
from setpiece.inference.model_info import KEY, ModelInfo

__all__ = ["INPUTS", "OUTPUTS", "Backend", "Canvases", "Found", "Sizes", "is_exported", "load_backend"]

Canvases = UInt8[np.ndarray, "B H W 3"]
Sizes = Int64[np.ndarray, "B 2"]
Found = tuple[Float32[np.ndarray, "B N 4"], Float32[np.ndarray, "B N"], Int64[np.ndarray, "B N"]]

INPUTS, OUTPUTS = ("images", "sizes"), ("boxes", "scores", "labels")


@dataclass(frozen=True)
class Backend:
    """A model that is loaded and runs.

    Attributes:
        name: of the runtime, for people.
        info: what the model says of itself.
        run: RGB canvases with 0 as padding at the right and bottom, and (height, width) of the image in each -> boxes
            xyxy in fractions of the image, scores and labels, the most confident first.
    """

    name: str
    info: ModelInfo
    run: Callable[[Canvases, Sizes], Found]


def is_exported(source: str | Path) -> bool:
    """Whether that is an exported model: a file .onnx, .xml or .pt2, or a folder that OpenVINO's format fills."""
    path = Path(source)
    return path.suffix.lower() in _LOADERS or _xml_of(path) is not None


def load_backend(source: str | Path) -> Backend:
    """Load an exported model.

    Raises:
        UsageError: there is no such file, or what runs it is not installed.
        WeightsError: it cannot be read, lacks a file, or was not written by `setpiece export`.
    """
    path = _xml_of(Path(source)) or Path(source)
    if not path.is_file():
        raise UsageError(f"There is no model at {path}.")
    try:
        return _LOADERS[path.suffix.lower()](path)
    except ImportError as error:
        raise UsageError(f"{path} needs {error.name} to run: pip install 'setpiece[export]'.") from error


def _xml_of(folder: Path) -> Path | None:
    """The model in a folder that OpenVINO's format fills, or fills but for the weights, if it has the name we give."""
    files = list(folder.glob("*.xml")) if folder.is_dir() else []
    models = [file for file in files if file.name == "model.xml" or file.with_suffix(".bin").is_file()]
    return models[0] if len(files) == len(models) == 1 else None


def _onnx(path: Path) -> Backend:
    import onnxruntime

    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(
            path, options, providers=[each for each in wanted if each in onnxruntime.get_available_providers()]
        )
    except Exception as error:  # of a dozen kinds
        raise WeightsError(f"{path} cannot be read by ONNX Runtime ({_first_line(error)}): export it again.") from error
    info = ModelInfo.read(session.get_modelmeta().custom_metadata_map.get(KEY), path)

    def run(images: Canvases, sizes: Sizes) -> Found:
        boxes, scores, labels = session.run(list(OUTPUTS), dict(zip(INPUTS, (images, sizes), strict=True)))
        return boxes, scores, labels.astype(np.int64)  # its own is C's long long

    return Backend("ONNX Runtime", info, run)


def _openvino(path: Path) -> Backend:
    import openvino

    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise WeightsError(f"{weights} is missing: it holds the weights of {path}, so copy both, or export it again.")
    core = openvino.Core()
    try:
        model = core.read_model(path)
        text = model.get_rt_info([KEY]).astype(str) if model.has_rt_info([KEY]) else None
        info = ModelInfo.read(text, path)
        # Its own choice on some processors is bfloat16, in which boxes move.
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"})
    except RuntimeError as error:
        raise WeightsError(f"{path} cannot be read by OpenVINO ({_first_line(error)}): export it again.") from error

    def run(images: Canvases, sizes: Sizes) -> Found:
        found = compiled.create_infer_request().infer(dict(zip(INPUTS, (images, sizes), strict=True)))
        boxes, scores, labels = (found[name] for name in OUTPUTS)
        return boxes, scores, labels.astype(np.int64)

    return Backend("OpenVINO", info, run)


def _torch(path: Path) -> Backend:
    import torch

    files = {f"{KEY}.json": ""}
    try:
        with path.open("rb") as file:  # by its name it would warn of another suffix, as of .PT2
            program: Any = torch.export.load(file, extra_files=files).module()
    except Exception as error:  # whatever a zip file that is none of ours leads to
        raise WeightsError(f"{path} cannot be read by PyTorch ({_first_line(error)}): export it again.") from error
    info = ModelInfo.read(files[f"{KEY}.json"], path)

    @torch.inference_mode()
    def run(images: Canvases, sizes: Sizes) -> Found:
        boxes, scores, labels = program(torch.from_numpy(images), torch.from_numpy(sizes))
        return boxes.numpy(), scores.numpy(), labels.numpy()

    return Backend("torch.export", info, run)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


_LOADERS = {".onnx": _onnx, ".xml": _openvino, ".pt2": _torch}
