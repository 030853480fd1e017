"""Hybrid encoder: feature maps of three strides -> fused maps of one width."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import Conv2dNormActivation

from setpiece.model.layers.transformer import EncoderLayer, sine_positions

__all__ = ["HybridEncoder"]


class HybridEncoder(nn.Module):
    """A transformer layer on the coarsest map, then coarse-to-fine and fine-to-coarse convolutions.

    Attention among the cells of the coarsest map is cheap and reaches the whole image. Convolutions then carry its
    result to the finer maps and back. The finest map has most cells, so it is fused at half the width, and a linear map
    widens it at the end: at full width its one 3×3 convolution would be more than a quarter of the arithmetic of
    `sprint-n`.

    Args:
        channels: of the maps of stride 8, 16 and 32.
        width: D, of all maps that come out; even.
        heads: attention heads.
        hidden: width inside the feed-forward network.
    """

    def __init__(self, channels: Sequence[int], width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.width = width
        half = width // 2
        widths = (half, width, width)
        self.project = nn.ModuleList(
            Conv2dNormActivation(c, w, kernel_size=1) for c, w in zip(channels, widths, strict=True)
        )
        self.encoder = EncoderLayer(width, heads, hidden, dropout=0.0)
        self.narrow = Conv2dNormActivation(width, half, kernel_size=1)
        self.finer = nn.ModuleList(Conv2dNormActivation(w, w) for w in (width, half))
        self.shrink = nn.ModuleList(Conv2dNormActivation(w, width, kernel_size=2, stride=2) for w in (half, width))
        self.coarser = nn.ModuleList(Conv2dNormActivation(width, width) for _ in range(2))
        self.widen = nn.Conv2d(half, width, kernel_size=1, bias=False)

    def forward(self, maps: list[Tensor], padding: Bool[Tensor, "B H W"]) -> list[Tensor]:
        """(B, c, h, w) maps, finest first -> (B, D, h, w) maps in the same order, 0 where they are padding.

        `padding` is that of the pixels; a cell is padding if its first pixel is. Padding does not change the
        other cells: an image's maps are the same in a batch and alone.
        """
        outside = [padding[:, :: padding.shape[-1] // m.shape[-1], :: padding.shape[-1] // m.shape[-1]] for m in maps]
        at_fine, at_middle, at_coarse = (~cells[:, None] for cells in outside)
        fine, middle, coarse = (project(m) for project, m in zip(self.project, maps, strict=True))
        coarse = self._attend(coarse, outside[2])
        middle = self.finer[0]((middle + _double(coarse)) * at_middle) * at_middle
        fine = self.finer[1]((fine + _double(self.narrow(middle))) * at_fine) * at_fine
        middle = self.coarser[0]((middle + self.shrink[0](fine)) * at_middle) * at_middle
        coarse = self.coarser[1]((coarse + self.shrink[1](middle)) * at_coarse) * at_coarse
        return [self.widen(fine), middle, coarse]  # which has neither bias nor norm: 0 stays 0

    def _attend(self, m: Tensor, outside: Bool[Tensor, "B h w"]) -> Tensor:
        B, D, h, w = m.shape
        positions = sine_positions(outside, self.width).flatten(1, 2)
        cells = self.encoder(m.flatten(2).transpose(1, 2), positions, ~outside.flatten(1)[:, None, None])
        return cells.transpose(1, 2).reshape(B, D, h, w)


def _double(m: Tensor) -> Tensor:
    return F.interpolate(m, scale_factor=2.0, mode="nearest")
