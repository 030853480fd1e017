"""Predictions and targets -> the cost of every pair -> the optimal bipartite match of every layer and image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from setpiece.errors import DataError, NonFiniteCostError
from setpiece.records import Form, Outputs, Targets
from setpiece.setloss.assignment import NO_FAULT, assign_padded, assign_rows, may_read
from setpiece.setloss.boxes import l1, overlaps
from setpiece.setloss.classification import ClassForm, class_form

__all__ = [
    "PAPER_WEIGHTS",
    "PairCosts",
    "Weights",
    "match",
    "match_scores",
    "matching_weights",
    "pair_costs",
    "refuse_other_images",
]

# The λ of a cost or a loss by term, each at least 0: all of `setpiece.records.TERMS`.
Weights = Mapping[str, float]

PAPER_WEIGHTS: Weights = {"class": 1.0, "l1": 5.0, "giou": 2.0}


@dataclass(frozen=True)
class PairCosts:
    """What it would cost to match target t with query q.

    Attributes:
        terms: by name, without weights. `"class"` depends on the form (see `setloss.classification`), `"l1"` is
            `‖b - b̂‖₁` of cxcywh boxes, in [0, 4], and `"giou"` is `-GIoU`, in [-1, 1].
    """

    terms: dict[str, Float[Tensor, "L *targets Q"]]

    def total(self, weights: Weights) -> Float[Tensor, "L *targets Q"]:
        """The weighted sum that the matching minimises."""
        total = self.terms["l1"] * weights["l1"]
        return total.add_(self.terms["giou"], alpha=weights["giou"]).add_(self.terms["class"], alpha=weights["class"])


def matching_weights(form: Form) -> Weights:
    """The λ of the matching cost: class 1, L1 5, GIoU 2 (Carion et al.); in the sigmoid form, class 2."""
    return {**PAPER_WEIGHTS, "class": class_form(form).cost_weight}


@torch.no_grad()
def pair_costs(outputs: Outputs, targets: Targets, form: Form = "softmax") -> PairCosts:
    """The cost of every pair, by term: what `match` minimises.

    Args:
        outputs: predictions of all layers; boxes cxcywh in [0, 1].
        targets: padded ground truth.
        form: which class term, see `setloss.classification`.

    Returns:
        Terms of shape (L, B, T, Q); 0 in the rows of padding targets.

    Raises:
        NonFiniteCostError: a logit or box is NaN or infinite; names layer, image and query.
    """
    refuse_other_images(outputs, targets)
    outputs, present = outputs.at_least_float32(), targets.present

    def padded(rows: Float[Tensor, "L N Q"]) -> Float[Tensor, "L B T Q"]:
        cost = rows.new_zeros(rows.shape[0], *present.shape, rows.shape[-1])
        cost[:, present] = rows
        return cost

    classes = class_form(form)
    scores = classes.scores(outputs.logits)
    _refuse_non_finite("logits", scores)
    _refuse_non_finite("boxes", outputs.boxes)
    costs = _row_costs(scores, outputs.boxes, targets, classes, *present.nonzero(as_tuple=True))
    return PairCosts({name: padded(rows) for name, rows in costs.terms.items()})


@torch.no_grad()
def _row_costs(
    scores: Float[Tensor, "L B Q K"],
    boxes: Float[Tensor, "L B Q 4"],
    targets: Targets,
    classes: ClassForm,
    images: Int64[Tensor, " N"],
    slots: Int64[Tensor, " N"],
) -> PairCosts:
    """`pair_costs` for N targets only, (L, N, Q): target `slots[n]` of image `images[n]`."""
    target_boxes = targets.boxes[images, slots].to(boxes.dtype)[:, None]  # (N, 1, 4)
    # (L, N, Q, 4), each component contiguous in memory, because L1 and GIoU read one component after the other
    predicted = boxes.movedim(-1, 0).contiguous()[:, :, images].movedim(0, -1)
    _, giou = overlaps(target_boxes[None], predicted)
    return PairCosts(
        {
            "class": classes.cost(scores, images, targets.labels[images, slots]),
            "l1": l1(target_boxes[None], predicted),
            "giou": giou.neg_(),
        }
    )


@torch.no_grad()
def match(
    outputs: Outputs, targets: Targets, form: Form = "softmax", weights: Weights | None = None
) -> Int64[Tensor, "L B T"]:
    """The optimal bipartite match of every layer and image.

    For each layer and image, on its own, the injection σ of targets into queries that minimises

        Σ_t  λ_class cost_class(t, σ(t)) + λ_L1 ‖b_t - b̂_σ(t)‖₁ - λ_giou GIoU(b_t, b̂_σ(t)).

    Args:
        outputs: predictions of all layers; boxes cxcywh in [0, 1].
        targets: padded ground truth.
        form: which class term, see `setloss.classification`.
        weights: the λ; `matching_weights(form)` where None.

    Returns:
        The query of every target; -1 for padding, and for the targets left over where there are more than Q.

    Raises:
        NonFiniteCostError: a logit, a box or a cost is NaN or infinite; names layer, image and query.
        DataError: the targets are of other images.

    Example:
        Two predictions, two targets, one class and no-object, both classes equally likely (p̂ = 1/2).
        All boxes are 0.2 wide and high and lie on one row; predictions are centred at x = 0.2 and 0.5,
        targets at 0.3 and 0.1. Each pair costs `-0.5 + 5 · |Δx| - 2 · GIoU`, where for two such
        squares GIoU = IoU + union / hull - 1:

            |Δx|   intersection   union   hull    GIoU
            0.1    0.02           0.06    0.06    1/3          -0.5 + 0.5 - 2/3 = -0.6667
            0.2    0              0.08    0.08    0            -0.5 + 1.0 - 0   =  0.5
            0.4    0              0.08    0.12    -1/3         -0.5 + 2.0 + 2/3 =  2.1667

            cost (rows targets, columns queries) = [[-0.6667, 0.5   ],
                                                    [-0.6667, 2.1667]]

        The identity costs -0.6667 + 2.1667 = 1.5, the swap 0.5 - 0.6667 = -0.1667: the swap is optimal.

        >>> logits = torch.zeros(1, 1, 2, 2)
        >>> box = lambda x: [x, 0.5, 0.2, 0.2]
        >>> outputs = Outputs(logits, torch.tensor([[[box(0.2), box(0.5)]]]))
        >>> targets = Targets.from_list(
        ...     [{"labels": torch.tensor([0, 0]), "boxes": torch.tensor([box(0.3), box(0.1)])}])
        >>> cost = pair_costs(outputs, targets).total(PAPER_WEIGHTS)[0, 0]
        >>> [[round(c, 4) for c in row] for row in cost.tolist()]
        [[-0.6667, 0.5], [-0.6667, 2.1667]]
        >>> match(outputs, targets).tolist()
        [[[1, 0]]]

    References:
        Carion et al., End-to-End Object Detection with Transformers, arXiv 2005.12872, equation 1.
    """
    refuse_other_images(outputs, targets)
    outputs, classes = outputs.at_least_float32(), class_form(form)
    scores = classes.scores(outputs.logits)
    weights = weights or matching_weights(form)
    match, fault = match_scores(scores, outputs.boxes, targets, classes, weights)
    if fault.device.type != "cpu" and fault < NO_FAULT:  # reads it, as the user will read the match
        match_scores(scores.cpu(), outputs.boxes.cpu(), targets.to("cpu"), classes, weights)
    return match


@torch.no_grad()
def match_scores(
    scores: Float[Tensor, "L B Q K"],
    boxes: Float[Tensor, "L B Q 4"],
    targets: Targets,
    classes: ClassForm,
    weights: Weights,
) -> tuple[Int64[Tensor, "L B T"], Int32[Tensor, ""]]:
    """`match`, given the scores of the class form instead of the logits; and `Losses.fault`.

    Where values are not to be read (`assignment.may_read`), what is wrong raises no error: it is the fault.
    """
    if not may_read(scores):
        return _match_all_rows(scores, boxes, targets, classes, weights)
    _refuse_non_finite("logits", scores)
    _refuse_non_finite("boxes", boxes)
    present = targets.present  # half of a padded batch is padding: wasted work
    cost = _row_costs(scores, boxes, targets, classes, *present.nonzero(as_tuple=True)).total(weights)
    L, N, Q = cost.shape
    match = torch.full((L, *present.shape), -1)
    try:
        match[:, present] = assign_rows(cost.view(L * N, Q), targets.count.tolist() * L).view(L, N)
    except NonFiniteCostError as error:  # a box is far too large, or a target's is not finite
        row, query = error.index
        layer, (image, target) = row // N, present.nonzero()[row % N].tolist()
        raise NonFiniteCostError(
            f"Layer {layer}, image {image}, query {query}: the cost of matching target {target} is not finite; "
            f"the predicted box is {boxes[layer, image, query].tolist()} and the target box "
            f"{targets.boxes[image, target].tolist()}.",
            (layer, image, target, query),
        ) from error
    return match, torch.tensor(NO_FAULT, dtype=torch.int32)


def _match_all_rows(
    scores: Float[Tensor, "L B Q K"],
    boxes: Float[Tensor, "L B Q 4"],
    targets: Targets,
    classes: ClassForm,
    weights: Weights,
) -> tuple[Int64[Tensor, "L B T"], Int32[Tensor, ""]]:
    """`match_scores` with a row for every padded target, so that no shape depends on values."""
    L, B, Q, K = scores.shape
    T, device = targets.labels.shape[1], scores.device
    known = (targets.labels >= 0) & (targets.labels < classes.num_classes(K))
    known_targets = Targets(targets.labels.where(known, 0), targets.boxes, targets.count)
    rows = torch.arange(B * T, device=device)
    cost = _row_costs(scores, boxes, known_targets, classes, rows // T, rows % T).total(weights)  # (L, B·T, Q)
    cost = cost.where(known.flatten()[:, None], torch.nan)
    match, fault = assign_padded(cost.view(L * B, T, Q), targets.count)
    finite = scores.isfinite().all(-1) & boxes.isfinite().all(-1)  # (L, B, Q)
    places = torch.arange(L * B * Q, dtype=torch.int32, device=device)
    first = places.where(~finite.flatten(), NO_FAULT).amin()
    return match.view(L, B, T), torch.minimum(first, fault)


def refuse_other_images(outputs: Outputs, targets: Targets) -> None:
    """Predictions and targets have to be of the same images.

    Raises:
        DataError: their numbers differ.
    """
    predicted, annotated = outputs.logits.shape[1], len(targets.count)
    if predicted != annotated:
        raise DataError(f"There are predictions of {predicted} images and targets of {annotated}.")


def _refuse_non_finite(name: str, values: Float[Tensor, "L B Q K"]) -> None:
    if values.sum().isfinite():  # one cheap pass: NaN and infinity survive a sum
        return
    wrong = (~values.isfinite()).any(-1).nonzero().tolist()
    if wrong:
        layer, image, query = wrong[0]
        raise NonFiniteCostError(
            f"Layer {layer}, image {image}, query {query}: the predicted {name} are NaN or infinite "
            f"({len(wrong)} such queries in this batch).",
            (layer, image, query),
        )
