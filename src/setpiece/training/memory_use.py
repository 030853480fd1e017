"""How much memory a run holds."""

from __future__ import annotations

import psutil
import torch

__all__ = ["in_words", "used"]


def used(device: torch.device) -> int:
    """Bytes that this process holds: of a GPU where it trains on one, else of the machine."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    return int(psutil.Process().memory_info().rss)


def in_words(count: int) -> str:
    """Bytes in words.

    Example:
        >>> in_words(734_003_200), in_words(5_476_083_302)
        ('700 MB', '5.1 GB')
    """
    megabytes = count / 2**20
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1024:.1f} GB"
