"""A model on a few images -> the `model` part of the payload: its parts with live shapes, what its queries attend to.

For the most confident object queries of each image it gives the boxes of every layer, and cross-attention as a map over
all cells or as sampling points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from setpiece.explain.arrays import array
from setpiece.explain.module_tree import ShapeTrace, parts_of, tracing_shapes
from setpiece.inference.predictor import Predictor
from setpiece.model.layers.reference_boxes import valid_ratios
from setpiece.model.tracing import QueryTrace
from setpiece.records import Form, Images, Outputs
from setpiece.setloss import class_form

__all__ = ["QUERIES", "architecture"]

QUERIES = 12


@torch.inference_mode()
def architecture(predictor: Predictor, images: Sequence[tuple[int, Images]]) -> dict[str, Any]:
    """Run a model on images, one by one, and describe it.

    Args:
        images: at least one; each with its index in the payload, as a batch of one.
    """
    model = predictor.checkpoint.model
    traced = []
    first: ShapeTrace | None = None
    attending = 0
    for index, image in images:
        with tracing_shapes(model) as shapes, model.tracing() as queries:
            outputs = predictor.outputs(image)
        first = first or shapes
        attending = max(len(queries.attention), len(queries.sampling))
        traced.append({"image": index, **_image(outputs, model.form, image, queries)})
    layers = list(model.prediction_sets)
    return {
        "preset": predictor.checkpoint.preset,
        "form": model.form,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "queries": model.num_queries,
        "input": list(images[0][1].pixels.shape),
        "layers": layers,
        "decoder_layers": layers[len(layers) - attending :],
        "parts": parts_of(model, first or ShapeTrace()),
        "images": traced,
    }


def _image(outputs: Outputs, form: Form, image: Images, trace: QueryTrace) -> dict[str, Any]:
    """The most confident queries of one image: their boxes layer by layer, and what they attend to."""
    logits = outputs.logits[:, 0]  # (L, Q, K)
    probability = class_form(form).probabilities(logits)
    best, labels = probability[-1].max(-1)
    queries = best.topk(min(QUERIES, len(best))).indices  # (K,)
    ratios = valid_ratios(image.padding).to(best.device)[0, :2]  # (w, h) of the canvas
    start = None if trace.reference_boxes is None else array(trace.reference_boxes[0, queries].cpu())
    return {
        "queries": array(queries.cpu()),
        "labels": array(labels[queries].cpu()),
        "scores": array(probability[:, queries, labels[queries]].cpu()),
        "boxes": array(outputs.boxes[:, 0, queries].cpu()),
        "start": start,
        "attention": _map(trace, queries, ratios) or _points(trace, queries, ratios),
    }


def _map(trace: QueryTrace, queries: Int64[Tensor, " K"], ratios: Tensor) -> dict[str, Any] | None:
    """Attention to all cells, laid out as the feature map."""
    if trace.map_size is None:
        return None
    weights = torch.stack([call.weights()[0, queries] for call in trace.attention])  # (D, K, h · w)
    return {"kind": "map", "extent": [1 / float(side) for side in ratios], **_quantised(weights, trace.map_size)}


def _points(trace: QueryTrace, queries: Int64[Tensor, " K"], ratios: Tensor) -> dict[str, Any] | None:
    """Sampling points in fractions of the image."""
    if not trace.sampling:
        return None
    at = torch.stack([call.points()[0, queries] for call in trace.sampling]) / ratios
    weights = torch.stack([call.weights()[0, queries] for call in trace.sampling])
    levels = trace.sampling[0].levels()
    return {"kind": "points", "at": array(at.cpu()), "levels": array(levels.cpu()), **_quantised(weights, (-1,))}


def _quantised(weights: Tensor, shape: tuple[int, ...]) -> dict[str, Any]:
    """Weights (D, K, N) as bytes, 255 being the largest of each query in each layer."""
    values = weights.float().cpu().numpy()
    peak = values.max(-1)
    bytes_ = np.rint(255 * values / peak.clip(1e-12)[..., None]).astype(np.uint8)
    return {"weights": array(bytes_.reshape(*bytes_.shape[:2], *shape)), "peak": array(peak)}
