"""How fast we predict beside the peers, in turn in one process, on the same images and for DETR with the same weights.

    python benchmarks/inference.py detr [--size 640] [--seconds 60]      # beside transformers' DetrForObjectDetection
    python benchmarks/inference.py sprint [--size 352] [--photo 640x480]  # beside D-FINE-N and YOLO11n

`detr` writes `detr-r50` with random weights as the folder that `transformers` reads, loads it there, and times one
image of size x size from the pixels of a canvas to logits and boxes: both in PyTorch, and ours in OpenVINO and, where
the processor has it, in bfloat16, also compiled by `torch.compile`. It prints ratios, and the largest difference of
boxes and scores.

`sprint` times whole calls, a JPEG file of --photo pixels to detections: `sprint-n` in PyTorch, ONNX Runtime and
OpenVINO, and the peers with random weights, whose speed is that of trained ones. They run at 640 pixels, for which they
were made, and at our size. They decode the whole file, as their own packages do. YOLO11n is timed where ultralytics
(AGPL) was installed by hand; it is not among our dependencies.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from setpiece.data.scenes import draw_scene
from setpiece.export.export import describe, export
from setpiece.export.timing import exported_runtimes
from setpiece.inference.backends import load_backend
from setpiece.inference.detecting import Detecting
from setpiece.inference.fast import fast
from setpiece.inference.precision import uses_bf16
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import create
from setpiece.model.zoo import load_head_start
from setpiece.records import Images, InputSize
from training import d_fine_n

Call = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["detr", "sprint"])
    parser.add_argument("--size", type=int)
    parser.add_argument("--photo", default="640x480", help="width x height of the JPEG file")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        if options.what == "detr":
            detr(options.size or 640, options.seconds, Path(folder))
        else:
            width, height = map(int, options.photo.split("x"))
            sprint(options.size or 352, (width, height), options.seconds, Path(folder))


def detr(size: int, seconds: float, folder: Path) -> None:
    from transformers import DetrForObjectDetection

    torch.manual_seed(0)
    checkpoint = create("detr-r50", [f"class {number}" for number in range(91)], shortest=size, longest=size)
    export(checkpoint, describe(checkpoint), "transformers", folder / "transformers")
    peer = DetrForObjectDetection.from_pretrained(folder / "transformers").eval()
    export(checkpoint, describe(checkpoint, size=size, batch=1), "openvino", folder / "openvino")
    openvino = load_backend(folder / "openvino")
    pixels = torch.randint(0, 255, (1, size, size, 3), dtype=torch.uint8)
    normalised = (pixels.float() / 255 - torch.tensor(checkpoint.mean)) / torch.tensor(checkpoint.std)
    normalised = normalised.permute(0, 3, 1, 2).contiguous()
    padding = torch.zeros(1, size, size, dtype=torch.bool)
    images = Images(normalised, padding, torch.tensor([[size, size]]))
    ours = {"ours, PyTorch": Predictor(fast(checkpoint), "fp32")}
    if uses_bf16("auto", torch.device("cpu")):
        ours["ours, PyTorch in bfloat16"] = Predictor(fast(checkpoint), "bf16")
        ours["ours, compiled in bfloat16"] = Predictor(fast(checkpoint, compile=True), "bf16")
    calls: dict[str, Call] = {"transformers": lambda: peer(pixel_values=normalised, pixel_mask=(~padding).long())}
    calls |= {name: partial(predictor.outputs, images) for name, predictor in ours.items()}
    sizes = np.array([[size, size]])
    calls["ours, OpenVINO"] = lambda: openvino.run(pixels.numpy(), sizes)
    theirs: Any = calls["transformers"]()
    for name, predictor in ours.items():
        outputs = predictor.outputs(images)
        boxes = (outputs.boxes[-1] - theirs.pred_boxes).abs().max().item()
        scores = (outputs.logits[-1].softmax(-1) - theirs.logits.softmax(-1)).abs().max().item()
        print(f"{name} differs from transformers by {boxes:.1e} (boxes, fractions) and {scores:.1e} (scores)")
    report(timed(calls, seconds), "transformers")


def sprint(size: int, photo: tuple[int, int], seconds: float, folder: Path) -> None:
    checkpoint = load_head_start("sprint-n", [f"class {number}" for number in range(80)])
    checkpoint = replace(checkpoint, size=InputSize(size, size))
    file = folder / "scene.jpg"
    Image.fromarray(draw_scene(0)[0]).resize(photo).save(file, quality=95)
    runtimes: dict[str, Detecting] = {"PyTorch": Predictor(fast(checkpoint))}
    runtimes |= exported_runtimes(checkpoint, ["onnx", "openvino"])
    calls: dict[str, Call] = {
        f"sprint-n at {size}, {name}": partial(detect, runtime, file) for name, runtime in runtimes.items()
    }
    for side in dict.fromkeys((640, size)):
        calls |= {f"D-FINE-N at {side}, {name}": call for name, call in peer_calls(d_fine(), side, file, folder)}
    try:
        from ultralytics import YOLO
    except ImportError:
        print("YOLO11n is not measured: ultralytics is not installed.")
    else:
        yolo = FirstOutput(YOLO("yolo11n.yaml").model.eval().fuse())
        for side in dict.fromkeys((640, size)):
            calls |= {f"YOLO11n at {side}, {name}": call for name, call in peer_calls(yolo, side, file, folder)}
    report(timed(calls, seconds), f"sprint-n at {size}, PyTorch")


def detect(runtime: Detecting, file: Path) -> object:
    return list(runtime.predict([file]))


def d_fine() -> torch.nn.Module:
    """D-FINE-N as a module of pixels alone, with the reading of its outputs."""

    class Reading(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = d_fine_n(80).eval()

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            outputs = self.model(pixel_values=pixels)
            return outputs.logits, outputs.pred_boxes

    return Reading()


class FirstOutput(torch.nn.Module):
    """YOLO's detections, without the maps that it returns beside them."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.model(pixels)[0],)


