"""The augmentation for training on few images: a random part of an image on a canvas."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from setpiece.data.augmentation.random import below, uniform
from setpiece.records import STRIDE, InputSize

__all__ = ["RandomCanvas", "random_colouring", "turn_hue"]

IDENTITY = torch.eye(3)
LUMA = torch.tensor([0.299, 0.587, 0.114])
CROSS = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])  # product with the grey axis, times √3


@dataclass(frozen=True)
class Span:
    """Along one axis, in pixels: the part of an image that is used, and the part of a canvas that it is drawn on."""

    first: int
    used: int
    offset: int
    drawn: int

    @property
    def source(self) -> slice:
        """Of the image."""
        return slice(self.first, self.first + self.used)

    @property
    def target(self) -> slice:
        """Of the canvas."""
        return slice(self.offset, self.offset + self.drawn)

    def move(self, at: Float32[Tensor, "*N"]) -> Float32[Tensor, "*N"]:
        """Places along the image -> places along the canvas."""
        return self.offset + (at - self.first) * (self.drawn / self.used)


@dataclass(frozen=True)
class Colouring:
    """An affine map of RGB in [0, 255]."""

    matrix: Float32[Tensor, "3 3"]
    offset: float

    def __call__(self, image: UInt8[Tensor, "3 H W"]) -> Float32[Tensor, "3 H W"]:
        """The image in its new colours, in [0, 255]."""
        coloured = torch.addmm(torch.tensor(self.offset), self.matrix, image.flatten(1).float())
        return coloured.clamp_(0, 255).view(image.shape)


class RandomCanvas:
    """Draw an image on a canvas: randomly scaled, cropped or surrounded by a margin, in changed colours.

    The longer side S of the canvas is `size.longest`, so that all items have one shape. Torchvision's transforms are
    not used: a small model would wait for them. Instead a part of the image is cut out and resized once, and one affine
    map changes its colours.

    Args:
        size: the input size of the model.
        scales: the smallest and the largest scale, above 0, drawn log-uniformly; at 1 the image's longer side is S.
        stretch: the largest ratio between the scales of width and height, at least 1.
        strength: power of all factors: of the scales, of the stretch and of the colours'. At 0 the image is only moved.
        margin: colour (RGB in [0, 1]) of the part of the canvas that the image does not cover. With the mean that
            normalisation subtracts, this part becomes 0, like the padding in evaluation.
        aspect: height of the canvas over its width, rounded so that the shorter side is a multiple of 32 pixels. With
            that of the images less of the canvas is margin, and a step costs less.
    """

    def __init__(
        self,
        size: InputSize,
        *,
        scales: tuple[float, float] = (0.6, 1.5),
        stretch: float = 1.2,
        strength: float = 1.0,
        margin: tuple[float, float, float] = (0.5, 0.5, 0.5),
        aspect: float = 1.0,
    ) -> None:
        self.side = size.longest
        shorter = min(self.side, STRIDE * math.ceil(self.side * min(aspect, 1 / aspect) / STRIDE))
        self.height, self.width = (shorter, self.side) if aspect < 1 else (self.side, shorter)
        self.scales = scales[0] ** strength, scales[1] ** strength
        self.stretch = stretch**strength
        self.strength = strength
        self.margin = (255 * torch.tensor(margin)).round().byte()[:, None, None]

    def __call__(
        self, image: UInt8[Tensor, "3 H W"], target: dict[str, Tensor]
    ) -> tuple[UInt8[Tensor, "3 _ _"], dict[str, Tensor]]:
        """The canvas, and the boxes (xyxy, in pixels) and labels that are on it.

        Boxes are clipped to the canvas. A box that is then less than a pixel wide or high is dropped. All random
        numbers come from torch's global generator.
        """
        height, width = image.shape[-2:]
        low, high = (math.log(scale) for scale in self.scales)
        scale = math.exp(uniform(low, high)) * self.side / max(height, width)
        skew = math.exp(uniform(-0.5, 0.5) * math.log(self.stretch))
        rows = _random_span(height, scale * skew, self.height)
        columns = _random_span(width, scale / skew, self.width)
        canvas = self._draw(image.as_subclass(Tensor), rows, columns, random_colouring(self.strength))
        x, y = target["boxes"].as_subclass(Tensor).view(-1, 2, 2).unbind(2)  # (N, 2) each
        x, y = columns.move(x).clamp_(0, self.width), rows.move(y).clamp_(0, self.height)
        boxes_xyxy = torch.stack([x, y], 2).flatten(1)
        left_top, right_bottom = boxes_xyxy.split(2, 1)
        kept = (right_bottom - left_top >= 1).all(1)
        return canvas, {"boxes": boxes_xyxy[kept], "labels": target["labels"][kept]}

    def _draw(
        self, image: UInt8[Tensor, "3 H W"], rows: Span, columns: Span, colours: Colouring
    ) -> UInt8[Tensor, "3 _ _"]:
        part = image[:, rows.source, columns.source]
        canvas = self.margin.repeat(1, self.height, self.width)
        canvas[:, rows.target, columns.target] = colours(F.resize(part, [rows.drawn, columns.drawn], antialias=True))
        return canvas


def _random_span(length: int, scale: float, side: int) -> Span:
    """A random part of an image's side, and where it lies along a canvas's side."""
    used = min(length, max(1, round(side / scale)))
    drawn = min(side, max(1, round(used * scale)))
    return Span(below(length - used + 1), used, below(side - drawn + 1), drawn)


def random_colouring(strength: float = 1.0) -> Colouring:
    """Random brightness, contrast, saturation and hue.

        x' = b (c (s I + (1 - s) 1 lᵀ) R_θ x + (1 - c) m),

    with brightness b in [7/8, 9/8], contrast c and saturation s in [1/2, 3/2], hue θ within 18 degrees (the ranges
    of SSD), l the luma weights, R_θ the rotation about the grey axis, and m mid-grey. `strength` is a power of b, c and
    s, and a factor of θ. Torchvision's four adjustments, whose hue goes through HSV, take ten times as long.

    References:
        Liu et al. 2016, SSD: Single Shot MultiBox Detector (arXiv 1512.02325).
    """
    ranges = (7 / 8, 9 / 8), (0.5, 1.5), (0.5, 1.5)
    brightness, contrast, saturation = (uniform(*each) ** strength for each in ranges)
    saturate = saturation * IDENTITY + (1 - saturation) * LUMA.expand(3, 3)
    matrix = brightness * contrast * saturate @ turn_hue(strength * math.radians(uniform(-18.0, 18.0)))
    return Colouring(matrix, brightness * (1 - contrast) * 127.5)


def turn_hue(angle: float) -> Float32[Tensor, "3 3"]:
    """The rotation of RGB about its grey axis by an angle in radians (Rodrigues' formula)."""
    turned, kept = math.sin(angle) / math.sqrt(3), (1 - math.cos(angle)) / 3
    return math.cos(angle) * IDENTITY + turned * CROSS + kept
