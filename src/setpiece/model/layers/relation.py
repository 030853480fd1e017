"""Relations between object queries: a bias of self-attention and an embedding, from boxes and ranks.

One object attracts several queries, and the matching gives it to one of them. Every other query has to learn to predict
"no object", so it must know that a better query has nearly the same box. Both parts below tell it. Let query j have
the box (x_j, y_j, w_j, h_j), and let queries be in the order of their proposals, the best first. The distance is

    distance_ij = log(1 + |x_i - x_j| / w_i) + log(1 + |y_i - y_j| / h_i) + |log(w_i / w_j)| + |log(h_i / h_j)|

- `relation_bias`: a bias of the attention of i to j, so that i attends to near queries and to better ones first.
- `relation_features`: how near the nearest better query is, embedded and added to query i. The bias alone does not
  suffice: attention averages the contents of queries, and the content of a duplicate is almost the query's own.

References:
    Hu et al. 2018, Relation Networks for Object Detection, arXiv 1711.11575 (geometry and rank remove duplicates).
    Hou et al. 2024, Relation DETR, arXiv 2407.11699 (the distance, without the last absolute values).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["FEATURE_SLOPES", "distances", "relation_bias", "relation_features"]

BETTER = 3.0  # added for a better query, in every other head
LEAST_SIDE = 1e-4  # of the image: smaller sides count as this
FEATURE_SLOPES = (1.0, 2.0, 4.0, 8.0)


def distances(boxes: Float[Tensor, "B Q 4"]) -> Float[Tensor, "B Q Q"]:
    """How far the box of query j is from that of query i, in units of i's sides; formula above.

    Args:
        boxes: cxcywh in fractions of the padded canvas; no gradient flows into them.
    """
    x, y, w, h = boxes.detach().float().unbind(-1)  # (B, Q) each
    w, h = w.clamp(min=LEAST_SIDE), h.clamp(min=LEAST_SIDE)
    return _distance(x, w) + _distance(y, h)


def relation_bias(distance: Float[Tensor, "B Q Q"], heads: int) -> Float[Tensor, "B heads Q Q"]:
    """What to add to the attention logits of query i to query j. With head k of pairs of heads,

        bias_kij = -slope_k · distance_ij + better_k · [j < i]

    the slopes of the pairs are 0, 2, 4, 8, ...; `better` is 0 in the first head of a pair and 3 in the second. The
    numbers are constants: learned ones did not raise AP.

    Args:
        distance: of the boxes, the best proposal first.
        heads: of the attention.

    References:
        Press et al. 2022, Train Short, Test Long, arXiv 2108.12409 (a fixed slope per head).

    Example:
        >>> boxes = torch.tensor([[[0.2, 0.2, 0.1, 0.1], [0.2, 0.2, 0.1, 0.1], [0.8, 0.2, 0.1, 0.1]]])
        >>> bias = relation_bias(distances(boxes), heads=4)
        >>> [[round(x, 1) for x in row] for row in bias[0, 3].tolist()]
        [[0.0, 0.0, -3.9], [3.0, 0.0, -3.9], [-0.9, -0.9, 0.0]]
    """
    rank = torch.arange(distance.shape[1], device=distance.device)
    better = (rank < rank[:, None]).float() * BETTER  # (Q, Q)
    head = torch.arange(heads, device=distance.device)[:, None, None]
    slopes = 2.0 ** (head // 2) * (head > 1)
    return torch.addcmul((head % 2) * better, slopes, distance[:, None], value=-1)


def relation_features(distance: Float[Tensor, "B Q Q"]) -> Float[Tensor, "B Q 4"]:
    """How near the nearest better query is, on four scales:

        feature_ik = exp(-slope_k · min over j < i of distance_ij)

    with slopes 1, 2, 4 and 8: all 1 where a better query has the same box, all 0 for the best query.

    Args:
        distance: of the boxes, the best proposal first.

    Example:
        >>> boxes = torch.tensor([[[0.2, 0.2, 0.1, 0.1], [0.2, 0.2, 0.1, 0.1], [0.8, 0.2, 0.1, 0.1]]])
        >>> [[round(x, 2) for x in row] for row in relation_features(distances(boxes))[0].tolist()]
        [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.14, 0.02, 0.0, 0.0]]
    """
    rank = torch.arange(distance.shape[1], device=distance.device)
    nearest = distance.masked_fill(rank >= rank[:, None], torch.inf).amin(-1, keepdim=True)
    return torch.exp(torch.cat([-slope * nearest for slope in FEATURE_SLOPES], -1))


def _distance(centre: Float[Tensor, "B Q"], side: Float[Tensor, "B Q"]) -> Float[Tensor, "B Q Q"]:
    """The part of it along one axis."""
    apart = (centre[:, :, None] - centre[:, None]).abs() / side[:, :, None]
    log_side = side.log()
    return apart.log1p() + (log_side[:, :, None] - log_side[:, None]).abs()
