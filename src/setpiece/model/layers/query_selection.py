"""Top-k query selection: which cells of the feature maps become object queries."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

__all__ = ["TopKQuerySelection"]


BELOW_ALL = -1e5  # a logit


class TopKQuerySelection(nn.Module):
    """Take the Q cells with the highest class score as object queries, the best first.

    Query q has the same rank in every image, not the same cell.

    It has no parameters. It is a module so that a forward hook can record which cell each query starts from.

    Args:
        queries: Q, how many cells are taken at most.
    """

    def __init__(self, queries: int) -> None:
        super().__init__()
        self.queries = queries

    def forward(self, logits: Float[Tensor, "B S C"], reference: Float[Tensor, "B S 4"]) -> Int64[Tensor, "B Q"]:
        """The Q cells with the highest class score among those whose centre is inside the image, the best first.

        If there are fewer than Q, cells of the padding follow in their order, so that every runtime of an export takes
        the same ones. Their boxes start at the border of the image.
        """
        inside = (reference[..., :2] < 1).all(-1)
        order = torch.arange(logits.shape[1], device=logits.device, dtype=logits.dtype)
        score = torch.where(inside, logits.amax(-1), BELOW_ALL - order)
        return score.topk(min(self.queries, score.shape[1]), dim=1, sorted=True).indices
