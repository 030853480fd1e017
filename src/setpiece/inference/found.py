"""What was found in one image -> `supervision.Detections`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64

from setpiece.evaluation import sv

__all__ = ["COCO_LIMIT", "to_record"]

COCO_LIMIT = 100  # detections of an image that COCO's evaluation counts


def to_record(
    boxes_xyxy: Float[np.ndarray, "N 4"],
    confidence: Float[np.ndarray, " N"],
    class_id: Int64[np.ndarray, " N"],
    query: Int64[np.ndarray, " N"] | None = None,
    *,
    names: Sequence[str],
    threshold: float | Float[np.ndarray, " C"],
) -> sv.Detections:
    """The candidates of an image that reach their threshold.

    Args:
        boxes_xyxy: pixels of the image.
        class_id: index into `names`.
        query: the query slot of each, where it is known.
        threshold: the least confidence, of all classes or of each.
    """
    kept = confidence >= np.broadcast_to(threshold, len(names))[class_id]
    class_id = class_id[kept]
    data: dict[str, np.ndarray | list[object]] = {"class_name": np.array([names[c] for c in class_id], dtype=str)}
    if query is not None:
        data["query"] = query[kept]
    return sv.Detections(xyxy=boxes_xyxy[kept], confidence=confidence[kept], class_id=class_id, data=data)
