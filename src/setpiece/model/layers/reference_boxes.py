"""Reference boxes: where a query starts, in which units, and how a layer refines it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["initial_reference_boxes", "refine", "valid_ratios"]

INITIAL_SIDE = 1.6  # of the box that a cell starts from, in cells


def valid_ratios(padding: Bool[Tensor, "B H W"]) -> Float[Tensor, "B 4"]:
    """(w, h, w, h): the share of the padded canvas that each image fills.

    Fractions of the image times the valid ratios are fractions of the canvas (Deformable DETR).
    """
    real = (~padding).float()
    extent = torch.stack([real[:, 0].mean(-1), real[:, :, 0].mean(-1)], -1)
    return extent.repeat(1, 2)


def initial_reference_boxes(maps: list[Tensor]) -> Float[Tensor, "S 4"]:
    """The initial reference box of each cell of all maps: at its centre, 1.6 cells a side.

    In fractions of the canvas, the cells of the finest map first.
    """
    boxes = []
    for m in maps:
        h, w = m.shape[-2:]
        y = (torch.arange(h, device=m.device) + 0.5) / h
        x = (torch.arange(w, device=m.device) + 0.5) / w
        cells = [
            x.expand(h, w),
            y[:, None].expand(h, w),
            *(torch.full_like(x, INITIAL_SIDE / n).expand(h, w) for n in (w, h)),
        ]
        boxes.append(torch.stack(cells, -1).flatten(0, 1))
    return torch.cat(boxes)


def refine(reference: Float[Tensor, "*N 4"], delta: Float[Tensor, "*N 4"]) -> Float[Tensor, "*N 4"]:
    """Refine a box: its centre c becomes c + s · Δc in units of its sides s, its sides become sigmoid(logit(s) + Δs).

    So one correction means the same everywhere in the image. Deformable DETR's sigmoid(logit(c) + Δc) moves a box less
    near the border, and a CNN does not see how near the border is. A centre that would leave the image is clamped to
    its border and keeps its gradient (straight-through): a gradient of 0 would hold it there.

    Example:
        >>> refine(torch.tensor([0.5, 0.9, 0.2, 0.4]), torch.tensor([0.5, 1.0, 0.0, 0.0]))
        tensor([0.6000, 1.0000, 0.2000, 0.4000])
    """
    centre, sides = reference.split(2, -1)
    shift, growth = delta.float().split(2, -1)
    moved = centre + sides * shift
    within = moved.clamp(0, 1).detach() + (moved - moved.detach())
    inside = sides.clamp(1e-4, 1 - 1e-4)
    logit = (inside / (1 - inside)).log()  # torch.logit, which OpenVINO does not convert
    return torch.cat([within, (logit + growth).sigmoid()], -1)
