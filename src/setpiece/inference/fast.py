"""A checkpoint laid out for prediction."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from setpiece.model.checkpoint import Checkpoint
from setpiece.model.folding import fold_norms

__all__ = ["fast"]


def fast(checkpoint: Checkpoint) -> Checkpoint:
    """A copy that predicts the same, faster: batch norms folded into their convolutions, weights channels-last."""
    model = fold_norms(copy.deepcopy(checkpoint.model).eval())
    return replace(checkpoint, model=model.to(memory_format=torch.channels_last))
