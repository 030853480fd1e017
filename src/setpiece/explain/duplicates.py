"""Duplicates: confident unmatched predictions of an object that another query is matched to, and why they lost."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from setpiece.setloss import PairCosts, Weights
from setpiece.setloss.boxes import overlaps

__all__ = ["CONFIDENT", "TERM_NAMES", "Duplicate", "find_duplicates"]

CONFIDENT = 0.5  # the default score threshold of `predict`
SAME_OBJECT = 0.5  # two predictions of one class with at least this IoU are taken for one object
TERM_NAMES = {"class": "class", "l1": "L1", "giou": "GIoU"}  # of the terms, in sentences


@dataclass(frozen=True)
class Duplicate:
    """A confident unmatched prediction that overlaps a matched prediction of the same class.

    Attributes:
        layer: index of the prediction set.
        target: that the matched query has.
        query: the unmatched query.
        matched_query: the matched query.
        score: of the unmatched query, in [0, 1].
        iou: of the two predicted boxes, in [0, 1].
        gap: by term, how much more `query` would cost for the target than `matched_query` does, weighted. The sum is at
            least 0, because the matching would have chosen an unmatched query that costs less.
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
        """Why the query is not matched: its extra cost by term, the largest first.

        Example:
            >>> Duplicate(2, 0, 7, 4, 0.8, 0.9, {"class": -0.1, "l1": 0.25, "giou": 0.5}).reason
            'It would cost 0.65 more than query 4: GIoU +0.50, L1 +0.25, class −0.10.'
        """
        terms = sorted(self.gap, key=lambda term: -self.gap[term])
        listed = ", ".join(f"{TERM_NAMES[term]} {self.gap[term]:+.2f}" for term in terms).replace("-", "−")
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
    """The duplicates of one image, sorted by layer, then query; each with the matched prediction it overlaps most.

    Args:
        labels: class of each target.
        boxes: predicted, cxcywh.
        best_label: the most likely class of each query.
        best_score: its probability.
        match: the query of each target, or -1.
        costs: of every pair, (L, T, Q).
        weights: the λ of the costs.
        without_target: True for the unmatched queries.
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
