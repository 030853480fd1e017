"""One image's predictions and targets -> all that can be said of its match, layer by layer.

Every number comes from `setloss`: costs from `pair_costs`, match and losses from `SetCriterion`, gradients by
differentiating its total. All is computed in double precision from the outputs as they are, and for the image as a
batch of one, so that losses are divided by its own number of targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from setpiece.explain.duplicates import Duplicate, find_duplicates
from setpiece.records import Losses, Outputs, Targets
from setpiece.setloss import PairCosts, SetCriterion, assign, matching_weights, pair_costs
from setpiece.setloss.assignment import to_queries
from setpiece.setloss.boxes import overlaps
from setpiece.setloss.criterion import unreduced_losses

__all__ = ["ImageFacts", "image_facts", "of_pairs"]


@dataclass(frozen=True)
class ImageFacts:
    """What the set prediction made of one image, in each of its L layers.

    Attributes:
        criterion: the loss.
        labels: class of each target.
        target_boxes: cxcywh in [0, 1].
        boxes: predicted, cxcywh in [0, 1].
        scores: log-probabilities (softmax form) or logits (sigmoid form).
        best_label: the most likely class of each query, no-object aside.
        best_score: its probability.
        costs: of every pair by term, (L, T, Q), without weights.
        total: of every pair, weighted: the matching minimises its sum.
        iou: of every pair.
        match: the query of each target, -1 where it has none.
        greedy: the same if the cheapest pair of all were taken first, then the cheapest of those left, and so on.
        runner_up: the query of each target if its pair were forbidden; -1 where it would have none.
        regret: how much the total would rise then, at least 0; NaN where the pair cannot be given up.
        class_loss: what each query adds to the loss by its class scores, weighted.
        l1_loss: what each pair adds, weighted; 0 without a pair.
        giou_loss: likewise.
        gradient: of the layer's loss by each predicted box (cxcywh).
        duplicates: of all layers.
    """

    criterion: SetCriterion
    labels: Int64[Tensor, " T"]
    target_boxes: Float64[Tensor, "T 4"]
    boxes: Float64[Tensor, "L Q 4"]
    scores: Float64[Tensor, "L Q K"]
    best_label: Int64[Tensor, "L Q"]
    best_score: Float64[Tensor, "L Q"]
    costs: PairCosts
    total: Float64[Tensor, "L T Q"]
    iou: Float64[Tensor, "L T Q"]
    match: Int64[Tensor, "L T"]
    greedy: Int64[Tensor, "L T"]
    runner_up: Int64[Tensor, "L T"]
    regret: Float64[Tensor, "L T"]
    class_loss: Float64[Tensor, "L Q"]
    l1_loss: Float64[Tensor, "L T"]
    giou_loss: Float64[Tensor, "L T"]
    gradient: Float64[Tensor, "L Q 4"]
    duplicates: tuple[Duplicate, ...]

    def layer_loss(self, layer: int) -> dict[str, float]:
        """The weighted loss of a layer; `no_object` is the class term of the queries without a target."""
        matched = self.match[layer][self.match[layer] >= 0]
        of_matched = self.class_loss[layer, matched].sum()
        terms = {
            "class": of_matched.item(),
            "l1": self.l1_loss[layer].sum().item(),
            "giou": self.giou_loss[layer].sum().item(),
            "no_object": (self.class_loss[layer].sum() - of_matched).item(),
        }
        return {**terms, "total": sum(terms.values())}


def image_facts(outputs: Outputs, targets: Targets, criterion: SetCriterion) -> ImageFacts:
    """The facts of one image.

    Args:
        outputs: of one image, (L, 1, Q, ...).
        targets: of the same image; any number, also none.
        criterion: the loss that the model is trained with.

    Raises:
        NonFiniteCostError: a logit or box is NaN or infinite; names layer and query.
        DataError: a target has a class that the model does not know.

    Example:
        >>> logits = torch.tensor([[[[4.0, 0.0], [3.0, 0.0]]]])  # two queries; one class and no-object
        >>> boxes = torch.tensor([[[[0.5, 0.5, 0.2, 0.2], [0.5, 0.6, 0.2, 0.2]]]])
        >>> one = {"labels": torch.tensor([0]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.2]])}
        >>> facts = image_facts(Outputs(logits, boxes), Targets.from_list([one]), SetCriterion())
        >>> facts.match.tolist(), facts.runner_up.tolist(), round(facts.regret.item(), 2)
        ([[0]], [[1]], 1.86)
    """
    classes, weights = criterion.class_form, criterion.cost_weights or matching_weights(criterion.form)
    outputs, targets = _in_double(outputs), _in_double_and_unpadded(targets)
    reduced, gradient = _differentiate(outputs, targets, criterion)
    match, boxes, labels = reduced.match[:, 0], outputs.boxes[:, 0], targets.labels[0]
    costs = pair_costs(outputs, targets, criterion.form)
    costs = PairCosts({name: cost[:, 0] for name, cost in costs.terms.items()})
    total = costs.total(weights)
    iou, _ = overlaps(targets.boxes[0][None, :, None], boxes[:, None])
    scores = classes.scores(outputs.logits)
    losses = unreduced_losses(classes, scores, outputs.boxes, targets, reduced.match, lambda x: x.sum(-1, keepdim=True))
    of_class = losses.terms["class"].sum(-1) / losses.divisors["class"] * criterion.weights["class"]
    of_l1, of_giou = (losses.terms[name] * criterion.weights[name] / losses.divisors[name] for name in ("l1", "giou"))
    best_score, best_label = classes.probabilities(outputs.logits[:, 0]).max(-1)
    runner_up, regret = _forbid_each_pair(total, match)
    return ImageFacts(
        criterion=criterion,
        labels=labels,
        target_boxes=targets.boxes[0],
        boxes=boxes,
        scores=scores[:, 0],
        best_label=best_label,
        best_score=best_score,
        costs=costs,
        total=total,
        iou=iou,
        match=match,
        greedy=torch.stack([_greedy(cost) for cost in total]),
        runner_up=runner_up,
        regret=regret,
        class_loss=of_class[:, 0],
        l1_loss=of_l1[:, 0],
        giou_loss=of_giou[:, 0],
        gradient=gradient,
        duplicates=find_duplicates(
            labels, boxes, best_label, best_score, match, costs, weights, _without_target(match, boxes.shape[1])
        ),
    )


def of_pairs(values: Float64[Tensor, "L T Q"], match: Int64[Tensor, "L T"]) -> Float64[Tensor, "L T"]:
    """The entry of each target's own query; 0 where it has none."""
    return values.gather(-1, match.clamp(min=0)[..., None]).squeeze(-1) * (match >= 0)


