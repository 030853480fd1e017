"""The graph that is exported: canvases of pixels -> boxes, scores and labels."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from setpiece.export.half import in_half_precision
from setpiece.inference.found import COCO_LIMIT
from setpiece.model.checkpoint import Checkpoint
from setpiece.model.folding import fold_norms
from setpiece.setloss.boxes import cxcywh_to_xyxy
from setpiece.setloss.classification import class_form

__all__ = ["DetectionGraph"]


class DetectionGraph(nn.Module):
    """A model with what comes before and after it: normalisation and padding mask, and the choice of detections.

    There is no non-maximum suppression: a set prediction has no duplicates to suppress.

    Args:
        checkpoint: a copy of its model is kept, on the CPU.
        half: compute convolutions and linear maps in float16, see `export.half`.

    Example:
        >>> from setpiece.model.checkpoint import create
        >>> graph = DetectionGraph(create("detr-tiny", ["ace", "king"], shortest=64))
        >>> canvases = torch.zeros(1, 64, 96, 3, dtype=torch.uint8)
        >>> boxes, scores, labels = graph(canvases, torch.tensor([[64, 80]]))
        >>> boxes.shape, scores.shape, labels.shape
        (torch.Size([1, 60, 4]), torch.Size([1, 60]), torch.Size([1, 60]))
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, checkpoint: Checkpoint, *, half: bool = False) -> None:
        super().__init__()
        model = fold_norms(copy.deepcopy(checkpoint.model).eval().cpu().to(memory_format=torch.contiguous_format))
        self.model = in_half_precision(model) if half else model
        self.form = class_form(model.form)
        self.limit = max(COCO_LIMIT, model.num_queries)
        self.register_buffer("mean", 255 * torch.tensor(checkpoint.mean))
        self.register_buffer("scale", 1 / (255 * torch.tensor(checkpoint.std)))
        self.eval().requires_grad_(False)

    def forward(
        self, images: UInt8[Tensor, "B H W 3"], sizes: Int64[Tensor, "B 2"]
    ) -> tuple[Float[Tensor, "B N 4"], Float[Tensor, "B N"], Int64[Tensor, "B N"]]:
        """Detect objects.

        Args:
            images: RGB, [0, 255], each resized to the input size at the upper left of its canvas. H and W are multiples
                of 32. What is beside the image has no effect.
            sizes: (height, width) of the image in each canvas, in pixels.

        Returns:
            Boxes xyxy in fractions of the image, scores in [0, 1] and labels, the most confident first. N is the
            number of queries, and at least COCO's hundred where the form has as many candidates.
        """
        rows = torch.arange(images.shape[1], device=images.device)[None, :, None] >= sizes[:, 0, None, None]
        columns = torch.arange(images.shape[2], device=images.device)[None, None, :] >= sizes[:, 1, None, None]
        padding = rows | columns
        pixels = ((images.float() - self.mean) * self.scale).masked_fill(padding[..., None], 0.0)
        outputs = self.model(pixels.permute(0, 3, 1, 2), padding)
        candidates, classes = self.form.candidates(outputs.logits[-1])  # (B, Q, 1) or (B, Q, C)
        per_query = candidates.shape[2]
        count = min(self.limit, candidates.shape[1] * per_query)
        scores, order = candidates.flatten(1).topk(count, dim=1)
        labels = classes.flatten(1).gather(1, order)
        boxes_xyxy = cxcywh_to_xyxy(outputs.boxes[-1]).clamp(0, 1)
        return boxes_xyxy.gather(1, (order // per_query)[..., None].expand(-1, -1, 4)), scores, labels
