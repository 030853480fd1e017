"""A training step in CUDA graphs: the GPU runs its thousands of kernels without waiting for Python to launch them.

A graph has fixed shapes and places in memory. So the losses and gradients have one for each bucket: a size of images,
and a number of targets that theirs are padded to. The update of the weights has one for all buckets. Between the two
the step reads its losses, once.

What is captured is what runs without graphs, so this file needs no GPU but for `capture_on_gpu`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from setpiece.errors import UsageError
from setpiece.records import Batch, Images, Losses, Outputs, Targets
from setpiece.setloss.assignment import has_kernel

__all__ = ["Capture", "Computed", "GraphedGradients", "GraphedUpdate", "capture_on_gpu", "require_graphs"]

T = TypeVar("T")

FEWEST_TARGETS = 8  # that an image is padded to
MOST_BUCKETS = 16  # each keeps a batch, predictions and a graph of thousands of kernels
WARM_UP = 2  # steps of a bucket before its graph: libraries choose their kernels, and Triton compiles


class Computed(NamedTuple):
    """What a step computes before it changes a weight; the parameters have gradients.

    Attributes:
        outputs: predictions of the model.
        losses: the Hungarian loss.
        total: of all losses, which is differentiated.
        auxiliary: the auxiliary losses by name.
    """

    outputs: Outputs
    losses: Losses
    total: Tensor
    auxiliary: dict[str, Tensor]


@runtime_checkable
class Capture(Protocol):
    """Makes work that can be repeated: with the tensors of the first time, and no other work in Python."""

    def __call__(self, work: Callable[[], T]) -> Callable[[], T]:
        """`work`, captured. It runs when the result is called, and returns the same tensors with new values."""


def capture_on_gpu() -> Capture:
    """Capture work in CUDA graphs, which share their memory: they follow each other."""
    stream, pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()

    def capture(work: Callable[[], T]) -> Callable[[], T]:
        graph = torch.cuda.CUDAGraph()
        # Threads that load batches may call CUDA meanwhile.
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            result = work()

        def replay() -> T:
            graph.replay()
            return result

        return replay

    return capture


def require_graphs(device: torch.device, processes: int, shares: int) -> None:
    """Raise UsageError where steps cannot be captured."""
    if device.type != "cuda":
        raise UsageError("--cuda-graphs needs an NVIDIA GPU, and PyTorch finds none: train without it.")
    if not has_kernel():
        raise UsageError(
            "--cuda-graphs needs Triton, a C compiler and Python's headers: install them, or train without."
        )
    if processes > 1:
        raise UsageError("--cuda-graphs goes with one process: train without it on several GPUs.")
    if shares > 1:
        raise UsageError("--cuda-graphs computes a batch as a whole: train without --accumulate.")


@dataclass
class _Bucket:
    batch: Batch  # whose tensors the graph reads
    steps: int = 0
    replay: Callable[[], Computed] | None = None  # None until it is captured


@dataclass
class GraphedGradients:
    """Losses and gradients of a batch, by a graph for each bucket after its first steps.

    Images grow in the course of a run. So a new bucket takes the place of the one that was not in use for longest.

    Attributes:
        compute: computes them from a batch and the progress of the run.
        active: the names of the auxiliary losses at a progress: another set of them is another bucket.
        capture: see `Capture`.
    """

    compute: Callable[[Batch, float], Computed]
    active: Callable[[float], tuple[str, ...]]
    capture: Capture
    buckets: dict[tuple[Any, ...], _Bucket] = field(default_factory=dict)

    def __call__(self, batch: Batch, progress: float) -> Computed:
        """As `compute`. The result stays as it is when the graph runs again."""
        room = max(FEWEST_TARGETS, 1 << (batch.targets.labels.shape[1] - 1).bit_length())
        key = (tuple(batch.images.pixels.shape), room, self.active(progress))
        bucket = self.buckets.pop(key, None) or _Bucket(_with_room(batch, room))
        self.buckets[key] = bucket  # behind those that were in use before
        if len(self.buckets) > MOST_BUCKETS:
            del self.buckets[next(iter(self.buckets))]

        def work() -> Computed:
            return _detached(self.compute(bucket.batch, progress))

        bucket.steps += 1
        if bucket.steps > WARM_UP and bucket.replay is None:
            bucket.replay = self.capture(work)
        _copy(batch, bucket.batch)
        return _copied((bucket.replay or work)(), batch.targets.labels.shape[1])


@dataclass
class GraphedUpdate:
    """One update of the weights, by a graph after the first, in which the optimisers make their states.

    Attributes:
        update: lets every optimiser step. Gradients stay where they are in memory.
        optimisers: their learning rates change from step to step. So the graph reads them from tensors.
        capture: see `Capture`.
    """

    update: Callable[[], None]
    optimisers: Sequence[torch.optim.Optimizer]
    capture: Capture
    began: bool = False
    rates: list[Tensor] = field(default_factory=list)
    replay: Callable[[], None] | None = None

    def __call__(self) -> None:
        """As `update`."""
        if not self.began:
            self.began = True
            self.update()
            return
        groups = [group for optimiser in self.optimisers for group in optimiser.param_groups]
        if self.replay is None:
            self.rates = [torch.zeros((), device=group["params"][0].device) for group in groups]
            self.replay = self._captured(groups)
        for rate, group in zip(self.rates, groups, strict=True):
            rate.fill_(group["lr"])
        self.replay()

    def _captured(self, groups: list[dict[str, Any]]) -> Callable[[], None]:
        """The graph. The groups are as before afterwards, as they are saved with the state of a run."""
        before = [dict(group) for group in groups]
        try:
            for group, rate in zip(groups, self.rates, strict=True):
                group["lr"] = rate
                if "capturable" in group:
                    group["capturable"] = True
            return self.capture(self.update)
        finally:
            for group, values in zip(groups, before, strict=True):
                group.update(values)


def _with_room(batch: Batch, room: int) -> Batch:
    """A batch of the same shapes, but for `room` targets of each image."""
    images, targets = batch.images, batch.targets
    of_images = Images(*(torch.zeros_like(x) for x in (images.pixels, images.padding, images.original_sizes)))
    labels = targets.labels.new_zeros(len(targets.count), room)
    boxes = targets.boxes.new_zeros(len(targets.count), room, 4)
    return Batch(of_images, Targets(labels, boxes, torch.zeros_like(targets.count)), torch.zeros_like(batch.image_ids))


def _copy(batch: Batch, into: Batch) -> None:
    """Copy a batch into one with room. What is beside its targets is padding, and is not looked at."""
    count = batch.targets.labels.shape[1]
    into.images.pixels.copy_(batch.images.pixels)
    into.images.padding.copy_(batch.images.padding)
    into.targets.labels[:, :count].copy_(batch.targets.labels)
    into.targets.boxes[:, :count].copy_(batch.targets.boxes)
    into.targets.count.copy_(batch.targets.count)


def _detached(computed: Computed) -> Computed:
    """Without the graph of the gradients, which are computed."""
    outputs, losses, total, auxiliary = computed
    return Computed(
        Outputs(outputs.logits.detach(), outputs.boxes.detach()),
        Losses(losses.total.detach(), losses.terms, losses.match, losses.fault),
        total.detach(),
        {name: loss.detach() for name, loss in auxiliary.items()},
    )


def _copied(computed: Computed, targets: int) -> Computed:
    """A copy, with the match of so many targets."""
    outputs, losses, total, auxiliary = computed
    terms = {name: term.clone() for name, term in losses.terms.items()}
    return Computed(
        Outputs(outputs.logits.clone(), outputs.boxes.clone()),
        Losses(losses.total.clone(), terms, losses.match[..., :targets].clone(), losses.fault.clone()),
        total.clone(),
        {name: loss.clone() for name, loss in auxiliary.items()},
    )
