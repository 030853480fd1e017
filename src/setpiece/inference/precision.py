"""When to compute in bfloat16, and the autocast context for it."""

from __future__ import annotations

from typing import Literal

import torch

__all__ = ["Precision", "autocast", "uses_bf16"]

Precision = Literal["auto", "bf16", "fp32"]


def uses_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16: "auto" does where the hardware multiplies in it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def autocast(device: torch.device, bf16: bool) -> torch.autocast:
    """Autocast: matrix products and convolutions in bfloat16, operations that need more precision in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)
