"""`Outputs` of a model -> `supervision.Detections`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from setpiece.errors import NonFiniteCostError, UsageError
from setpiece.evaluation import sv
from setpiece.inference.found import COCO_LIMIT, to_record
from setpiece.records import Form, Outputs
from setpiece.setloss.boxes import cxcywh_to_xyxy
from setpiece.setloss.classification import class_form

__all__ = ["to_detections"]


def to_detections(
    outputs: Outputs,
    original_sizes: Int64[Tensor, "B 2"],
    classes: Sequence[str],
    form: Form,
    *,
    threshold: float | Float[np.ndarray, " C"] = 0.0,
    limit: int = COCO_LIMIT,
) -> list[sv.Detections]:
    """Read the last layer's predictions as detections in pixels, the most confident first.

    In the softmax form every query gives its best class other than no-object, with that class's probability
    (the paper's reading). In the sigmoid form every (query, class) pair is a candidate of its own, and the
    `limit` most probable of all pairs are kept.

    Args:
        outputs: raw logits, and boxes cxcywh in [0, 1].
        original_sizes: (height, width) of each image, in pixels.
        classes: the name of every class index; the softmax form's no-object class is not among them.
        form: how the model scores classes.
        threshold: the least confidence that is returned, in [0, 1]; of all classes, or of each.
        limit: the most detections per image.

    Returns:
        One `Detections` per image: `xyxy` in pixels of the original image and clipped to it, `confidence`,
        `class_id` (an index into `classes`), `data["class_name"]`, and `data["query"]`, the query slot.

    Raises:
        UsageError: `classes` does not fit the logits.
        NonFiniteCostError: a score or a box is NaN or infinite; names the layer, image and query.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[[[2.0, 0.0, 0.0], [0.0, 3.0, 0.0]]]])  # one layer, image; two queries
        >>> boxes = torch.tensor([[[[0.5, 0.5, 1.0, 0.5], [0.25, 0.5, 0.5, 1.0]]]])
        >>> sizes = torch.tensor([[100, 200]])
        >>> [found] = to_detections(Outputs(logits, boxes), sizes, ["cat", "dog"], "softmax")
        >>> found["class_name"].tolist(), found.xyxy.tolist()
        (['dog', 'cat'], [[0.0, 0.0, 100.0, 100.0], [0.0, 25.0, 200.0, 75.0]])

    References:
        Carion et al. 2020, arXiv 2005.12872 (softmax); Zhu et al. 2021, arXiv 2010.04159 (sigmoid).
    """
    logits, boxes_cxcywh = outputs.logits[-1].float(), outputs.boxes[-1].float()
    _require_classes_fit(logits.shape[-1], len(classes), form)
    scores, class_ids = class_form(form).candidates(logits)  # (B, Q, 1) or (B, Q, C)
    _require_finite(scores, boxes_cxcywh, layer=len(outputs.logits) - 1)
    # A stable sort, not topk: candidates with equal scores come out in the same order on every device.
    confidences, order = scores.flatten(1).sort(dim=1, descending=True, stable=True)
    confidences, order = confidences[:, :limit], order[:, :limit]  # (B, N)
    class_ids = class_ids.flatten(1).gather(1, order)
    queries = order // scores.shape[-1]
    boxes_xyxy = _to_pixels(boxes_cxcywh, original_sizes)  # (B, Q, 4)
    boxes_xyxy = boxes_xyxy.gather(1, queries[..., None].expand(-1, -1, 4))  # (B, N, 4)
    images = zip(*(field.cpu().numpy() for field in (boxes_xyxy, confidences, class_ids, queries)), strict=True)
    return [to_record(*image, names=classes, threshold=threshold) for image in images]


def _to_pixels(boxes_cxcywh: Float[Tensor, "B Q 4"], original_sizes: Int64[Tensor, "B 2"]) -> Float[Tensor, "B Q 4"]:
    """Normalised boxes as xyxy in pixels of the original image, clipped to it."""
    width_height = original_sizes.flip(-1).to(boxes_cxcywh)  # (B, 2)
    return cxcywh_to_xyxy(boxes_cxcywh).clamp(0, 1) * width_height.repeat(1, 2)[:, None]


def _require_classes_fit(channels: int, classes: int, form: Form) -> None:
    predicted = class_form(form).num_classes(channels)
    if predicted != classes:
        raise UsageError(
            f"the model predicts {predicted} classes ({form} form) but {classes} class names were given; "
            "give one name per class, in the order of the model's classes"
        )


def _require_finite(scores: Float[Tensor, "B Q K"], boxes_cxcywh: Float[Tensor, "B Q 4"], layer: int) -> None:
    # A NaN score fails every threshold: the image would have no detections, and nothing would say why.
    broken = ~(scores.isfinite().all(-1) & boxes_cxcywh.isfinite().all(-1))
    if broken.any():
        image, query = broken.nonzero()[0].tolist()
        raise NonFiniteCostError(
            f"Query {query} of image {image} in the batch has a score or a box that is not finite in layer {layer}, "
            "the last: the weights are damaged, or training diverged.",
            (layer, image, query),
        )
