"""A model on a few images -> the `model` part of the payload: its parts with live shapes, and what queries look at.

With L prediction sets, D decoder layers, K queries, N sampling points:

```
{ "preset": str, "form": str, "parameters": int, "queries": Q, "input": [1, 3, H, W],
  "layers": [str],                       # names of the L prediction sets
  "decoder_layers": [str],               # of them, those that attend: D names
  "parts": [ {                           # in the order in which they ran, on the first image
      "role": "backbone"|"encoder"|"queries"|"decoder"|"heads"|"other",   # of the outermost parts alone
      "path": str, "title": str, "kind": str, "about": str, "parameters": int,
      "calls": int,                      # 0: it is read (learned queries) and never called
      "inputs": [[int]], "outputs": [[int]],                              # shapes of the first call
      "parts": [...] } ],
  "images": [ {
      "image": int,                      # index into the payload's images
      "queries": i4 (K,), "labels": i4 (K,),           # the most confident of the last layer, and what they are
      "scores": f4 (L,K),                # probability of that label in every prediction set
      "boxes": f4 (L,K,4),               # cxcywh, fractions of the image
      "start": null | f4 (K,4),          # the box of the cell that each query started from
      "attention": null
        | {"kind": "map", "extent": [x, y],            # what the map covers, in widths and heights of the image
           "weights": u1 (D,K,h,w), "peak": f4 (D,K)}  # mean over heads; 255 stands for the peak
        | {"kind": "points", "at": f4 (D,K,N,2),       # fractions of the image
           "levels": i4 (N,),                          # which map each point samples, 0 the finest
           "weights": u1 (D,K,N), "peak": f4 (D,K)}    # over all heads they sum to 1
  } ] }
```
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from setpiece.explain.arrays import array
from setpiece.explain.attention import Looks, looking
from setpiece.explain.module_tree import Trace, parts_of, tracing
from setpiece.model.checkpoint import Checkpoint
from setpiece.model.sprint import valid_ratios
from setpiece.records import Batch, Form, Outputs
from setpiece.setloss import class_form

QUERIES = 12


@torch.inference_mode()
def anatomy(checkpoint: Checkpoint, images: Sequence[tuple[int, Batch]], layers: Sequence[str]) -> dict[str, Any]:
    """Run a model on images, one by one, and describe it.

    Args:
        images: at least one; each with its index in the payload, as a batch of one.
        layers: the names of the model's prediction sets.
    """
    model = checkpoint.model.eval()
    device = next(model.parameters()).device
    shown = []
    first: Trace | None = None
    attending = 0
    for index, batch in images:
        here = batch.to(device)
        with tracing(model) as trace, looking(model) as looks:
            outputs = model(here.images, here.padding)
        first = first or trace
        attending = max(len(looks.maps), len(looks.points))
        shown.append({"image": index, **_image(outputs, model.form, here, looks, trace)})
    return {
        "preset": checkpoint.preset,
        "form": model.form,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "queries": model.num_queries,
        "input": list(images[0][1].images.shape),
        "layers": list(layers),
        "decoder_layers": list(layers)[len(layers) - attending :],
        "parts": parts_of(model, first or Trace(), layers),
        "images": shown,
    }


def _image(outputs: Outputs, form: Form, batch: Batch, looks: Looks, trace: Trace) -> dict[str, Any]:
    """The most confident queries of one image: their boxes layer by layer, and what they looked at."""
    logits = outputs.logits[:, 0]  # (L, Q, K)
    probability = class_form(form).probabilities(logits)
    best, labels = probability[-1].max(-1)
    queries = best.topk(min(QUERIES, len(best))).indices  # (K,)
    extent = valid_ratios(batch.padding)[0, :2]  # of the canvas
    return {
        "queries": array(queries.cpu()),
        "labels": array(labels[queries].cpu()),
        "scores": array(probability[:, queries, labels[queries]].cpu()),
        "boxes": array(outputs.boxes[:, 0, queries].cpu()),
        "start": None if looks.cells is None else array(looks.cells[queries].cpu()),
        "attention": _map(looks, queries, extent, trace) or _points(looks, queries, extent),
    }


def _map(looks: Looks, queries: Int64[Tensor, " K"], extent: Tensor, trace: Trace) -> dict[str, Any] | None:
    """Attention to all cells, laid out as the map that has as many."""
    if not looks.maps:
        return None
    weights = torch.stack([layer[queries] for layer in looks.maps])  # (D, K, S)
    S = weights.shape[-1]
    sides = [shape[2:] for shapes in trace.outputs.values() for shape in shapes if len(shape) == 4]
    h, w = next(([h, w] for h, w in reversed(sides) if h * w == S), [1, S])
    return {
        "kind": "map",
        "extent": [1 / float(side) for side in extent],
        **_quantised(weights, (h, w)),
    }


def _points(looks: Looks, queries: Int64[Tensor, " K"], extent: Tensor) -> dict[str, Any] | None:
    """Sampling points in fractions of the image."""
    if not looks.points or looks.levels is None:
        return None
    at = torch.stack([where[queries] for where, _ in looks.points]) / extent
    weights = torch.stack([weight[queries] for _, weight in looks.points])
    return {"kind": "points", "at": array(at.cpu()), "levels": array(looks.levels.cpu()), **_quantised(weights, (-1,))}


def _quantised(weights: Tensor, shape: tuple[int, ...]) -> dict[str, Any]:
    """Weights (D, K, N) as bytes, 255 being the largest of each query in each layer."""
    values = weights.float().cpu().numpy()
    peak = values.max(-1)
    bytes_ = np.rint(255 * values / peak.clip(1e-12)[..., None]).astype(np.uint8)
    return {"weights": array(bytes_.reshape(*bytes_.shape[:2], *shape)), "peak": array(peak)}
