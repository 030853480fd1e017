"""Parameters -> AdamW, and the moving average of the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from setpiece.training.config import TrainConfig

Tensors = tuple[Tensor, ...] | list[Tensor]


def make_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over everything that trains: the CNN at its own learning rate, weight decay on matrices alone.

    Biases, norms and other vectors are not decayed: they do not multiply, so a small norm does not regularise them.
    """
    groups: list[dict[str, Any]] = []
    for in_backbone, rate in ((False, config.learning_rate), (True, config.backbone_learning_rate)):
        members = [
            parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and name.startswith("backbone.") == in_backbone
        ]
        for decayed, decay in ((True, config.weight_decay), (False, 0.0)):
            chosen = [parameter for parameter in members if (parameter.ndim > 1) == decayed]
            groups.append({"params": chosen, "lr": rate, "initial_lr": rate, "weight_decay": decay})
    return torch.optim.AdamW([group for group in groups if group["params"]], betas=(0.9, config.beta2), fused=True)


def scale_learning_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set every learning rate to its initial value times a factor."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor


def make_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and buffers: `e += (1 - d) (w - e)` after every step.

    After n steps d = min(`decay`, (1 + n) / (10 + n)), so that a short run is not averaged with its random start.
    """

    @torch.no_grad()
    def average(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        n = int(count)
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))
        else:  # counters of batch norms
            torch._foreach_copy_(averaged, current)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)
