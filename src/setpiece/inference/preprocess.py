"""Pictures -> what a model reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from setpiece.data.batching import pad_images
from setpiece.data.fitting import fitted
from setpiece.model.checkpoint import Checkpoint
from setpiece.records import Images

__all__ = ["preprocess"]


def preprocess(
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    checkpoint: Checkpoint,
    originals: Sequence[tuple[int, int]] | None = None,
) -> Images:
    """Resize pictures to the checkpoint's input size, pad them to one size and normalise them, as evaluation does.

    Args:
        pictures: RGB, [0, 255], of any sizes.
        originals: (height, width) of the whole images, where less of them was read.
    """
    originals = originals or [(pixels.shape[0], pixels.shape[1]) for pixels in pictures]
    resized = [
        torch.from_numpy(fitted(pixels, checkpoint.size, original).copy()).permute(2, 0, 1)
        for pixels, original in zip(pictures, originals, strict=True)
    ]
    return pad_images(resized, originals, checkpoint.mean, checkpoint.std)
