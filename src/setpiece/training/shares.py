"""A model that computes its batch in shares, one after the other, in the memory of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from setpiece.model.base import SetModel
from setpiece.records import Outputs

__all__ = ["Shares"]


class Shares(nn.Module):
    """A model whose outputs and gradients are those of the whole batch, for any number of shares.

    The forward pass of a share keeps its outputs alone. The losses are computed on the outputs of all shares, so a
    normaliser counts the targets of the whole batch. The backward pass then computes each share once more, with what it
    has to keep. A step takes about a third longer. Batch norm takes its mean and variance from a share.

    Args:
        module: the model; its parameters and buffers stay its own.
        count: of shares, at least 1; with 1 nothing is computed twice.

    References:
        Chen et al., Training Deep Nets with Sublinear Memory Cost, arXiv 1604.06174.
    """

    def __init__(self, module: SetModel, count: int = 1) -> None:
        super().__init__()
        self.module, self.count = module, count

    def forward(self, images: Float[Tensor, "B 3 H W"], padding: Bool[Tensor, "B H W"]) -> Outputs:
        """What `module` predicts, see `SetModel.forward`."""
        if self.count == 1:
            return self.module(images, padding)
        shares = zip(images.tensor_split(self.count), padding.tensor_split(self.count), strict=True)
        outputs = [
            checkpoint(
                self.module, *share, use_reentrant=False, context_fn=lambda: (nullcontext(), _same_statistics(self))
            )
            for share in shares
            if len(share[0])
        ]
        return Outputs(torch.cat([of.logits for of in outputs], 1), torch.cat([of.boxes for of in outputs], 1))


@contextmanager
def _same_statistics(model: nn.Module) -> Iterator[None]:
    """Leave the running statistics of batch norm as they are: a share that is computed again was counted before."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
