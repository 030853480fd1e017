"""Losses beside the Hungarian loss, each with its weight and the share of a run in which it is on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from setpiece.records import Outputs, Targets
from setpiece.setloss.assignment import to_queries
from setpiece.setloss.boxes import l1, overlaps
from setpiece.setloss.criterion import of_one_process
from setpiece.setloss.matching import Weights

__all__ = ["AuxiliaryLoss", "active_losses", "auxiliary_losses", "one_to_many_box_loss"]

MIN_IOU = 0.7  # IoU with a target


@dataclass(frozen=True)
class AuxiliaryLoss:
    """A loss that training adds to the Hungarian loss for a part of the run.

    Attributes:
        name: under which it is shown and recorded.
        weight: its λ.
        until: share of the run up to which it is on, in [0, 1].
        loss: takes the arguments of `one_to_many_box_loss`.
    """

    name: str
    weight: float
    until: float
    loss: Callable[..., Float[Tensor, ""]]


def auxiliary_losses(one_to_many_weight: float) -> tuple[AuxiliaryLoss, ...]:
    """The auxiliary losses of the training recipe. One whose weight is 0 is left out.

    Args:
        one_to_many_weight: λ of `one_to_many_box_loss`, at least 0.

    Example:
        >>> [(one.name, one.until) for one in auxiliary_losses(one_to_many_weight=1.0)]
        [('one_to_many', 0.75)]
    """
    all_losses = (AuxiliaryLoss("one_to_many", one_to_many_weight, until=0.75, loss=one_to_many_box_loss),)
    return tuple(one for one in all_losses if one.weight)


def active_losses(
    auxiliary: Sequence[AuxiliaryLoss],
    progress: float,
    outputs: Outputs,
    targets: Targets,
    match: Int64[Tensor, "L B T"],
    weights: Weights,
    mean_over_processes: Callable[[Tensor], Tensor] = of_one_process,
) -> tuple[Float[Tensor, ""] | float, dict[str, Float[Tensor, ""]]]:
    """The auxiliary losses that are on at a point of the run.

    Args:
        auxiliary: all of them.
        progress: share of the run that is done, in [0, 1].
        outputs: predictions of all layers.
        targets: padded ground truth.
        match: of the same, as `SetCriterion` found it.
        weights: the λ of the Hungarian loss.
        mean_over_processes: see `SetCriterion`.

    Returns:
        Their weighted sum, and each by its name without its weight.
    """
    active = [one for one in auxiliary if progress < one.until]
    losses = {one.name: one.loss(outputs, targets, match, weights, mean_over_processes) for one in active}
    return sum((one.weight * losses[one.name] for one in active), start=0.0), losses


def one_to_many_box_loss(
    outputs: Outputs,
    targets: Targets,
    match: Int64[Tensor, "L B T"],
    weights: Weights,
    mean_over_processes: Callable[[Tensor], Tensor] = of_one_process,
) -> Float[Tensor, ""]:
    """Train the boxes of unmatched queries that overlap a target well, and not only the box of the matched query.

    The Hungarian loss trains one box for each target and layer, and at the next step another query may be matched. Here
    every query q without a target learns the box of the target t(q) with which it has the largest IoU, if that is above
    0.7. With M_l those queries of layer l and N the number of targets in the batch,

        Σ_l  1 / max(N, |M_l|)  Σ_{q ∈ M_l}  λ_L1 ‖b_t(q) - b̂_q‖₁  +  λ_giou (1 - GIoU(b_t(q), b̂_q)).

    So all queries of M_l together weigh at most as much as the matched pairs. Classes stay one to one: the class term
    still teaches the queries in M_l "no object".

    Args:
        outputs: predictions of all layers.
        targets: padded ground truth.
        match: of the same, as `SetCriterion` found it.
        weights: the λ of the loss; the class term's is not read.
        mean_over_processes: see `SetCriterion`.

    References:
        Zhao et al., MS-DETR, arXiv 2401.03989 (one-to-many supervision of the decoder's queries, of classes too).

    Example:
        >>> twins = Outputs(torch.zeros(1, 1, 2, 1), torch.tensor([[[[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.22]]]]))
        >>> one = {"labels": torch.tensor([0]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.2]])}
        >>> weights = {"class": 1.0, "l1": 5.0, "giou": 2.0}
        >>> round(one_to_many_box_loss(twins, Targets.from_list([one]), torch.tensor([[[0]]]), weights).item(), 3)
        0.282
    """
    nearest = one_to_many_targets(outputs, targets, match)
    is_near = nearest >= 0
    boxes = F.pad(targets.boxes.to(outputs.boxes.dtype), (0, 0, 1, 0))  # index 0: a dummy target for all other queries
    wanted = boxes.expand(len(nearest), -1, -1, -1).gather(2, (nearest + 1)[..., None].expand(-1, -1, -1, 4))
    _, giou = overlaps(outputs.boxes, wanted)
    loss = weights["l1"] * l1(outputs.boxes, wanted) + weights["giou"] * (1 - giou)
    counts = torch.cat([targets.count.sum()[None], is_near.flatten(1).sum(-1)]).to(loss.dtype)
    target_count, near_count = mean_over_processes(counts).split([1, len(nearest)])
    count = torch.maximum(near_count, target_count)
    count = torch.where(count > 0, count, 1)  # without targets the sums are 0
    return ((loss * is_near).flatten(1).sum(-1) / count).sum()


@torch.no_grad()
def one_to_many_targets(outputs: Outputs, targets: Targets, match: Int64[Tensor, "L B T"]) -> Int64[Tensor, "L B Q"]:
    """The target whose box each unmatched query learns; -1 for matched queries and for those with a low IoU."""
    iou, _ = overlaps(outputs.boxes[:, :, :, None], targets.boxes.to(outputs.boxes.dtype)[:, None])  # (L, B, Q, T)
    iou = F.pad(
        iou.masked_fill(~targets.present[:, None], 0), (1, 0), value=MIN_IOU
    )  # "near to none" wins up to MIN_IOU
    matched = to_queries(torch.ones_like(match), match, outputs.boxes.shape[2], fill=0) > 0
    return torch.where(matched, -1, iou.argmax(-1) - 1)
