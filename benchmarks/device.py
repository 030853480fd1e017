"""First contact with a GPU: tests, the solver, benchmarks and short trainings, in one command of about nine minutes.

    python benchmarks/device.py [--device cuda] [--data bccd] [--minutes 1.5] [--output build/device] [--short]

It needs PyTorch, Triton, SciPy and this checkout, no network and no installation; it says at once what else is missing,
and which part that leaves out. Every part is a process of its own with a time limit. What it printed is shown and kept
in a file of `--output`, also where a later part dies. `--device cpu --short` rehearses every line but CUDA's own.

Ratios are of medians of steps taken in turn. "the original's loss" is that of `transformers`: the cost of all images
against all targets, `.cpu()` and SciPy, for one layer after the other.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

LOSS = ("torch", "scipy", "numpy", "jaxtyping")
TRAINING = (*LOSS, "torchvision", "accelerate", "pydantic", "supervision", "faster_coco_eval", "tensorboard", "PIL")
# Each part: its time limit in seconds (all together less than ten minutes), and the modules that it cannot do without.
PARTS = {
    "tests": (110, (*TRAINING, "pytest", "hypothesis", "filelock", "plotly", "psutil", "rich", "safetensors")),
    "solver": (40, LOSS),
    "criterion": (90, LOSS),
    "steps": (80, TRAINING),
    "scenes": (130, TRAINING),
    "data": (130, TRAINING),
}
TESTS = ("tests/setloss/test_on_device.py", "tests/test_device.py", "tests/training/test_cuda_graphs.py")
MORE_TESTS = ("tests/training/test_captures.py", "tests/training/test_recorder.py", "tests/inference/test_predictor.py")
# layers, images, queries, classes, targets in each image; None for as many as in COCO
Shape = tuple[int, int, int, int, int | None]
COCO_LIKE: tuple[Shape, ...] = (
    (6, 16, 100, 91, None),
    (7, 16, 300, 80, None),
    (7, 32, 300, 80, None),
    (7, 16, 900, 80, None),
)
DENSE: Shape = (7, 16, 300, 80, 100)

Step = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--data", type=Path, help="a data set to train on beside the scenes, as bccd")
    parser.add_argument("--minutes", type=float, default=1.5, help="of training, on the scenes and on --data each")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "device")
    parser.add_argument("--short", action="store_true", help="the least of everything: a rehearsal")
    parser.add_argument("--part", choices=PARTS, help="this part alone, in this process")
    options = parser.parse_args()
    if options.part is not None:
        globals()[f"part_{options.part}"](options)
        return
    options.output.mkdir(parents=True, exist_ok=True)
    for name, (limit, modules) in PARTS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if name == "data" and options.data is None:
            print("== data: left out, as no --data is given", flush=True)
        elif missing:
            print(f"== {name}: left out, as {', '.join(missing)} cannot be imported", flush=True)
        else:
            run_part(name, limit, options.output)


def run_part(name: str, limit: int, output: Path) -> None:
    """Run a part in a process of its own, show what it prints, and keep it."""
    command = [sys.executable, "-u", __file__, *sys.argv[1:], "--part", name]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    start, file = time.perf_counter(), output / f"{name}.log"
    print(f"== {name} (at most {limit} s)", flush=True)
    with file.open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            end = f"ended with {process.wait(limit)}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # what it started, too
            process.wait()
            end = "ran out of time"
    print(file.read_text(), end="")
    print(f"== {name} {end} after {time.perf_counter() - start:.0f} s", flush=True)


# ---- the parts ----


def part_tests(options: argparse.Namespace) -> None:
    """The tests that compute on a device, with the shape checks where beartype is there."""
    files = [*TESTS, *(() if options.short else MORE_TESTS)]
    checks = ["--jaxtyping-packages=setpiece,beartype.beartype"] if importlib.util.find_spec("beartype") else []
    settings = ["-o", "addopts=--import-mode=importlib", "-o", "filterwarnings=default", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", "--durations=5", *settings, *checks, *files]
    environment = os.environ | {"SETPIECE_DEVICE": options.device}
    raise SystemExit(subprocess.run(command, cwd=ROOT, env=environment).returncode)


def part_solver(options: argparse.Namespace) -> None:
    """Total costs beside SciPy's, and how long a solution takes by the warps of a program."""
    import torch
    from scipy.optimize import linear_sum_assignment

    from setpiece.setloss import assign

    generator = torch.Generator().manual_seed(0)
    wrong = solved = 0
    for T, Q, dtype in ((100, 300, "float32"), (20, 100, "bfloat16"), (60, 40, "float32"), (30, 900, "float32")):
        for ties in (False, True):
            problems = 8 if options.short else 250
            cost = torch.randint(0, 5, (problems, T, Q), generator=generator).float()
            cost = (cost if ties else torch.randn(problems, T, Q, generator=generator)).to(getattr(torch, dtype))
            count = torch.randint(0, T + 1, (problems,), generator=generator)
            chosen = assign(cost.to(options.device), count.to(options.device)).cpu()
            for rows, n, queries in zip(cost.double(), count.tolist(), chosen, strict=True):
                pairs = [(t, q) for t, q in enumerate(queries.tolist()) if q >= 0]
                best = rows[:n].numpy()[linear_sum_assignment(rows[:n].numpy())].sum()
                total = sum(rows[t, q].item() for t, q in pairs)
                distinct = len({q for _, q in pairs}) == len(pairs) == min(n, Q)
                wrong += not distinct or abs(total - best) > 1e-5 * max(1, abs(best))
                solved += 1
    print(f"{solved} ragged problems, {wrong} of them with another total cost than SciPy's")
    for T, Q in ((100, 300), (7, 300), (20, 900)):
        cost, count = torch.randn(112, T, Q, generator=generator), torch.full((16,), T)
        start = time.perf_counter()
        for rows in cost.numpy():
            linear_sum_assignment(rows)
        scipy = time.perf_counter() - start
        if options.device == "cpu":
            print(f"112 problems of {T} x {Q}: SciPy {scipy * 1e3:.2f} ms")
            continue
        from setpiece.setloss import device_assignment

        solve = partial(device_assignment.solve, cost.cuda(), count.cuda())
        times = {}
        for warps in (1, 2, 4):
            with patch.object(device_assignment, "warps_of", return_value=warps):
                times[warps] = timed({"solve": solve}, options, 1.0)["solve"]
        by_warps = ", ".join(f"{warps} warps {taken * 1e3:.3f}" for warps, taken in times.items())
        print(f"112 problems of {T} x {Q}: SciPy {scipy * 1e3:.2f} ms, ours {by_warps}", flush=True)


