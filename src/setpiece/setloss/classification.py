"""The class term of the matching cost and of the loss, in its two forms.

A form says how to read logits, what a pair costs by its class, and what every query adds to the loss. Other code calls
the form's methods and does not need to know which form it has.

References:
    Carion et al., End-to-End Object Detection with Transformers, arXiv 2005.12872, equations 1 and 2.
    Lin et al., Focal Loss, arXiv 1708.02002. Zhang et al., VarifocalNet, arXiv 2008.13367.
    Huang et al., DEIM (matchability-aware loss), arXiv 2412.04234.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from setpiece.records import Form
from setpiece.setloss.assignment import to_queries

__all__ = ["ClassForm", "SigmoidForm", "SoftmaxForm", "class_form"]


@dataclass(frozen=True)
class SoftmaxForm:
    """Cross-entropy with a no-object class (Carion et al. 2020): K = C + 1 logits, no-object last.

    With p̂ = softmax(z) and target class c,

        cost = -p̂(c)                                a probability: its scale is that of the box terms
        loss = Σ w_i (-log p̂_i(c_i)) / Σ w_i        over all queries, c_i = no-object where unmatched, and
                                                    w_i = `no_object_weight` there, 1 elsewhere

    Attributes:
        no_object_weight: weight of the queries without a target, at least 0.
        cost_weight: λ of the class term in the matching cost.
    """

    no_object_weight: float = 0.1
    cost_weight: ClassVar[float] = 1.0

    def num_classes(self, K: int) -> int:
        """C, the number of classes that K logits stand for."""
        return K - 1

    def probabilities(self, logits: Float[Tensor, "*sets K"]) -> Float[Tensor, "*sets C"]:
        """The probability of every class, without no-object's."""
        return logits.softmax(-1)[..., :-1]

    def candidates(
        self, logits: Float[Tensor, "*sets Q K"]
    ) -> tuple[Float[Tensor, "*sets Q 1"], Int64[Tensor, "*sets Q 1"]]:
        """What may be detected: the best class of each query. Returns its probability and its index."""
        return self.probabilities(logits).max(-1, keepdim=True)

    def scores(self, logits: Float[Tensor, "*sets K"]) -> Float[Tensor, "*sets K"]:
        """Log-probabilities: what `cost` and `losses` are computed from."""
        return logits.log_softmax(-1)

    def cost(
        self, scores: Float[Tensor, "L B Q K"], images: Int64[Tensor, " N"], labels: Int64[Tensor, " N"]
    ) -> Float[Tensor, "L N Q"]:
        """The class cost of N targets with every query of their images, in [-1, 0]."""
        return _of_targets(scores, images, labels).exp().neg_()

    def losses(
        self,
        scores: Float[Tensor, "*sets Q K"],
        labels: Int64[Tensor, "*#sets T"],
        match: Int64[Tensor, "*sets T"],
        iou: Float[Tensor, "*sets T"],  # noqa: ARG002 (the sigmoid form reads it)
        count: Float[Tensor, "..."],  # noqa: ARG002 (likewise)
        sum_over_batch: Callable[[Tensor], Tensor],
    ) -> tuple[Float[Tensor, "*sets Q 1"], Float[Tensor, "..."]]:
        """What every query adds to the loss, and the divisor of the sum: the sum of the queries' weights.

        Args:
            scores: see `scores`.
            labels: class of each target; anything where it has no query.
            match: query of each target, or -1.
            iou: not read.
            count: not read.
            sum_over_batch: see `setloss.criterion.unreduced_losses`.
        """
        no_object = self.num_classes(scores.shape[-1])
        query_labels = to_queries(labels.expand_as(match), match, scores.shape[-2], fill=no_object)
        weights = torch.where(query_labels == no_object, self.no_object_weight, 1.0)
        return -weights[..., None] * scores.gather(-1, query_labels[..., None]), sum_over_batch(weights)

    def unmatched_losses(self, scores: Float[Tensor, "*sets Q K"]) -> Float[Tensor, "*sets Q"]:
        """What every query would add without a target, if `no_object_weight` were 1."""
        return -scores[..., -1]


