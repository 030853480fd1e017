"""Criterion forward + backward on CPU: ours and `transformers`' DETR loss with auxiliary layers, in turn.

    python benchmarks/criterion.py [--seconds 4] [--default-allocator]

For every shape the two losses are compared first (1e-4 relative), then the two are timed in alternation until
`--seconds` have passed. Printed: median milliseconds, the spread between the 10th and the 90th percentile, the ratio of
the medians, and how long our step spends where.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from transformers import DetrConfig
from transformers.loss.loss_for_object_detection import ForObjectDetectionLoss

from setpiece.records import Outputs, Targets
from setpiece.setloss import SetCriterion, assign, match, matching_weights, pair_costs
from setpiece.training.allocator import keep_freed_memory

# (layers, images, queries, classes, mean targets)
SHAPES = (
    (6, 2, 100, 91, 7),
    (6, 16, 100, 91, 7),
    (6, 16, 300, 80, 7),
    (6, 16, 300, 80, 20),
    (6, 16, 900, 80, 20),
    (6, 16, 300, 80, 60),
)


def problem(L: int, B: int, Q: int, C: int, mean_targets: int) -> tuple[Tensor, Tensor, list[dict[str, Tensor]]]:
    """Random logits and boxes that need gradients; the counts of targets lie evenly between 1 and 2 · mean - 1."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(L, B, Q, C + 1, generator=generator).requires_grad_()
    boxes = (torch.rand(L, B, Q, 4, generator=generator) * 0.4 + 0.2).requires_grad_()
    targets = []
    for count in torch.linspace(1, 2 * mean_targets - 1, B).round().int().tolist():
        labels = torch.randint(0, C, (count,), generator=generator)
        targets.append({"labels": labels, "boxes": torch.rand(count, 4, generator=generator) * 0.4 + 0.2})
    return logits, boxes, targets


def ours(logits: Tensor, boxes: Tensor, targets: Targets) -> Tensor:
    """One step with the set criterion."""
    return SetCriterion()(Outputs(logits, boxes), targets).total


def theirs(logits: Tensor, boxes: Tensor, targets: list[dict[str, Tensor]]) -> Tensor:
    """One step with transformers' loss."""
    config = DetrConfig(auxiliary_loss=True)
    config.num_labels = logits.shape[-1] - 1
    labels = [{"class_labels": t["labels"], "boxes": t["boxes"]} for t in targets]
    # Its own model hands over layers as tensors; the last one is the final prediction.
    return ForObjectDetectionLoss(logits[-1], labels, logits.device, boxes[-1], config, logits, boxes)[0]


def step(loss: Callable[[], Tensor], leaves: tuple[Tensor, Tensor]) -> float:
    """Seconds of one forward and backward."""
    for leaf in leaves:
        leaf.grad = None
    start = time.perf_counter()
    loss().backward()
    return time.perf_counter() - start


def parts(logits: Tensor, boxes: Tensor, targets: Targets) -> str:
    """How long pair costs, assignment and the rest take, in milliseconds."""
    outputs = Outputs(logits.detach(), boxes.detach())
    cost = pair_costs(outputs, targets).total(matching_weights("softmax"))

    def median(work: Callable[[], object]) -> float:
        times = []
        for _ in range(9):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return statistics.median(times) * 1e3

    matching = median(lambda: match(outputs, targets))
    solving = median(lambda: assign(cost, targets.count))
    return f"match {matching:.1f} (of it assignment {solving:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long to alternate at each shape")
    parser.add_argument("--default-allocator", action="store_true", help="let freed memory go, as training does not")
    options = parser.parse_args()
    seconds = options.seconds
    if not options.default_allocator:
        keep_freed_memory()  # as training does; the peer gains from it too
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, times in ms: median (10 % .. 90 %)")
    for shape in SHAPES:
        logits, boxes, targets = problem(*shape)
        padded = Targets.from_list(targets)
        a, b = ours(logits, boxes, padded).item(), theirs(logits, boxes, targets).item()
        if abs(a - b) > 1e-4 * abs(b):
            raise SystemExit(f"the losses differ at {shape}: {a} and {b}")
        times: tuple[list[float], list[float]] = ([], [])
        leaves = (logits, boxes)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times[1]) < 7:
            times[0].append(step(partial(ours, logits, boxes, padded), leaves))
            times[1].append(step(partial(theirs, logits, boxes, targets), leaves))
        (mine, low, high), (peer, peer_low, peer_high) = (summary(t[2:]) for t in times)
        print(
            f"{shape!s:24} ours {mine:7.2f} ({low:.2f} .. {high:.2f})  transformers {peer:8.2f} ({peer_low:.2f} .. "
            f"{peer_high:.2f})  ratio {peer / mine:5.1f}  {parts(logits, boxes, padded)}",
            flush=True,
        )


def summary(times: list[float]) -> tuple[float, float, float]:
    """Median, 10th and 90th percentile in milliseconds."""
    deciles = statistics.quantiles(times, n=10)
    return statistics.median(times) * 1e3, deciles[0] * 1e3, deciles[-1] * 1e3


if __name__ == "__main__":
    main()
