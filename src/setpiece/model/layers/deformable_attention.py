"""Deformable attention: cross-attention to a few points around a reference box instead of to every cell."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DeformableAttention"]


class DeformableAttention(nn.Module):
    """Multi-scale deformable attention around a reference box.

    For each head, level and point, a query gives an offset o and a weight a (softmax over levels and points). With the
    reference box (c, s), centre and size, and m_l the map of level l, interpolated bilinearly and 0 outside,

        out_head = Σ_l Σ_p a_lp m_l( c + o_lp · s / (2 · points) )

    on the head's own channels of the maps; a linear map brings the heads together.

    Args:
        width: D.
        heads: how many heads share the D channels.
        levels: maps.
        points: per head and level.

    References:
        Zhu et al., Deformable DETR, arXiv 2010.04159, equation 3.
    """

    def __init__(self, width: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.offsets = nn.Linear(width, heads * levels * points * 2)
        self.weights = nn.Linear(width, heads * levels * points)
        self.output = nn.Linear(width, width)
        for linear in (self.offsets, self.weights):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        with torch.no_grad():  # every head starts in a direction of its own, its points further and further out
            angle = torch.arange(heads) * (2 * math.pi / heads)
            direction = torch.stack([angle.cos(), angle.sin()], -1)
            direction = direction / direction.abs().amax(-1, keepdim=True)  # onto the sides of a square
            steps = torch.arange(1, points + 1)[:, None] * direction[:, None, None]  # (heads, 1, points, 2)
            self.offsets.bias.copy_(steps.expand(-1, levels, -1, -1).flatten())

    def forward(
        self, query: Float[Tensor, "B Q D"], reference: Float[Tensor, "B Q 4"], maps: list[Tensor]
    ) -> Float[Tensor, "B Q D"]:
        """Sample `maps` (B, D, h, w) around the `reference` boxes, cxcywh in fractions of the maps."""
        B, Q, D = query.shape
        shape = (self.heads, self.levels, self.points)
        weights = self.weights(query).view(B, Q, self.heads, -1).float().softmax(-1).view(B, Q, *shape)
        offsets = self.offsets(query).view(B, Q, *shape, 2).float()
        box = reference[:, :, None, None, None]  # (B, Q, 1, 1, 1, 4)
        where = box[..., :2] + offsets * box[..., 2:] / (2 * self.points)
        grid = (2 * where - 1).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)  # (levels, B·heads, Q, points, 2) in [-1, 1]
        weights = weights.permute(3, 0, 2, 1, 4).flatten(1, 2)[:, :, None]  # (levels, B·heads, 1, Q, points)
        found = torch.zeros((), device=query.device)
        for m, at, weight in zip(maps, grid, weights, strict=True):
            per_head = m.float().unflatten(1, (self.heads, -1)).flatten(0, 1)  # (B·heads, D/heads, h, w)
            values = F.grid_sample(per_head, at, align_corners=False)  # (B·heads, D/heads, Q, points)
            found = found + (values * weight).sum(-1)
        return self.output(found.view(B, D, Q).transpose(1, 2))
