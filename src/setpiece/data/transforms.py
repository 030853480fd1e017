"""Images and boxes move together: the paper's training augmentation, and the resize of evaluation.

Pipelines of torchvision.transforms.v2 over `(tv_tensors.Image, {"boxes": tv_tensors.BoundingBoxes, "labels": ...})`,
on uint8 pixels; they draw from torch's global generator alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

# The paper, for images of 800 pixels at the shortest side: shortest side 480 to 800; or, before that, a resize
# to 400, 500 or 600 and a crop of 384 to 600 pixels a side.
SCALES = (480 / 800, 1.0)
BEFORE_CROP = (400 / 800, 500 / 800, 600 / 800)
CROP = (384 / 800, 600 / 800)

MEAN_COLOUR = [124, 116, 104]  # ImageNet's mean RGB: about 0 once normalised


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
        """Both limits times a factor, in whole pixels."""
        return InputSize(max(1, round(self.shortest * factor)), max(1, round(self.longest * factor)))


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
        if _uniform(0.0, 1.0) < self.crop:
            resized_shortest = BEFORE_CROP[_below(len(BEFORE_CROP))]
            unit = min(height, width) / resized_shortest  # pixels of the image for one `shortest` of the resized one
            crop_height, crop_width = _crop_side(height, unit), _crop_side(width, unit)
            top, left = _below(height - crop_height + 1), _below(width - crop_width + 1)
        size = self.size.fit(crop_height, crop_width, _uniform(*self.scales))
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
    """The augmentation of the paper, as fractions of the input size, and photometric distortion.

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
            v2.RandomHorizontalFlip(),
            RandomScaleCrop(size, scales, crop),
            *([PhotometricDistort()] if photometric else []),
            v2.ClampBoundingBoxes(),  # sanitising drops boxes that rounding left a hair outside
            v2.SanitizeBoundingBoxes(min_size=1),
        ]
    )


class RandomCanvas(v2.Transform):
    """Show an image at random on a square canvas: scaled, cut or surrounded by a margin, turned, in other colours.

    The canvas has the side S = `size.longest`, so that all items have one shape. In one pass, since a small model
    would wait for a pipeline of torchvision's: a part of the image is cut out and resized, once; its colours are
    changed by one affine map; the margin has the colour that normalisation takes to 0, as the padding of evaluation
    has; flips of both axes and their exchange make all eight turns.

    Args:
        size: the input size of the model.
        scales: the smallest and the largest scale, drawn log-uniformly; at 1 the image's longer side is S.
        stretch: the largest ratio between the scales of width and height.
        turns: whether up and down, rows and columns are exchanged too, and not left and right alone.
    """

    def __init__(self, size: InputSize, scales: tuple[float, float], stretch: float, *, turns: bool) -> None:
        super().__init__()
        self.side = size.longest
        self.scales = scales
        self.stretch = stretch
        self.turns = turns

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What is seen of the image, where it goes on the canvas, its turn and its colours."""
        height, width = v2.query_size(flat_inputs)
        low, high = (math.log(scale) for scale in self.scales)
        scale = math.exp(_uniform(low, high)) * self.side / max(height, width)
        skew = math.exp(_uniform(-0.5, 0.5) * math.log(self.stretch))
        colour_matrix, colour_offset = random_colour()
        return {
            "rows": self._look(height, scale * skew),
            "columns": self._look(width, scale / skew),
            "flipped": [axis for axis in ((-2, -1) if self.turns else (-1,)) if _below(2)],
            "transposed": self.turns and _below(2) == 1,
            "colour_matrix": colour_matrix,
            "colour_offset": colour_offset,
        }

    def _look(self, length: int, scale: float) -> _Span:
        seen = min(length, max(1, round(self.side / scale)))
        shown = min(self.side, max(1, round(seen * scale)))
        return _Span(_below(length - seen + 1), seen, _below(self.side - shown + 1), shown)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Bring one image or set of boxes onto the canvas."""
        if isinstance(inpt, tv_tensors.BoundingBoxes):
            return self._move(inpt, **params)
        return self._draw(inpt, **params) if isinstance(inpt, tv_tensors.Image) else inpt

    def _draw(
        self,
        image: UInt8[Tensor, "3 H W"],
        rows: _Span,
        columns: _Span,
        flipped: list[int],
        transposed: bool,
        colour_matrix: Float32[Tensor, "3 3"],
        colour_offset: float,
    ) -> tv_tensors.Image:
        part = image.as_subclass(Tensor)[:, rows.source, columns.source]
        seen = F.resize(part, [rows.shown, columns.shown], antialias=True)
        coloured = torch.addmm(torch.tensor(colour_offset), colour_matrix, seen.flatten(1).float()).clamp_(0, 255)
        canvas = torch.tensor(MEAN_COLOUR, dtype=torch.uint8)[:, None, None].repeat(1, self.side, self.side)
        canvas[:, rows.target, columns.target] = coloured.view(seen.shape)
        turned = canvas.flip(flipped) if flipped else canvas
        return tv_tensors.Image(turned.transpose(-1, -2) if transposed else turned)

    def _move(
        self,
        boxes_xyxy: Float32[Tensor, "N 4"],
        rows: _Span,
        columns: _Span,
        flipped: list[int],
        transposed: bool,
        **_: Any,
    ) -> tv_tensors.BoundingBoxes:
        left, top, right, bottom = boxes_xyxy.as_subclass(Tensor).unbind(-1)
        x, y = columns.move(torch.stack([left, right])), rows.move(torch.stack([top, bottom]))  # (2, N) each
        x, y = (
            (self.side - at).flip(0) if axis in flipped else at  # what was the left side is the right one
            for at, axis in ((x, -1), (y, -2))
        )
        x, y = (y, x) if transposed else (x, y)
        moved = torch.stack([x[0], y[0], x[1], y[1]], -1)
        return tv_tensors.wrap(moved, like=boxes_xyxy, canvas_size=(self.side, self.side))