@dataclass(frozen=True)
class SigmoidForm:
    """Quality-aware binary cross-entropy (Zhang et al. 2021, Huang et al. 2025): K = C logits, each class on its own.

    With p = σ(z) and q the IoU of the matched pair,

        cost = α (1-p)^γ (-log p) - (1-α) p^γ (-log(1-p))     of the target's class; α = 0.25, γ = 2 (focal)
        loss = Σ w (-t log p - (1-t) log(1-p)) / #targets     over all queries and classes, with
                                                              t = q^`quality_power`, w = 1 at a matched pair's class,
                                                              t = 0, w = `negative_weight` · p^`quality_power` elsewhere
                                                              (w is not differentiated)

    Attributes:
        quality_power: exponent of the quality in the target, and of p in the weight of negatives.
        negative_weight: factor of the negatives, at least 0.
        cost_weight: λ of the class term in the matching cost.
    """

    quality_power: float = 1.5
    negative_weight: float = 0.75
    cost_weight: ClassVar[float] = 2.0

    def num_classes(self, K: int) -> int:
        """C, the number of classes that K logits stand for."""
        return K

    def probabilities(self, logits: Float[Tensor, "*sets C"]) -> Float[Tensor, "*sets C"]:
        """The probability of every class."""
        return logits.sigmoid()

    def candidates(
        self, logits: Float[Tensor, "*sets Q C"]
    ) -> tuple[Float[Tensor, "*sets Q C"], Int64[Tensor, "*sets Q C"]]:
        """What may be detected: every class of every query. Returns their probabilities and indices."""
        p = self.probabilities(logits)
        return p, torch.arange(p.shape[-1], device=p.device).expand_as(p)

    def scores(self, logits: Float[Tensor, "*sets C"]) -> Float[Tensor, "*sets C"]:
        """The logits themselves: what `cost` and `losses` are computed from."""
        return logits

    def cost(
        self, scores: Float[Tensor, "L B Q C"], images: Int64[Tensor, " N"], labels: Int64[Tensor, " N"]
    ) -> Float[Tensor, "L N Q"]:
        """The class cost of N targets with every query of their images."""
        score = _of_targets(scores, images, labels)
        p = score.sigmoid()
        # softplus(-z) = -log p and softplus(z) = -log(1-p), without the rounding
        return 0.25 * (1 - p) ** 2 * F.softplus(-score) - 0.75 * p**2 * F.softplus(score)

    def losses(
        self,
        scores: Float[Tensor, "*sets Q C"],
        labels: Int64[Tensor, "*#sets T"],
        match: Int64[Tensor, "*sets T"],
        iou: Float[Tensor, "*sets T"],
        count: Float[Tensor, "..."],
        sum_over_batch: Callable[[Tensor], Tensor],  # noqa: ARG002 (the softmax form calls it)
    ) -> tuple[Float[Tensor, "*sets Q C"], Float[Tensor, "..."]]:
        """What every query adds to the loss by every class, and the divisor of the sum: the number of targets.

        Args:
            scores: see `scores`.
            labels: class of each target; anything where it has no query.
            match: query of each target, or -1.
            iou: of each target's box and its query's, in [0, 1]; not differentiated.
            count: number of targets in the batch, at least 1.
            sum_over_batch: not called.
        """
        Q, C = scores.shape[-2:]
        query_labels = to_queries(labels.expand_as(match), match, Q, fill=C)
        quality = to_queries(iou.detach(), match, Q, fill=0)
        positive = query_labels[..., None] == torch.arange(C, device=scores.device)  # (*sets, Q, C)
        target = positive * quality.pow(self.quality_power)[..., None]
        negative = self.negative_weight * scores.detach().sigmoid().pow(self.quality_power)
        weights = torch.where(positive, 1.0, negative)
        return F.binary_cross_entropy_with_logits(scores, target, weight=weights, reduction="none"), count

    def unmatched_losses(self, scores: Float[Tensor, "*sets Q C"]) -> Float[Tensor, "*sets Q"]:
        """What every query would add without a target, if `negative_weight` were 1."""
        return (scores.sigmoid() ** self.quality_power * F.softplus(scores)).sum(-1)


ClassForm = SoftmaxForm | SigmoidForm


def class_form(name: Form, **settings: float) -> ClassForm:
    """The form with this name. Settings of the other form are ignored.

    Args:
        name: "softmax" or "sigmoid".
        settings: attributes of the forms, by name. One that is left out has its default.

    Raises:
        TypeError: a setting is an attribute of neither form.

    Example:
        >>> class_form("softmax").num_classes(92), class_form("sigmoid").num_classes(80)
        (91, 80)
    """
    form, other = (SoftmaxForm, SigmoidForm) if name == "softmax" else (SigmoidForm, SoftmaxForm)
    foreign = other.__dataclass_fields__
    return form(**{setting: value for setting, value in settings.items() if setting not in foreign})


def _of_targets(
    scores: Float[Tensor, "L B Q K"], images: Int64[Tensor, " N"], labels: Int64[Tensor, " N"]
) -> Float[Tensor, "L N Q"]:
    """The score that every query of a target's image gives the target's class."""
    return scores.transpose(-1, -2)[:, images, labels]
