"""A checkpoint laid out for prediction."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from setpiece.model.checkpoint import Checkpoint
from setpiece.model.folding import fold_norms

__all__ = ["fast"]


def fast(checkpoint: Checkpoint, *, compile: bool = False) -> Checkpoint:
    """A copy that predicts the same, faster: batch norms folded into their convolutions, weights channels-last.

    Args:
        compile: by `torch.compile`, which joins the operations between convolutions. It takes effect at the first
            images, and again where their padded size changes.
    """
    model = fold_norms(copy.deepcopy(checkpoint.model).eval()).to(memory_format=torch.channels_last)
    if compile:
        model.compile(dynamic=False)
    return replace(checkpoint, model=model)
