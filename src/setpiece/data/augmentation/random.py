"""Random numbers from torch's global generator."""

from __future__ import annotations

import torch

__all__ = ["below", "uniform"]


def uniform(low: float, high: float) -> float:
    """A random number in [low, high)."""
    return low + (high - low) * torch.rand(()).item()


def below(count: int) -> int:
    """A random integer in [0, count)."""
    return int(torch.randint(count, ()))
