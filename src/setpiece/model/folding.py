"""Batch norms folded into the convolutions before them, for prediction."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision.ops import FrozenBatchNorm2d

__all__ = ["fold_norms"]

M = TypeVar("M", bound=nn.Module)


@torch.no_grad()
def fold_norms(model: M) -> M:
    """Fold every batch norm of a model into the convolution that was registered just before it, in place.

    With the norm's mean μ, variance σ², weight γ and bias β, a convolution with weights W and bias b becomes one with
    W γ/√(σ² + ε) and (b - μ) γ/√(σ² + ε) + β. So the predictions are the same but for rounding. The model cannot be
    trained any more. Every model of ours registers a norm behind the convolution it follows, and a test holds that.

    Args:
        model: in evaluation mode.

    Returns:
        The same model.
    """
    for module in list(model.modules()):
        for (_, conv), (name, norm) in pairwise(module.named_children()):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d | FrozenBatchNorm2d):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                conv.weight, bias = fuse_conv_bn_weights(
                    conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
                )
                conv.bias = bias
                setattr(module, name, nn.Identity())
    return model
