"""Half precision that keeps boxes right: what multiplies weights is float16, what computes coordinates is float32."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from setpiece.model.base import SetModel

__all__ = ["in_half_precision"]


class InHalf(nn.Module):
    """A layer in float16 between float32 layers."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.half()

    def forward(self, x: Tensor) -> Any:
        """Of one tensor; what comes out, a tensor or a list of them, is float32."""
        found = self.layer(x.half())
        return [each.float() for each in found] if isinstance(found, list) else found.float()


def in_half_precision(model: SetModel) -> SetModel:
    """Turn the CNN, and every other convolution and linear map, into float16.

    These hold all but a few of the weights and nearly all of the arithmetic. Softmax, norms, position codes, reference
    boxes and the sampling of deformable attention stay float32: in float16 a coordinate in [0.5, 1] has steps of
    0.0005, which is half a pixel of a thousand, and each layer refines the box of the one before. So that does not
    depend on how a runtime rounds inside `GridSample`.
    """
    model.backbone = InHalf(model.backbone)
    _replace(model)
    return model


def _replace(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Linear | nn.Conv2d):
            setattr(module, name, InHalf(child))
        elif not isinstance(child, InHalf):
            _replace(child)
