"""Images and their boxes, resized to the input size of a model; and pixels, normalised as it expects them."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from setpiece.data.fitting import fitted
from setpiece.records import InputSize

__all__ = ["FitSize", "normalise"]


class FitSize(v2.Transform):
    """Resize to the input size of a model, an image alone or with its boxes.

    Example:
        >>> from torchvision import tv_tensors
        >>> FitSize(InputSize(64, 96))(tv_tensors.Image(torch.zeros(3, 100, 200, dtype=torch.uint8))).shape
        torch.Size([3, 48, 96])
    """

    def __init__(self, size: InputSize) -> None:
        super().__init__()
        self.size = size

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The (height, width) to resize to."""
        return {"size": list(self.size.fit(*v2.query_size(flat_inputs)))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize one image or set of boxes."""
        if not isinstance(inpt, tv_tensors.Image):
            return F.resize(inpt, params["size"])
        pixels = fitted(inpt.permute(1, 2, 0).numpy(), self.size)
        return tv_tensors.Image(torch.from_numpy(pixels.copy()).permute(2, 0, 1))


def normalise(
    images_uint8: UInt8[Tensor, "*B 3 H W"], mean: tuple[float, float, float], std: tuple[float, float, float]
) -> Float32[Tensor, "*B 3 H W"]:
    """`(x / 255 - mean) / std`, channel by channel.

    Args:
        images_uint8: RGB.
        mean: of each channel, in [0, 1].
        std: likewise.

    Example:
        >>> white = torch.full((3, 1, 1), 255, dtype=torch.uint8)
        >>> normalise(white, (0.5, 0.5, 0.5), (0.5, 0.25, 0.1)).flatten().tolist()
        [1.0, 2.0, 5.0]
    """
    device = images_uint8.device
    offset = 255 * torch.tensor(mean, device=device)[:, None, None]
    factor = 1 / (255 * torch.tensor(std, device=device)[:, None, None])
    return images_uint8.float().sub_(offset).mul_(factor)