def part_criterion(options: argparse.Namespace) -> None:
    """Forward and backward of the loss beside the original's, and what a step does."""
    import torch

    from setpiece.records import Outputs
    from setpiece.setloss import SetCriterion

    if importlib.util.find_spec("torch_hungarian") is None:
        print("torch-hungarian cannot be imported: it is not compared")
    criterion = SetCriterion()

    def step(leaves: Any, targets: Any) -> Any:
        return torch.autograd.grad(criterion(Outputs(*leaves), targets).total, leaves)

    for shape in COCO_LIKE[:1] if options.short else (*COCO_LIKE, DENSE):
        leaves, targets, labels = problem(shape, options.device)
        ours = partial(step, leaves, targets)
        start = time.perf_counter()
        ours()
        synchronise(options)
        first = time.perf_counter() - start
        steps: dict[str, Step] = {"ours": ours}
        if options.device == "cuda":
            steps["ours, captured"] = captured(ours)
        if importlib.util.find_spec("transformers") is not None:
            steps["the original's"] = original(leaves, labels, shape[3])
        print(f"{shape}, {int(targets.count.sum())} targets; the first step took {first:.2f} s")
        show(timed(steps, options, 0.5 if options.short else 6.0), "ours")
        if options.device == "cuda":
            print(f"  a step of ours: {what_happens(ours)}", flush=True)
    if options.device == "cuda":
        from setpiece.setloss.device_assignment import solver_kernel

        for seed in range(200):
            step(*problem(COCO_LIKE[1], options.device, seed)[:2])
        kept = [len(caches[0]) for caches in solver_kernel.device_caches.values()]
        print(f"compilations of the kernel, after 200 more batches: {sum(kept)}")


