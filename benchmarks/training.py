"""Training steps per second: `sprint-n` and `transformers`' D-FINE-N, the smallest, in turn, on the same images.

    python benchmarks/training.py [--size 320] [--batch 16] [--seconds 60]

A step is forward, loss, backward, gradient clipping and the optimiser (ours: Muon and AdamW; the peer's: AdamW), on
images and targets that are there already (no decoding and no augmentation, for either); ours also averages its weights.
Both start from random weights. Ours computes as training does (bfloat16 where the hardware has it); the peer is timed
in float32, its default, and where the hardware has bfloat16 under the same autocast too. A rate is all images over all
seconds, since ours averages its weights in every fourth step alone; beside it are those of the slowest and the fastest
step. Also printed: where our step's time goes.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config

from setpiece.inference.precision import autocast, uses_bf16
from setpiece.model.checkpoint import create
from setpiece.records import Targets
from setpiece.setloss import active_losses, auxiliary_losses, training_criterion
from setpiece.training.allocator import keep_freed_memory
from setpiece.training.config import resolve
from setpiece.training.optimiser import Ema, make_optimisers, update_ema

CLASSES = ("platelets", "red", "white")
CPU = torch.device("cpu")
Step = Callable[[], float]


def d_fine_n(classes: int) -> DFineForObjectDetection:
    """D-FINE-N as its authors configure it (HGNetV2-B0, two maps, three decoder layers), with random weights."""
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
        "out_indices": [3, 4],
    }
    config: dict[str, Any] = {
        "backbone_config": HGNetV2Config(**backbone),
        "freeze_backbone_batch_norms": False,
        "encoder_hidden_dim": 128,
        "encoder_in_channels": [512, 1024],
        "encoder_ffn_dim": 512,
        "encode_proj_layers": [1],
        "feat_strides": [16, 32],
        "hidden_expansion": 0.34,
        "depth_mult": 0.5,
        "d_model": 128,
        "decoder_in_channels": [128, 128],
        "decoder_ffn_dim": 512,
        "num_feature_levels": 2,
        "decoder_n_points": [6, 6],
        "decoder_layers": 3,
        "num_labels": classes,
    }
    return DFineForObjectDetection(DFineConfig(**config)).train()


def problem(batch: int, size: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Random images, and 2 to 25 random boxes in each (13 on average, as many as a blood-cell image has)."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, size, size, generator=generator)
    targets = []
    for count in torch.linspace(2, 25, batch).int().tolist():
        labels = torch.randint(len(CLASSES), (count,), generator=generator)
        targets.append({"labels": labels, "boxes": torch.rand(count, 4, generator=generator) * 0.4 + 0.2})
    return images, targets


def ours(images: Tensor, targets: list[dict[str, Tensor]]) -> tuple[nn.Module, Step]:
    """`sprint-n` and its step, as `setpiece.training.loop` takes it in the first three quarters of a run."""
    model = create("sprint-n", CLASSES).model.train().to(memory_format=torch.channels_last)
    config = resolve("-", "sprint-n", minutes=1.0)
    criterion, auxiliary = training_criterion(model.form), auxiliary_losses(config.one_to_many_weight)
    bf16 = uses_bf16("auto", CPU)
    optimisers, average = make_optimisers(model, config), Ema(model, config.ema_decay)
    images = images.contiguous(memory_format=torch.channels_last)
    padding = torch.zeros(len(images), *images.shape[2:], dtype=torch.bool)
    padded = Targets.from_list(targets)
    steps = itertools.count()

    def step() -> float:
        start = time.perf_counter()
        with autocast(CPU, bf16):
            outputs = model(images, padding)
        losses = criterion(outputs, padded)
        added, _ = active_losses(auxiliary, 0.0, outputs, padded, losses.match, criterion.weights)
        (losses.total + added).backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        update_ema(average, model, next(steps))
        return time.perf_counter() - start

    return model, step


def theirs(images: Tensor, targets: list[dict[str, Tensor]], *, bf16: bool) -> tuple[nn.Module, Step]:
    """D-FINE-N and its step."""
    model = d_fine_n(len(CLASSES))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    labels = [{"class_labels": t["labels"], "boxes": t["boxes"]} for t in targets]

    def step() -> float:
        start = time.perf_counter()
        with autocast(CPU, bf16):
            loss = model(pixel_values=images, labels=labels).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimiser.step()
        optimiser.zero_grad()
        return time.perf_counter() - start

    return model, step


def where_time_goes(step: Step, steps: int = 5) -> str:
    """The operators that take most of our step, in milliseconds."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(steps):
            step()
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    return "\n".join(f"  {event.key:48} {event.self_cpu_time_total / steps / 1e3:7.2f} ms" for event in events[:14])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to alternate")
    options = parser.parse_args()
    keep_freed_memory()  # as training does; the peers gain from it too
    torch.manual_seed(0)
    images, targets = problem(options.batch, options.size)
    systems = {
        "setpiece sprint-n": ours(images, targets),
        "transformers D-FINE-N, float32": theirs(images, targets, bf16=False),
    }
    if uses_bf16("auto", CPU):
        systems["transformers D-FINE-N, bfloat16"] = theirs(images, targets, bf16=True)
    steps: dict[str, Step] = {}
    for name, (model, step) in systems.items():
        parameters = sum(parameter.numel() for parameter in model.parameters())
        print(f"{name}: {parameters / 1e6:.2f} M parameters", flush=True)
        steps[name] = step
        step()  # warm up
    times: dict[str, list[float]] = {name: [] for name in steps}
    end = time.perf_counter() + options.seconds
    while time.perf_counter() < end or len(times["setpiece sprint-n"]) < 5:
        for name, step in steps.items():
            times[name].append(step())
    print(
        f"{torch.get_num_threads()} threads, {options.size} px, batches of {options.batch}; images/s (range of steps)"
    )
    rates = {name: options.batch / statistics.fmean(taken) for name, taken in times.items()}
    for name, taken in times.items():
        spread = f"({options.batch / max(taken):.1f} .. {options.batch / min(taken):.1f})"
        ratio = rates["setpiece sprint-n"] / rates[name]
        print(f"{name:34} {rates[name]:6.1f} {spread}  ours is {ratio:.1f} times as fast")
    print("Our step:\n" + where_time_goes(steps["setpiece sprint-n"]))


if __name__ == "__main__":
    main()