@dataclass(frozen=True)
class _Span:
    """Along one axis, in pixels: the part of an image that is seen, and the part of a canvas that shows it."""

    first: int
    seen: int
    offset: int
    shown: int

    @property
    def source(self) -> slice:
        return slice(self.first, self.first + self.seen)

    @property
    def target(self) -> slice:
        return slice(self.offset, self.offset + self.shown)

    def move(self, at: Float32[Tensor, "*N"]) -> Float32[Tensor, "*N"]:
        """From the image's pixels to the canvas's."""
        return self.offset + (at - self.first) * (self.shown / self.seen)


def random_colour() -> tuple[Float32[Tensor, "3 3"], float]:
    """Random brightness, contrast, saturation and hue, as one affine map of RGB in [0, 255]: a matrix and an offset.

        x' = b (c (s I + (1 - s) 1 lᵀ) R_θ x + (1 - c) m),

    with brightness b in [7/8, 9/8], contrast c and saturation s in [1/2, 3/2], hue θ within 18 degrees (the ranges
    of SSD), l the luma weights, R_θ the rotation about the grey axis, and m mid-grey. Torchvision's four
    adjustments, whose hue goes through HSV, take ten times as long.

    References:
        Liu et al. 2016, SSD: Single Shot MultiBox Detector (arXiv 1512.02325).
    """
    brightness, contrast, saturation = _uniform(7 / 8, 9 / 8), _uniform(0.5, 1.5), _uniform(0.5, 1.5)
    luma = torch.tensor([0.299, 0.587, 0.114])
    saturate = saturation * torch.eye(3) + (1 - saturation) * luma.expand(3, 3)
    matrix = brightness * contrast * saturate @ _turn_hue(math.radians(_uniform(-18.0, 18.0)))
    return matrix, brightness * (1 - contrast) * 127.5


def _turn_hue(angle: float) -> Float32[Tensor, "3 3"]:
    """The rotation of RGB about its grey axis (Rodrigues' formula)."""
    turned, kept = math.sin(angle) / math.sqrt(3), (1 - math.cos(angle)) / 3
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    return math.cos(angle) * torch.eye(3) + turned * cross + kept * torch.ones(3, 3)


def canvas_transform(
    size: InputSize, *, scales: tuple[float, float] = (0.6, 1.5), stretch: float = 1.2, turns: bool = True
) -> v2.Transform:
    """Augmentation for training from scratch on few images: see `RandomCanvas`.

    Boxes are clipped to the canvas; what is left of one is kept unless it is under a pixel a side.
    """
    return v2.Compose(
        [
            RandomCanvas(size, scales, stretch, turns=turns),
            v2.ClampBoundingBoxes(),
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


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * torch.rand(()).item()


def _below(count: int) -> int:
    return int(torch.randint(count, ()))


def _crop_side(side: int, unit: float) -> int:
    smallest, largest = (min(fraction * unit, float(side)) for fraction in CROP)
    return max(1, round(_uniform(smallest, largest)))
