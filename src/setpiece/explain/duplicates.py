"""Confident predictions without a target that lie over a matched one, and what the matching held against them."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from setpiece.setloss import PairCosts, Weights
from setpiece.setloss.boxes import overlaps

CONFIDENT = 0.5  # the least score that `predict` shows unless told otherwise
SAME_OBJECT = 0.5  # two predictions of one class whose IoU is at least this are taken to mean one object
NAMES = {"class": "class", "l1": "L1", "giou": "GIoU"}  # of the terms, in sentences


@dataclass(frozen=True)
class Duplicate:
    """A confident prediction without a target that lies over a matched one of its class.

    Attributes:
        layer: in which prediction set.
        target: the target of the matched one.
        query: the one left without a target.
        matched_query: the one that has it.
        score: probability that `query` gives its class, in [0, 1].
        iou: of the two predicted boxes, in [0, 1].
        gap: by term, how much more the target would cost with `query`, weighted. The sum is never negative: a
            cheaper query that nobody else has would have been chosen.
    """

    layer: int
    target: int
    query: int
    matched_query: int
    score: float
    iou: float
    gap: dict[str, float]

    @property
    def reason(self) -> str:
        """What the matching held against this query, the heaviest term first.

        Example:
            >>> Duplicate(2, 0, 7, 4, 0.8, 0.9, {"class": -0.1, "l1": 0.25, "giou": 0.5}).reason
            'It would cost 0.65 more than query 4: GIoU +0.50, L1 +0.25, class −0.10.'
        """
        terms = sorted(self.gap, key=lambda term: -self.gap[term])
        listed = ", ".join(f"{NAMES[term]} {self.gap[term]:+.2f}" for term in terms).replace("-", "−")
        return f"It would cost {sum(self.gap.values()):.2f} more than query {self.matched_query}: {listed}."


def find_duplicates(
    labels: Int64[Tensor, " T"],
    boxes: Float64[Tensor, "L Q 4"],
    best_label: Int64[Tensor, "L Q"],
    best_score: Float64[Tensor, "L Q"],
    match: Int64[Tensor, "L T"],
    costs: PairCosts,
    weights: Weights,
    without_target: Bool[Tensor, "L Q"],
) -> tuple[Duplicate, ...]:
    """The duplicates of one image, each with the matched prediction that it overlaps most; by layer, then by query.

    Args:
        labels: class of each target.
        boxes: predicted, cxcywh.
        best_label: the most likely class of each query.
        best_score: its probability.
        match: the query of each target, or -1.
        costs: of every pair, (L, T, Q).
        weights: the λ of the costs.
        without_target: True for the queries that are not matched.
    """
    if not len(labels):
        return ()
    matched = boxes.gather(1, match.clamp(min=0)[..., None].expand(-1, -1, 4))  # (L, T, 4)
    iou, _ = overlaps(boxes[:, :, None], matched[:, None])  # (L, Q, T)
    comparable = (best_label[..., None] == labels) & (match >= 0)[:, None]
    iou, target = iou.masked_fill(~comparable, -1.0).max(-1)  # (L, Q)
    found = without_target & (best_score >= CONFIDENT) & (iou >= SAME_OBJECT)
    return tuple(
        Duplicate(
            layer=layer,
            target=(t := int(target[layer, query])),
            query=query,
            matched_query=(matched_query := int(match[layer, t])),
            score=best_score[layer, query].item(),
            iou=iou[layer, query].item(),
            gap={
                name: weights[name] * (cost[layer, t, query] - cost[layer, t, matched_query]).item()
                for name, cost in costs.terms.items()
            },
        )
        for layer, query in found.nonzero().tolist()
    )
