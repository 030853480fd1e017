"""How near two queries' boxes are and which query ranks higher, as a bias of the attention between them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

BETTER = 3.0  # what a higher rank counts, in every other head
LEAST_SIDE = 1e-4  # of the image; a smaller box counts as one of this side


def relation_bias(boxes: Float[Tensor, "B Q 4"], heads: int) -> Float[Tensor, "B heads Q Q"]:
    """What to add to the attention logits of query i to query j, so that a query sees first what it may duplicate.

    Of two queries on one object only one is matched, so the other must learn that it is not needed: that there is a
    query with nearly its box which ranks higher. Attention would have to learn what "nearly" and "higher" mean; here
    it is told. With boxes (x, y, w, h), queries in the order of their proposals, and head k of pairs of heads,

        distance_ij = log(1 + |x_i - x_j| / w_i) + log(1 + |y_i - y_j| / h_i) + |log(w_i / w_j)| + |log(h_i / h_j)|
        bias_kij    = -slope_k · distance_ij + better_k · [j < i]

    the slopes of the pairs are 0, 2, 4, 8, ...; `better` is 0 in the first head of a pair and 3 in the second. Nothing
    of it is learned: learned numbers gave nothing more.

    Args:
        boxes: cxcywh in fractions of the padded canvas, the best proposal first; no gradient flows into them.
        heads: of the attention.

    References:
        Hu et al. 2018, Relation Networks for Object Detection, arXiv 1711.11575 (geometry and rank remove duplicates).
        Hou et al. 2024, Relation DETR, arXiv 2407.11699 (the distance, without the last absolute values).
        Press et al. 2022, Train Short, Test Long, arXiv 2108.12409 (a fixed slope per head).

    Example:
        >>> twins_and_a_stranger = torch.tensor([[[0.2, 0.2, 0.1, 0.1], [0.2, 0.2, 0.1, 0.1], [0.8, 0.2, 0.1, 0.1]]])
        >>> [[round(x, 1) for x in row] for row in relation_bias(twins_and_a_stranger, heads=4)[0, 3].tolist()]
        [[0.0, 0.0, -3.9], [3.0, 0.0, -3.9], [-0.9, -0.9, 0.0]]
    """
    x, y, w, h = boxes.detach().float().unbind(-1)  # (B, Q) each
    w, h = w.clamp(min=LEAST_SIDE), h.clamp(min=LEAST_SIDE)
    distance = _distance(x, w) + _distance(y, h)
    rank = torch.arange(boxes.shape[1], device=boxes.device)
    better = (rank < rank[:, None]).float() * BETTER  # (Q, Q)
    head = torch.arange(heads, device=boxes.device)[:, None, None]
    slopes = 2.0 ** (head // 2) * (head > 1)
    return torch.addcmul((head % 2) * better, slopes, distance[:, None], value=-1)


def _distance(centre: Float[Tensor, "B Q"], side: Float[Tensor, "B Q"]) -> Float[Tensor, "B Q Q"]:
    """The part of it along one axis."""
    apart = (centre[:, :, None] - centre[:, None]).abs() / side[:, :, None]
    log_side = side.log()
    return apart.log1p() + (log_side[:, :, None] - log_side[:, None]).abs()
