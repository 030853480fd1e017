"""Box formats, L1, IoU and GIoU, paired or pairwise.

Two sets of boxes broadcast against each other: (N, 4) with (N, 4) gives N pairs, (T, 1, 4) with (1, Q, 4) all (T, Q).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["cxcywh_to_xyxy", "l1", "overlaps", "xyxy_to_cxcywh"]

# Added to every union and hull, so that boxes without area have finite overlaps and gradients.
EPSILON = 1e-9


def cxcywh_to_xyxy(boxes_cxcywh: Float[Tensor, "... 4"]) -> Float[Tensor, "... 4"]:
    """Centre and size to left, top, right, bottom, in the same unit.

    Example:
        >>> cxcywh_to_xyxy(torch.tensor([0.5, 0.5, 0.25, 0.5])).tolist()
        [0.375, 0.25, 0.625, 0.75]
    """
    centre, size = boxes_cxcywh.split(2, -1)
    half = size / 2
    return torch.cat([centre - half, centre + half], -1)


def xyxy_to_cxcywh(boxes_xyxy: Float[Tensor, "... 4"]) -> Float[Tensor, "... 4"]:
    """Left, top, right, bottom to centre and size, in the same unit.

    Example:
        >>> xyxy_to_cxcywh(torch.tensor([0.375, 0.25, 0.625, 0.75])).tolist()
        [0.5, 0.5, 0.25, 0.5]
    """
    top_left, bottom_right = boxes_xyxy.split(2, -1)
    return torch.cat([(top_left + bottom_right) / 2, bottom_right - top_left], -1)


def l1(a_cxcywh: Float[Tensor, "*#shape 4"], b_cxcywh: Float[Tensor, "*#shape 4"]) -> Float[Tensor, "*#shape"]:
    """`‖a - b‖₁`, the sum of the four absolute differences, of boxes that broadcast against each other.

    Example:
        >>> a, b = torch.tensor([0.5, 0.5, 0.2, 0.2]), torch.tensor([0.4, 0.5, 0.2, 0.5])
        >>> round(l1(a, b).item(), 6)
        0.4
    """
    dx, dy, dw, dh = ((a - b).abs() for a, b in zip(a_cxcywh.unbind(-1), b_cxcywh.unbind(-1), strict=True))
    return dx.add_(dy).add_(dw).add_(dh)


def overlaps(
    a_cxcywh: Float[Tensor, "*#shape 4"], b_cxcywh: Float[Tensor, "*#shape 4"]
) -> tuple[Float[Tensor, "*#shape"], Float[Tensor, "*#shape"]]:
    """IoU and generalised IoU of boxes that broadcast against each other.

    With I the intersection, U the union and H the hull (the smallest box around both), as areas:

        IoU = I / U,    GIoU = I / U - (H - U) / H = IoU + U / H - 1.

    Along one axis the overlap of two intervals is `o = min(ends) - max(starts)` (negative across a gap) and
    their hull is the sum of the lengths less `o`. Boxes without area are allowed: values and gradients stay finite.

    Args:
        a_cxcywh: boxes (..., 4) with sides >= 0.
        b_cxcywh: boxes (..., 4) with sides >= 0. (T, 1, 4) against (1, Q, 4) gives all pairs (T, Q).

    Returns:
        IoU in [0, 1] and GIoU in [-1, 1].

    Example:
        >>> left, right = torch.tensor([0.25, 0.5, 0.5, 1.0]), torch.tensor([0.75, 0.5, 0.5, 1.0])
        >>> [x.item() for x in overlaps(left, right)]  # they touch: no intersection, no empty hull
        [0.0, 0.0]

    References:
        Rezatofighi et al., Generalized Intersection over Union, 2019, algorithm 1.
    """
    a_x, a_y, a_w, a_h = a_cxcywh.movedim(-1, 0).contiguous()
    b_x, b_y, b_w, b_h = b_cxcywh.movedim(-1, 0).contiguous()
    # In place where the gradient allows it: all pairs of a batch take many megabytes.
    overlap_w = torch.min(a_x + a_w / 2, b_x + b_w / 2).sub_(torch.max(a_x - a_w / 2, b_x - b_w / 2))
    overlap_h = torch.min(a_y + a_h / 2, b_y + b_h / 2).sub_(torch.max(a_y - a_h / 2, b_y - b_h / 2))
    hull = ((b_w - overlap_w).add_(a_w) * (b_h - overlap_h).add_(a_h)).add_(EPSILON)
    intersection = overlap_w.clamp(min=0) * overlap_h.clamp(min=0)
    union = ((a_w * a_h + EPSILON) + b_w * b_h).sub_(intersection)
    iou = intersection / union
    return iou, (union / hull).add_(iou).sub_(1)