def peer_calls(model: torch.nn.Module, side: int, file: Path, folder: Path) -> list[tuple[str, Call]]:
    """A peer on an image resized to side x side: decoded, resized, normalised, computed, and its best 100 chosen."""
    import onnxruntime
    import openvino

    example = torch.zeros(1, 3, side, side)
    path = folder / f"peer-{id(model)}-{side}.onnx"
    torch.onnx.export(model, (example,), path, input_names=["pixels"], dynamo=False, opset_version=17)
    session = onnxruntime.InferenceSession(path)
    compiled = openvino.Core().compile_model(
        openvino.convert_model(model, example_input=example), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    channels_last = model.to(memory_format=torch.channels_last)

    def pixels() -> np.ndarray:
        image = Image.open(file).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        return np.ascontiguousarray(np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255)

    def chosen(outputs: Any) -> object:
        scores = torch.as_tensor(np.asarray(outputs)).flatten(1)
        return scores.topk(100)

    def eager() -> object:
        found = channels_last(torch.from_numpy(pixels()).contiguous(memory_format=torch.channels_last))
        return chosen(found[0])

    return [
        ("PyTorch", eager),
        ("ONNX Runtime", lambda: chosen(session.run(None, {"pixels": pixels()})[0])),
        ("OpenVINO", lambda: chosen(compiled(pixels())[0])),
    ]


def timed(calls: dict[str, Call], seconds: float) -> dict[str, float]:
    """The median of each, in milliseconds, timed in turn."""
    for call in calls.values():
        call()
    durations: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            durations[name].append(1000 * (time.perf_counter() - began))
    return {name: float(np.median(each)) for name, each in durations.items()}


def report(medians: dict[str, float], against: str) -> None:
    for name, median in medians.items():
        print(f"{name:36} {median:8.1f} ms   {medians[against] / median:5.2f} times as fast as {against}")


if __name__ == "__main__":
    main()
