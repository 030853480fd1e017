"""The class term in its two forms: what a class costs in the matching, and what it adds to the loss.

`softmax` (Carion et al. 2020): K = C + 1 logits, no-object last. With p̂ = softmax(z) and target class c,

    cost = -p̂(c)                                a probability, so commensurable with the box terms
    loss = Σ w_i (-log p̂_i(c_i)) / Σ w_i        over all queries, c_i = no-object where unmatched, and
                                                w_i = `no_object_weight` there, 1 elsewhere

`sigmoid` (quality-aware: Zhang et al. 2021, Huang et al. 2025): K = C logits, each class on its own. With p = σ(z)
and q the IoU of the matched pair,

    cost = α (1-p)^γ (-log p) - (1-α) p^γ (-log(1-p))     of the target's class; α = 0.25, γ = 2 (focal)
    loss = Σ w (-t log p - (1-t) log(1-p)) / #targets     over all queries and classes, with
                                                          t = q^`quality_power`, w = 1 at a matched pair's class,
                                                          t = 0, w = `negative_weight` · p^`quality_power` elsewhere
                                                          (w is not differentiated)

References:
    Carion et al., End-to-End Object Detection with Transformers, arXiv 2005.12872, equations 1 and 2.
    Lin et al., Focal Loss, arXiv 1708.02002. Zhang et al., VarifocalNet, arXiv 2008.13367.
    Huang et al., DEIM (matchability-aware loss), arXiv 2412.04234.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

Form = Literal["softmax", "sigmoid"]


def class_scores(logits: Float[Tensor, "L B Q K"], form: Form) -> Float[Tensor, "L B Q K"]:
    """What both the cost and the loss are made of: log-probabilities (softmax), or the logits themselves (sigmoid)."""
    return logits.log_softmax(-1) if form == "softmax" else logits


def class_cost(
    scores: Float[Tensor, "L B Q K"], images: Int64[Tensor, " N"], labels: Int64[Tensor, " N"], form: Form
) -> Float[Tensor, "L N Q"]:
    """The class term of the matching cost, of N targets with every query of their images. Formulas above."""
    score = scores.transpose(-1, -2)[:, images, labels]  # (L, N, Q)
    if form == "softmax":
        return score.exp().neg_()
    p = score.sigmoid()
    # softplus(-z) = -log p and softplus(z) = -log(1-p), without the rounding
    return 0.25 * (1 - p) ** 2 * F.softplus(-score) - 0.75 * p**2 * F.softplus(score)


def softmax_loss(
    log_p: Float[Tensor, "L B Q K"], query_labels: Int64[Tensor, "L B Q"], no_object_weight: float
) -> tuple[Float[Tensor, " L"], Float[Tensor, " L"]]:
    """Weighted cross-entropy of every layer: the sum over images and queries, and the sum of the weights.

    Args:
        log_p: log-probabilities, no-object last.
        query_labels: class of each query's target, K - 1 where it has none.
        no_object_weight: w of the queries without a target, in [0, 1].
    """
    no_object = query_labels == log_p.shape[-1] - 1
    weight = torch.where(no_object, no_object_weight, 1.0)  # (L, B, Q)
    losses = -weight * log_p.gather(-1, query_labels[..., None]).squeeze(-1)
    return losses.flatten(1).sum(-1), weight.flatten(1).sum(-1)


def sigmoid_loss(
    logits: Float[Tensor, "L B Q C"],
    query_labels: Int64[Tensor, "L B Q"],
    quality: Float[Tensor, "L B Q"],
    quality_power: float,
    negative_weight: float,
) -> Float[Tensor, " L"]:
    """Quality-aware binary cross-entropy of every layer, summed over images, queries and classes.

    Args:
        logits: one per class.
        query_labels: class of each query's target, C where it has none.
        quality: IoU of each matched pair, in [0, 1]; not differentiated.
        quality_power: exponent of the quality in the target, and of p in the weight of negatives.
        negative_weight: factor of the negatives.
    """
    C = logits.shape[-1]
    positive = F.one_hot(query_labels, C + 1)[..., :C].to(logits.dtype)
    target = positive * quality.detach().pow(quality_power)[..., None]
    negative = negative_weight * logits.detach().sigmoid().pow(quality_power)
    losses = F.binary_cross_entropy_with_logits(
        logits, target, weight=torch.where(positive > 0, 1.0, negative), reduction="none"
    )
    return losses.flatten(1).sum(-1)
