"""The paper's training augmentation.

Pipelines of torchvision.transforms.v2 over `(tv_tensors.Image, {"boxes": tv_tensors.BoundingBoxes, "labels": ...})`,
on uint8 pixels; they draw from torch's global generator alone.
"""

from __future__ import annotations

from typing import Any

from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from setpiece.data.augmentation.random import below, uniform
from setpiece.records import InputSize

__all__ = ["train_transform"]

# The paper, for images of 800 pixels at the shortest side: shortest side 480 to 800; or, before that, a resize
# to 400, 500 or 600 and a crop of 384 to 600 pixels a side.
SCALES = (480 / 800, 1.0)
BEFORE_CROP = (400 / 800, 500 / 800, 600 / 800)
CROP = (384 / 800, 600 / 800)


class RandomScaleCrop(v2.Transform):
    """The paper's scale jitter and random crop, in one interpolation.

    With probability `crop`, resize to one of `BEFORE_CROP` and take a crop with sides in `CROP`. Then resize to
    a random fraction of the input size, in `scales`. A crop of a resized image is a larger crop of the original
    image, so one interpolation is enough for both.
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
    """The paper's augmentation without flips, in fractions of the input size, and photometric distortion.

    Flips are in `items.oriented`: whether a flip changes the class of an object depends on the data set.
    Boxes are clipped to the crop. As in the paper, the rest of a box is kept, unless a side is shorter than a pixel.

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
            v2.ClampBoundingBoxes(),  # sanitising drops boxes that are outside by a rounding error
            v2.SanitizeBoundingBoxes(min_size=1),
        ]
    )


def _crop_side(side: int, unit: float) -> int:
    smallest, largest = (min(fraction * unit, float(side)) for fraction in CROP)
    return max(1, round(uniform(smallest, largest)))
