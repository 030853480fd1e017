"""The augmentation for training from scratch on few images: an image at random on a square canvas."""

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

from setpiece.data.transforms import InputSize, below, uniform


def canvas_transform(
    size: InputSize,
    *,
    scales: tuple[float, float] = (0.6, 1.5),
    stretch: float = 1.2,
    turns: bool = True,
    margin: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> v2.Transform:
    """A `RandomCanvas` of these arguments. Boxes are clipped to it and kept unless under a pixel a side is left."""
    return v2.Compose(
        [
            RandomCanvas(size, scales, stretch, turns=turns, margin=margin),
            v2.ClampBoundingBoxes(),
            v2.SanitizeBoundingBoxes(min_size=1),
        ]
    )


@dataclass(frozen=True)
class Span:
    """Along one axis, in pixels: the part of an image that is seen, and the part of a canvas that shows it."""

    first: int
    seen: int
    offset: int
    shown: int

    @property
    def source(self) -> slice:
        """Of the image."""
        return slice(self.first, self.first + self.seen)

    @property
    def target(self) -> slice:
        """Of the canvas."""
        return slice(self.offset, self.offset + self.shown)

    def move(self, at: Float32[Tensor, "*N"]) -> Float32[Tensor, "*N"]:
        """Places along the image -> places along the canvas."""
        return self.offset + (at - self.first) * (self.shown / self.seen)


@dataclass(frozen=True)
class Colouring:
    """An affine map of RGB in [0, 255]."""

    matrix: Float32[Tensor, "3 3"]
    offset: float

    def __call__(self, image: UInt8[Tensor, "3 H W"]) -> Float32[Tensor, "3 H W"]:
        """The image in its new colours, in [0, 255]."""
        coloured = torch.addmm(torch.tensor(self.offset), self.matrix, image.flatten(1).float())
        return coloured.clamp_(0, 255).view(image.shape)


class RandomCanvas(v2.Transform):
    """Show an image at random on a square canvas: scaled, cut or surrounded by a margin, turned, in other colours.

    The canvas has the side S = `size.longest`, so that all items have one shape. In one pass, since a small model
    would wait for a pipeline of torchvision's: a part of the image is cut out and resized, once; its colours are
    changed by one affine map; flips of both axes and their exchange make all eight turns.

    Args:
        size: the input size of the model.
        scales: the smallest and the largest scale, above 0, drawn log-uniformly; at 1 the image's longer side is S.
        stretch: the largest ratio between the scales of width and height, at least 1.
        turns: whether up and down, rows and columns are exchanged too, and not left and right alone.
        margin: RGB in [0, 1] of what the image does not cover. Where it is the mean that normalisation subtracts, it
            becomes 0, as the padding of evaluation is.
    """

    _transformed_types = (tv_tensors.Image, tv_tensors.BoundingBoxes)

    def __init__(
        self,
        size: InputSize,
        scales: tuple[float, float],
        stretch: float,
        *,
        turns: bool,
        margin: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.side = size.longest
        self.scales = scales
        self.stretch = stretch
        self.turns = turns
        self.margin = (255 * torch.tensor(margin)).round().byte()[:, None, None]

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What is seen of the image and where on the canvas, the axes that are flipped or exchanged, the colours."""
        height, width = v2.query_size(flat_inputs)
        low, high = (math.log(scale) for scale in self.scales)
        scale = math.exp(uniform(low, high)) * self.side / max(height, width)
        skew = math.exp(uniform(-0.5, 0.5) * math.log(self.stretch))
        return {
            "rows": self._look(height, scale * skew),
            "columns": self._look(width, scale / skew),
            "flipped": [axis for axis in ((-2, -1) if self.turns else (-1,)) if below(2)],
            "transposed": self.turns and below(2) == 1,
            "colours": random_colouring(),
        }

    def _look(self, length: int, scale: float) -> Span:
        seen = min(length, max(1, round(self.side / scale)))
        shown = min(self.side, max(1, round(seen * scale)))
        return Span(below(length - seen + 1), seen, below(self.side - shown + 1), shown)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Bring one image or set of boxes onto the canvas."""
        place = self._move if isinstance(inpt, tv_tensors.BoundingBoxes) else self._draw
        return place(inpt, **params)

    def _draw(
        self,
        image: tv_tensors.Image,
        rows: Span,
        columns: Span,
        flipped: list[int],
        transposed: bool,
        colours: Colouring,
    ) -> tv_tensors.Image:
        part = image.as_subclass(Tensor)[:, rows.source, columns.source]
        canvas = self.margin.repeat(1, self.side, self.side)
        canvas[:, rows.target, columns.target] = colours(F.resize(part, [rows.shown, columns.shown], antialias=True))
        turned = canvas.flip(flipped) if flipped else canvas
        return tv_tensors.Image(turned.transpose(-1, -2) if transposed else turned)

    def _move(
        self,
        boxes_xyxy: tv_tensors.BoundingBoxes,
        rows: Span,
        columns: Span,
        flipped: list[int],
        transposed: bool,
        colours: Colouring,  # noqa: ARG002 (boxes have none)
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


def random_colouring() -> Colouring:
    """Random brightness, contrast, saturation and hue.

        x' = b (c (s I + (1 - s) 1 lᵀ) R_θ x + (1 - c) m),

    with brightness b in [7/8, 9/8], contrast c and saturation s in [1/2, 3/2], hue θ within 18 degrees (the ranges
    of SSD), l the luma weights, R_θ the rotation about the grey axis, and m mid-grey. Torchvision's four
    adjustments, whose hue goes through HSV, take ten times as long.

    References:
        Liu et al. 2016, SSD: Single Shot MultiBox Detector (arXiv 1512.02325).
    """
    brightness, contrast, saturation = uniform(7 / 8, 9 / 8), uniform(0.5, 1.5), uniform(0.5, 1.5)
    luma = torch.tensor([0.299, 0.587, 0.114])
    saturate = saturation * torch.eye(3) + (1 - saturation) * luma.expand(3, 3)
    matrix = brightness * contrast * saturate @ turn_hue(math.radians(uniform(-18.0, 18.0)))
    return Colouring(matrix, brightness * (1 - contrast) * 127.5)


def turn_hue(angle: float) -> Float32[Tensor, "3 3"]:
    """The rotation of RGB about its grey axis by an angle in radians (Rodrigues' formula)."""
    turned, kept = math.sin(angle) / math.sqrt(3), (1 - math.cos(angle)) / 3
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    return math.cos(angle) * torch.eye(3) + turned * cross + kept * torch.ones(3, 3)
