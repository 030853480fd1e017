"""Images and boxes move together: the paper's training augmentation, and the resize of evaluation.

Pipelines of torchvision.transforms.v2 over `(tv_tensors.Image, {"boxes": tv_tensors.BoundingBoxes, "labels": ...})`,
on uint8 pixels; they draw from torch's global generator alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

# The paper, for images of 800 pixels at the shortest side: shortest side 480 to 800; or, before that, a resize
# to 400, 500 or 600 and a crop of 384 to 600 pixels a side.
SCALES = (480 / 800, 1.0)
BEFORE_CROP = (400 / 800, 500 / 800, 600 / 800)
CROP = (384 / 800, 600 / 800)

STRIDE = 32  # pixels of a cell of the coarsest feature map


@dataclass(frozen=True)
class InputSize:
    """How large an image enters the model: as large as both limits allow, its aspect kept.

    `scale = min(shortest / min(h, w), longest / max(h, w))`, so that with equal limits the longest side fits.

    Args:
        shortest: pixels that the shorter side has at most.
        longest: pixels that the longer side has at most.

    Example:
        >>> InputSize(800, 1333).fit(480, 640)
        (800, 1067)
        >>> InputSize(256, 256).fit(480, 640)
        (192, 256)
    """

    shortest: int
    longest: int

    def fit(self, height: int, width: int, fraction: float = 1.0) -> tuple[int, int]:
        """(height, width) of an image once resized, or once resized to a fraction of that."""
        scale = fraction * min(self.shortest / min(height, width), self.longest / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))

    def scaled(self, factor: float) -> InputSize:
        """Both limits times a factor, each in whole strides and at least two; at a factor of 1 they stay as they are.

        Maps of two cells a side leave batch norm something to average over in a batch of one image.

        Args:
            factor: in (0, 1].

        Example:
            >>> InputSize(352, 352).scaled(0.9)
            InputSize(shortest=320, longest=320)
        """
        if factor == 1:
            return self
        shortest, longest = (
            min(limit, STRIDE * max(2, round(limit * factor / STRIDE))) for limit in (self.shortest, self.longest)
        )
        return InputSize(shortest, longest)


class FitSize(v2.Transform):
    """Resize to an input size."""

    def __init__(self, size: InputSize) -> None:
        super().__init__()
        self.size = size

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The (height, width) to resize to."""
        return {"size": list(self.size.fit(*v2.query_size(flat_inputs)))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize one image or set of boxes."""
        return F.resize(inpt, params["size"], antialias=True)


class RandomScaleCrop(v2.Transform):
    """The paper's scale jitter and random crop, in one interpolation.

    Resize to a random fraction of the input size, in `scales`; with probability `crop`, resize to one of
    `BEFORE_CROP` and take a crop with sides in `CROP` before that. The crop of a resized image is a larger crop
    of the image itself, so both take one interpolation.
    """

    def __init__(self, size: InputSize, scales: tuple[float, float], crop: float) -> None:
        super().__init__()
        self.size = size
        self.scales = scales
        self.crop = crop

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The crop (top, left, height, width) in pixels, and the (height, width) to resize it to."""
        height, width = v2.query_size(flat_inputs)
        top, left, crop_height, crop_width = 0, 0, height, width
        if uniform(0.0, 1.0) < self.crop:
            resized_shortest = BEFORE_CROP[below(len(BEFORE_CROP))]
            unit = min(height, width) / resized_shortest  # pixels of the image for one `shortest` of the resized one
            crop_height, crop_width = _crop_side(height, unit), _crop_side(width, unit)
            top, left = below(height - crop_height + 1), below(width - crop_width + 1)
        size = self.size.fit(crop_height, crop_width, uniform(*self.scales))
        return {"top": top, "left": left, "height": crop_height, "width": crop_width, "size": list(size)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Crop and resize one image or set of boxes."""
        return F.resized_crop(inpt, **params, antialias=True)


class PhotometricDistort(v2.RandomPhotometricDistort):
    """Random brightness, contrast, saturation and hue.

    The channels are not permuted as in torchvision's: colour may be what tells two classes apart.

    References:
        Liu et al. 2016, SSD: Single Shot MultiBox Detector (arXiv 1512.02325).
    """

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Torchvision's, less the permutation."""
        return {**super().make_params(flat_inputs), "channel_permutation": None}


def train_transform(
    size: InputSize, *, scales: tuple[float, float] = SCALES, crop: float = 0.5, photometric: bool = True
) -> v2.Transform:
    """The augmentation of the paper but for its flips, as fractions of the input size, and photometric distortion.

    Flips are `items.oriented`, since which of them leave the classes what they are depends on the data.
    Boxes are clipped to a crop; what is left of one is kept, as in the paper, unless it is under a pixel a side.

    Args:
        size: the input size of the model, and the largest that comes out.
        scales: the smallest and the largest fraction of it that an image is resized to.
        crop: probability of a random crop, in [0, 1].
        photometric: whether colours are distorted too.

    References:
        Carion et al. 2020, End-to-End Object Detection with Transformers, A.4 (arXiv 2005.12872).
    """
    return v2.Compose(
        [
            RandomScaleCrop(size, scales, crop),
            *([PhotometricDistort()] if photometric else []),
            v2.ClampBoundingBoxes(),  # sanitising drops boxes that rounding left a hair outside
            v2.SanitizeBoundingBoxes(min_size=1),
        ]
    )


def eval_transform(size: InputSize) -> v2.Transform:
    """Resize to the input size, of an image alone or with its boxes.

    Example:
        >>> from torchvision import tv_tensors
        >>> eval_transform(InputSize(64, 96))(tv_tensors.Image(torch.zeros(3, 100, 200, dtype=torch.uint8))).shape
        torch.Size([3, 48, 96])
    """
    return FitSize(size)


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


def uniform(low: float, high: float) -> float:
    """A random number in [low, high)."""
    return low + (high - low) * torch.rand(()).item()


def below(count: int) -> int:
    """A random one of 0 to count - 1."""
    return int(torch.randint(count, ()))


def _crop_side(side: int, unit: float) -> int:
    smallest, largest = (min(fraction * unit, float(side)) for fraction in CROP)
    return max(1, round(uniform(smallest, largest)))
