"""A `Timeline` -> the `training` part of the payload, which the Training chapter of the page draws.

Axes are named as in `setpiece.explain.matching_history`; types as in `setpiece.explain.arrays`.

```
{ "metrics": null | {            # one entry per epoch
      "epoch": [int], "seconds": [s], "loss", "AP", "AP50": [number|null] },
  "matching": null | {
      "preset": str, "slots": "learned"|"top-k", "layers": [str], "queries": Q, "images": int, "split": str,
      "epochs": i4 (E,), "seconds": f4 (E,),
      "instability": f4 (E,L),   # NaN where nothing is known; likewise in "probe_changes"
      "agreement": f4 (E,L), "agreement_between": f4 (L,L),
      "terms": {"class", "l1", "giou": f4 (E,L)},
      "usage": f4 (L,Q), "usage_epochs": int,         # `recent_epochs`
      "box_mean", "box_deviation": f4 (Q,4),
      "sample": u1 (S,Q,4),      # boxes: 255 stands for 1
      "sample_matched": i4 (S,Q),
      "worst": [{"name", "id", "loss", "epochs"}],    # `hard_images`
      "kept_epochs": i4 (N,),
      "probe_changes": f4 (A,L), "snapshot_epochs": i4 (A,),
      "probes": [{"name", "width", "height", "src": data URL|null, "labels": [int], "targets": f4 (T,4),
          "boxes": f4 (N,L,T,4), "origins", "queries", "best_labels": i4 (N,L,T), "scores": f4 (N,L,T),
          "costs": f4 (N,L,T,3)}]
  } }
```
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from setpiece.explain.arrays import array, jpeg_url, rounded
from setpiece.explain.matching_history import MatchingHistory, ProbeHistory
from setpiece.explain.timeline import Metrics, Timeline
from setpiece.records import TERMS

__all__ = ["training_payload"]


def training_payload(timeline: Timeline) -> dict[str, Any]:
    """What the page reads of a training."""
    return {
        "metrics": None if timeline.metrics is None else _metrics(timeline.metrics),
        "matching": None if timeline.matching is None else _matching(timeline.matching),
    }


def _metrics(metrics: Metrics) -> dict[str, Any]:
    return {field.name: rounded(getattr(metrics, field.name).tolist()) for field in fields(metrics)}


def _matching(history: MatchingHistory) -> dict[str, Any]:
    header = history.header
    return {
        "preset": header.preset,
        "slots": header.slots,
        "layers": header.layers,
        "queries": header.queries,
        "images": header.images,
        "split": header.split,
        "epochs": array(history.epochs),
        "seconds": array(history.seconds),
        "instability": array(history.instability),
        "agreement": array(history.agreement),
        "agreement_between": array(history.agreement_between),
        "terms": {name: array(history.terms[:, index]) for index, name in enumerate(TERMS)},
        "usage": array(history.usage),
        "usage_epochs": history.recent_epochs,
        "box_mean": array(history.box_mean),
        "box_deviation": array(history.box_deviation),
        "sample": array(np.rint(history.sample * 255).astype(np.uint8)),
        "sample_matched": array(history.sample_matched),
        "worst": [
            {"name": image.name, "id": image.image_id, "loss": rounded(image.loss), "epochs": image.epochs}
            for image in history.hard_images
        ],
        "kept_epochs": array(history.kept_epochs),
        "probe_changes": array(history.probe_changes),
        "snapshot_epochs": array(history.snapshot_epochs),
        "probes": [_probe(probe) for probe in history.probes],
    }


def _probe(history: ProbeHistory) -> dict[str, Any]:
    probe = history.probe
    return {
        "name": probe.name,
        "width": probe.width,
        "height": probe.height,
        "src": None if history.picture is None else jpeg_url(history.picture),
        "labels": probe.labels,
        "targets": array(np.array(probe.boxes).reshape(-1, 4)),
        "boxes": array(history.boxes),
        "origins": array(history.origins),
        "queries": array(history.queries),
        "best_labels": array(history.best_labels),
        "scores": array(history.scores),
        "costs": array(history.costs),
    }