def _in_double(outputs: Outputs) -> Outputs:
    return Outputs(*(field.detach().to("cpu", torch.float64, copy=True) for field in (outputs.logits, outputs.boxes)))


def _in_double_and_unpadded(targets: Targets) -> Targets:
    count = int(targets.count[0])
    targets = targets.to("cpu")
    return Targets(targets.labels[:, :count], targets.boxes[:, :count].double(), targets.count)


def _differentiate(
    outputs: Outputs, targets: Targets, criterion: SetCriterion
) -> tuple[Losses, Float64[Tensor, "L Q 4"]]:
    """The losses, and the gradient of each layer's by its boxes: no layer's loss depends on another layer's boxes."""
    with torch.inference_mode(False), torch.enable_grad():
        boxes = outputs.boxes.clone().requires_grad_()
        losses = criterion(Outputs(outputs.logits, boxes), targets)
        (gradient,) = torch.autograd.grad(losses.total, boxes)
    return losses, gradient[:, 0]


def _without_target(match: Int64[Tensor, "L T"], Q: int) -> Bool[Tensor, "L Q"]:
    return to_queries(torch.ones_like(match), match, Q, fill=0) == 0


def _forbid_each_pair(
    total: Float64[Tensor, "L T Q"], match: Int64[Tensor, "L T"]
) -> tuple[Int64[Tensor, "L T"], Float64[Tensor, "L T"]]:
    """Runner-up and regret of every pair: the matching is solved again with this pair forbidden."""
    runner_up, regret = torch.full_like(match, -1), torch.full_like(total[..., 0], torch.nan)
    for layer, pairs in enumerate(match):
        columns = _contenders(total[layer], pairs)
        cost = total[layer][:, columns]
        optimum = total[layer][pairs >= 0, pairs[pairs >= 0]].sum()
        forbidden = 2 * cost.abs().sum() + 1  # more than any set of pairs without it
        for target in (pairs >= 0).nonzero().flatten().tolist():
            without = torch.where(columns == pairs[target], forbidden, cost[target])
            changed = cost.index_copy(0, torch.tensor([target]), without[None])
            other = assign(changed, torch.tensor(len(pairs)))
            if other[target] >= 0 and columns[other[target]] == pairs[target]:
                continue  # there is no other set of as many pairs
            runner_up[layer, target] = columns[other[target]] if other[target] >= 0 else -1
            regret[layer, target] = of_pairs(changed[None], other[None]).sum() - optimum
    return runner_up, regret.clamp(min=0)  # below 0 only by rounding


def _contenders(cost: Float64[Tensor, "T Q"], match: Int64[Tensor, " T"]) -> Int64[Tensor, " N"]:
    """The queries that matter once a pair is given up: the matched ones, and each target's cheapest other one.

    Solving again is one shortest augmenting path: it passes from target to matched query to target, and ends in the
    cheapest free query of its last target. So at most 2 T columns hold the optimum, of hundreds.
    """
    matched = match[match >= 0]
    free = cost.index_fill(1, matched, torch.inf)
    cheapest = free.argmin(-1) if 0 < len(matched) < cost.shape[1] else matched
    return torch.cat([matched, cheapest]).unique()


def _greedy(cost: Float64[Tensor, "T Q"]) -> Int64[Tensor, " T"]:
    match, left = torch.full((len(cost),), -1), cost.clone()
    for _ in range(min(cost.shape)):
        target, query = divmod(int(left.argmin()), cost.shape[1])
        match[target] = query
        left[target], left[:, query] = torch.inf, torch.inf
    return match
