"""A model whose batch is divided among threads: one replica per core, each computing with one thread.

PyTorch divides every operation among the cores by itself. A step of a small model is thousands of operations, and each
waits for the slowest core. Where another program keeps one core busy, every operation waits for that core. Replicas
wait for each other only after the forward pass and after the backward pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from setpiece.model.base import SetModel
from setpiece.records import Outputs

__all__ = ["Replicas", "one_thread_per_operation", "replica_count"]

SMALLEST_SHARE = 4  # images of a replica: batch norm takes its mean and variance over them

T = TypeVar("T")


def replica_count(model: nn.Module, device: torch.device, batch_size: int, processes: int = 1) -> int:
    """How many replicas a model should have: one per core, as long as each has at least four images.

    One on a GPU, and where the model draws random numbers (dropout, stochastic depth): threads would draw them in any
    order.

    Args:
        model: that is trained.
        device: that it is on.
        batch_size: images of a step.
        processes: that train together; several are the replicas themselves.
    """
    draws = any(_draws(module) for module in model.modules())
    if device.type != "cpu" or processes > 1 or draws:
        return 1
    return max(1, min(torch.get_num_threads(), batch_size // SMALLEST_SHARE))


def _draws(module: nn.Module) -> bool:
    """Whether a layer drops something at random in training, by its name: dropout, DropPath, StochasticDepth."""
    name = type(module).__name__
    rates = [getattr(module, rate) for rate in ("p", "drop_prob") if hasattr(module, rate)]
    return ("Drop" in name or name == "StochasticDepth") and rates != [0.0]


@contextmanager
def one_thread_per_operation() -> Iterator[None]:
    """Compute every operation of this thread with one thread, where replicas use the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Replicas(nn.Module):
    """A model and its copies, which share its parameters: each computes an equal share of the images.

    The outputs are those of the whole batch, so the loss is too. Gradients of the replicas are added in their order:
    the result does not depend on which of them is faster. Batch norm takes its statistics in training from a replica's
    share of the images; the running statistics of `module` are the means of those of all replicas.

    Args:
        module: the model; its parameters and buffers stay its own.
        count: of replicas, at least 1.

    Attributes:
        module: as in PyTorch's `DataParallel`.
        threads: one for each replica.
    """

    def __init__(self, module: SetModel, count: int) -> None:
        super().__init__()
        self.module = module
        self._models = [module, *(_sharing_copy(module) for _ in range(count - 1))]
        each = max(1, torch.get_num_threads() // count)
        self.threads = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(each,))

    def train(self, mode: bool = True) -> Replicas:
        """Set the mode of every replica."""
        for model in self._models:
            model.train(mode)
        return self

    def forward(self, images: Float[Tensor, "B 3 H W"], padding: Bool[Tensor, "B H W"]) -> Outputs:
        """What `module` would predict, see `SetModel.forward`."""
        anchor = torch.zeros((), requires_grad=torch.is_grad_enabled())  # or autograd would not call `backward`
        logits, boxes = _InReplicas.apply(anchor, self, images, padding)
        return Outputs(logits, boxes)

    def compute(self, images: Tensor, padding: Tensor) -> list[Outputs]:
        """The outputs of each replica, with their graphs."""
        enabled, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
        with torch.no_grad():
            self._spread_buffers()

        def compute(model: SetModel, images: Tensor, padding: Tensor) -> Outputs:
            # Without its cache, which is one for all threads: the first replica to end would clear it for the others.
            with torch.autocast("cpu", dtype, enabled=enabled, cache_enabled=False):
                return model(images, padding)

        count = len(self._models)
        shares = zip(self._models, images.tensor_split(count), padding.tensor_split(count), strict=True)
        return self._in_threads(compute, [share for share in shares if len(share[1])])

    def accumulate(self, outputs: Sequence[Outputs], logits: Tensor, boxes: Tensor) -> None:
        """Add the gradients of the parameters, given those of the outputs, and average the running statistics."""

        def backward(model: SetModel, outputs: Outputs, *gradients: Tensor) -> list[Tensor | None]:
            parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
            tensors = (outputs.logits, outputs.boxes)
            return list(torch.autograd.grad(tensors, parameters, gradients, allow_unused=True))

        sizes = [share.logits.shape[1] for share in outputs]
        shares = zip(self._models, outputs, logits.split(sizes, 1), boxes.split(sizes, 1), strict=False)
        for gradients in self._in_threads(backward, list(shares)):
            parameters = (parameter for parameter in self.module.parameters() if parameter.requires_grad)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        with torch.no_grad():
            self._average_buffers(len(outputs))

    def _in_threads(self, compute: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
        return [future.result() for future in [self.threads.submit(compute, *each) for each in arguments]]

    def _spread_buffers(self) -> None:
        own = list(self.module.buffers())
        for model in self._models[1:]:
            torch._foreach_copy_(list(model.buffers()), own)

    def _average_buffers(self, count: int) -> None:
        """The running statistics of batch norm: the means over the replicas that computed."""
        if not self.module.training:
            return
        own, *others = (_statistics(model) for model in self._models[:count])
        for other in others:
            torch._foreach_add_(own, other)
        torch._foreach_div_(own, count)


class _InReplicas(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, _anchor: Tensor, replicas: Replicas, images: Tensor, padding: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.replicas, ctx.outputs = replicas, replicas.compute(images, padding)
        logits = torch.cat([share.logits.detach() for share in ctx.outputs], 1)
        return logits, torch.cat([share.boxes.detach() for share in ctx.outputs], 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:
        ctx.replicas.accumulate(ctx.outputs, *gradients)
        return None, None, None, None


def _statistics(model: SetModel) -> list[Tensor]:
    return [buffer for name, buffer in model.named_buffers() if name.endswith(("running_mean", "running_var"))]


def _sharing_copy(module: SetModel) -> SetModel:
    """A copy with the same parameters in memory and buffers of its own."""
    copied = copy.deepcopy(module)
    for mine, theirs in zip(copied.parameters(), module.parameters(), strict=True):
        mine.data = theirs.data
    return copied
