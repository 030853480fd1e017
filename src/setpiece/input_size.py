"""How large an image enters a model. It needs no torch: an exported model has an input size too."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["STRIDE", "InputSize", "padded_size"]

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

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of an image once resized and padded by itself, to multiples of the stride.

        Example:
            >>> InputSize(256, 256).padded(480, 600)
            (224, 256)
        """
        return padded_size(*self.fit(height, width))

    def with_shortest(self, shortest: int) -> InputSize:
        """Another limit of the shorter side, and that of the longer side in proportion.

        Example:
            >>> InputSize(800, 1333).with_shortest(480)
            InputSize(shortest=480, longest=800)
        """
        return InputSize(shortest, round(shortest * self.longest / self.shortest))

    def scaled(self, factor: float) -> InputSize:
        """Both limits times a factor, rounded to multiples of the stride, at least two; a factor of 1 changes nothing.

        With maps of at least 2×2 cells, batch norm has values to average even in a batch of one image.

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


def padded_size(height: int, width: int, least_area: int = 1) -> tuple[int, int]:
    """(height, width) rounded up to multiples of 32 pixels, and higher where that is less than an area.

    Example:
        >>> padded_size(48, 96), padded_size(48, 96, least_area=10_000)
        ((64, 96), (128, 96))
    """
    height, width = (-(-side // STRIDE) * STRIDE for side in (height, width))
    return max(height, -(-least_area // (width * STRIDE)) * STRIDE), width
