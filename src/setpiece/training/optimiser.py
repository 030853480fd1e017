"""Parameters -> their optimisers, and the exponential moving average (EMA) of the weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from setpiece.model.base import SetModel
from setpiece.training.config import TrainConfig
from setpiece.training.muon import Muon

__all__ = ["EMA_EVERY", "Ema", "make_optimisers", "scale_learning_rates", "update_ema"]

FEATURES = 28  # fewest rows and columns for Muon; excludes 4 (the sides of a box) and 27 (a 3×3 patch of RGB)

EMA_EVERY = 4  # steps


def make_optimisers(
    model: SetModel, config: TrainConfig, threads: ThreadPoolExecutor | None = None
) -> list[torch.optim.Optimizer]:
    """Make AdamW for all parameters, or Muon for the matrices within the network and AdamW for the rest.

    The CNN and the class heads have learning rates of their own. Only matrices and convolutions are decayed: vectors
    (biases, norms) do not multiply, so a small norm does not regularise them. Muon leaves class heads to AdamW, as
    Jordan et al. do, and also grouped convolutions and matrices with few rows or columns, such as the four sides of a
    box.

    Args:
        model: what is trained.
        config: `optimiser`, the learning rates, weight decay and beta2.
        threads: for Muon.
    """
    heads = {id(parameter) for parameter in model.class_head_parameters()}
    for_adamw = heads | {id(m.weight) for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups > 1}
    rates = {
        "rest": config.learning_rate,
        "class heads": config.learning_rate * config.class_head_rate,
        "CNN": config.backbone_learning_rate,
    }
    muon: list[dict[str, Any]] = []
    adamw: list[dict[str, Any]] = []
    for part, rate in rates.items():
        members: dict[str, list[Tensor]] = {"within": [], "other": [], "vector": []}
        for name, parameter in model.named_parameters():
            in_heads = id(parameter) in heads and config.class_head_rate != 1
            of = "class heads" if in_heads else "CNN" if name.startswith("backbone.") else "rest"
            if parameter.requires_grad and of == part:
                members[_kind(parameter, for_adamw)].append(parameter)
        for kind, group in members.items():
            trained_by = muon if kind == "within" and config.optimiser == "muon" else adamw
            decay = 0.0 if kind == "vector" else config.weight_decay
            if group:
                trained_by.append({"params": group, "lr": rate, "initial_lr": rate, "weight_decay": decay})
    by_adamw = torch.optim.AdamW(adamw, betas=(0.9, config.beta2), fused=True)
    if not muon:
        return [by_adamw]
    return [Muon(muon, config.learning_rate, threads=threads), by_adamw]


def _kind(parameter: Tensor, for_adamw: set[int]) -> str:
    """The group of a parameter: "within" (a matrix for Muon), "other" (any other matrix) or "vector"."""
    if parameter.ndim < 2:
        return "vector"
    smaller_side = min(len(parameter), parameter[0].numel())
    return "other" if id(parameter) in for_adamw or smaller_side < FEATURES else "within"


def scale_learning_rates(optimisers: list[torch.optim.Optimizer], factor: float) -> None:
    """Set every learning rate to its initial value times a factor."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["initial_lr"] * factor


class Ema(AveragedModel):
    """An exponential moving average of weights and buffers, for `update_ema`.

    Each update is `e += (1 - d) (w - e)`, where d is `decay` to the power of the steps between two updates. After n
    steps `decay` is at most (1 + n) / (10 + n), so that a short run is not averaged with its random start.

    PyTorch's own update reads its count from the device at each call.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Average with the weights and buffers of a model; the first update copies them."""
        n = int(self.n_averaged) * EMA_EVERY  # it stays on the CPU
        averaged, current = ([*of.parameters(), *of.buffers()] for of in (self.module, model))
        numbers = [(e, w) for e, w in zip(averaged, current, strict=True) if e.is_floating_point()]
        counters = [(e, w) for e, w in zip(averaged, current, strict=True) if not e.is_floating_point()]
        _follow(numbers, min(self.decay, (1 + n) / (10 + n)) ** EMA_EVERY if n else 0.0)
        _follow(counters, 0.0)  # of batch norms
        self.n_averaged += 1


def _follow(pairs: list[tuple[Tensor, Tensor]], decay: float) -> None:
    """Move the first tensor of each pair towards the second."""
    first, second = [e for e, _ in pairs], [w for _, w in pairs]
    if decay:
        torch._foreach_lerp_(first, second, 1 - decay)
    elif pairs:
        torch._foreach_copy_(first, second)


def update_ema(ema: Ema, model: nn.Module, step: int) -> None:
    """Update the EMA of a model at every fourth step; between two updates the weights change little.

    Args:
        ema: of `model`.
        model: just trained.
        step: from 0. The EMA may miss the last one to three steps of a run, whose learning rates are the lowest.
    """
    if step % EMA_EVERY == 0:
        ema.update_parameters(model)