def part_steps(options: argparse.Namespace) -> None:
    """A whole step: `sprint-n` with and without graphs, `sprint-s` beside D-FINE-S."""
    import torch
    from accelerate import Accelerator

    from setpiece.model.checkpoint import create
    from setpiece.records import Batch, Images, Targets
    from setpiece.training.config import resolve
    from setpiece.training.step import Stepper

    side, images = (128, 2) if options.short else (320, 16)
    names = ["a", "b", "c"]
    _, _, labels = problem((1, images, 1, len(names), None), options.device)
    targets = [{"labels": one["class_labels"], "boxes": one["boxes"]} for one in labels]
    pixels = torch.randn(images, 3, side, side, device=options.device)
    padding = torch.zeros(images, side, side, dtype=torch.bool, device=options.device)
    sizes = torch.full((images, 2), side)
    batch = Batch(Images(pixels, padding, sizes), Targets.from_list(targets), torch.arange(images))

    def stepper(preset: str, *, graphs: bool) -> Step:
        settings: dict[str, Any] = {"batch_size": images, "minutes": 1.0, "pretrained": False, "cuda_graphs": graphs}
        accelerator = Accelerator(cpu=options.device == "cpu", mixed_precision="no")
        made = Stepper(create(preset, names).model, resolve("-", preset, **settings), accelerator, images)
        made.model.train()
        return lambda: made.step(batch, 100, 0.1)

    seconds = 0.5 if options.short else 10.0
    steps = {"sprint-n": stepper("sprint-n", graphs=False)}
    if options.device == "cuda":
        steps["sprint-n, captured"] = stepper("sprint-n", graphs=True)
    show(timed(steps, options, seconds), "sprint-n")
    if options.device == "cuda":
        print(f"  a step of sprint-n: {what_happens(steps['sprint-n'])}", flush=True)
    steps = {"sprint-s": stepper("sprint-s", graphs=False)}
    if options.device == "cuda":
        steps["sprint-s, captured"] = stepper("sprint-s", graphs=True)
    if importlib.util.find_spec("transformers") is not None:
        steps["D-FINE-S"] = d_fine_s(len(names), pixels, labels, options.device)
    times = timed(steps, options, seconds)
    show(times, "sprint-s")
    print("  " + ", ".join(f"{name} {images / taken:.0f} images/s" for name, taken in times.items()))


def part_scenes(options: argparse.Namespace) -> None:
    """Train on drawn scenes."""
    from setpiece.data.scenes import write_scenes

    train_on(write_scenes(options.output / "scenes", train=16 if options.short else 400, valid=8), options)


def part_data(options: argparse.Namespace) -> None:
    """Train on a data set."""
    train_on(options.data, options)


# ---- what they share ----


def train_on(data: Path, options: argparse.Namespace) -> None:
    """Train `sprint-s` from random weights; images per second of each epoch, and the metrics at the end."""
    from setpiece.runs.layout import RunFolder
    from setpiece.training.config import resolve
    from setpiece.training.start import start_training

    folder = options.output / f"run-{data.name}-{int(time.time())}"
    least: dict[str, Any] = {"size": 128, "batch_size": 2, "workers": 1} if options.short else {}
    minutes = 0.05 if options.short else options.minutes
    config = resolve(data, "sprint-s", minutes=minutes, pretrained=False, evaluations=1, **least)
    result = start_training(config, folder)
    rates = [row["images_per_second"] for row in RunFolder(folder).metrics_rows()]
    print(
        f"{data.name}, {minutes} minutes of sprint-s from random weights: images/s by epoch {rates[:3]} .. {rates[-3:]}"
    )
    if result.metrics is not None:
        print(f"AP {result.metrics.AP:.3f}, AP50 {result.metrics.AP50:.3f}")


def problem(shape: Shape, device: str, seed: int = 0) -> tuple[list[Any], Any, list[dict[str, Any]]]:
    """Random logits and boxes that need gradients; targets padded, and as `transformers` takes them."""
    import torch

    from setpiece.records import Targets

    L, B, Q, C, count = shape
    generator = torch.Generator().manual_seed(seed)

    def boxes(*shape: int) -> Any:
        return torch.rand(*shape, 4, generator=generator) * 0.4 + 0.2

    leaves = [torch.randn(L, B, Q, C + 1, generator=generator), boxes(L, B, Q)]
    # 7 targets on average, 1 % of the images without, some with many: about as in COCO.
    like_coco = torch.randn(B, generator=generator).mul(1.1).add(1.35).exp().round().clamp(0, 90)
    counts = like_coco.int().tolist() if count is None else [count] * B
    targets = [{"labels": torch.randint(C, (n,), generator=generator), "boxes": boxes(n)} for n in counts]
    labels = [{"class_labels": t["labels"].to(device), "boxes": t["boxes"].to(device)} for t in targets]
    return [leaf.to(device).requires_grad_() for leaf in leaves], Targets.from_list(targets).to(device), labels


def original(leaves: list[Any], labels: list[dict[str, Any]], classes: int) -> Step:
    """The loss of DETR as `transformers` has it, with auxiliary layers."""
    import torch
    from transformers import DetrConfig
    from transformers.loss.loss_for_object_detection import ForObjectDetectionLoss

    config = DetrConfig(auxiliary_loss=True)
    config.num_labels = classes

    def step() -> Any:
        logits, boxes = leaves
        loss = ForObjectDetectionLoss(logits[-1], labels, logits.device, boxes[-1], config, logits, boxes)[0]
        return torch.autograd.grad(loss, leaves)

    return step


def d_fine_s(classes: int, pixels: Any, labels: list[dict[str, Any]], device: str) -> Step:
    """A training step of D-FINE-S, as its authors configure it, in bfloat16 where we compute in it."""
    import torch
    from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config

    from setpiece.inference.precision import autocast, uses_bf16

    backbone: dict[str, Any] = {
        "stem_channels": [3, 16, 16],
        "stage_in_channels": [16, 64, 256, 512],
        "stage_mid_channels": [16, 32, 64, 128],
        "stage_out_channels": [64, 256, 512, 1024],
        "stage_num_blocks": [1, 1, 2, 1],
        "stage_numb_of_layers": [3, 3, 3, 3],
        "use_learnable_affine_block": True,
        "depths": [1, 1, 2, 1],
        "hidden_sizes": [64, 256, 512, 1024],
        "out_indices": [2, 3, 4],
    }
    config: dict[str, Any] = {
        "backbone_config": HGNetV2Config(**backbone),
        "freeze_backbone_batch_norms": False,
        "encoder_in_channels": [256, 512, 1024],
        "hidden_expansion": 0.5,
        "depth_mult": 0.34,
        "decoder_layers": 3,
        "decoder_n_points": [3, 6, 3],
        "num_labels": classes,
    }
    model = DFineForObjectDetection(DFineConfig(**config)).train().to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-4, fused=True)
    where = torch.device(device)

    def step() -> None:
        with autocast(where, uses_bf16("auto", where)):
            loss = model(pixel_values=pixels, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimiser.step()
        optimiser.zero_grad()

    return step


def captured(step: Step) -> Step:
    """A step in a CUDA graph, after three that warm up."""
    import torch

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        step()
    return graph.replay


def synchronise(options: argparse.Namespace) -> None:
    """Wait for the device."""
    import torch

    if options.device == "cuda":
        torch.cuda.synchronize()


def timed(steps: dict[str, Step], options: argparse.Namespace, seconds: float) -> dict[str, float]:
    """The median seconds of each step, taken in turn after five that warm up."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        for _ in range(1 if options.short else 5):
            step()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(taken.values()))) < 3:
        for name, step in steps.items():
            synchronise(options)
            start = time.perf_counter()
            step()
            synchronise(options)
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def show(times: dict[str, float], ours: str) -> None:
    """Milliseconds, and the ratio to ours."""
    for name, taken in times.items():
        print(f"  {name:20} {taken * 1e3:9.3f} ms   {taken / times[ours]:6.2f} times {ours}", flush=True)


def what_happens(step: Step) -> str:
    """Kernels of a step, and how often it waits for the device."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        step()
        torch.cuda.synchronize()
    kernels = sum("memcpy" not in e.name.lower() and "memset" not in e.name.lower() for e in profiled.events())
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as waits:
        warnings.simplefilter("always")
        step()
    torch.cuda.set_sync_debug_mode("default")
    return f"{kernels} kernels, {sum('synchron' in str(wait.message) for wait in waits)} synchronisations"


if __name__ == "__main__":
    main()
