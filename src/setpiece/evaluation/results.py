"""Detections -> COCO results, the layout that COCO's evaluation reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import supervision as sv

__all__ = ["to_coco_results"]


def to_coco_results(
    detections: Sequence[sv.Detections], image_ids: Sequence[int], category_ids: Sequence[int | None]
) -> list[dict[str, Any]]:
    """Write detections as COCO results, ready for JSON and for `evaluate_coco`.

    Args:
        detections: one record per image, boxes xyxy in pixels.
        image_ids: the data set's own id of each image.
        category_ids: the data set's own category id of every class index; None for a class that the data set does
            not have, whose detections are left out.

    Returns:
        One `{"image_id", "category_id", "bbox": [left, top, width, height], "score"}` per detection.

    Example:
        >>> boxes_xyxy = np.array([[10.0, 20.0, 30.0, 60.0]])
        >>> one = sv.Detections(boxes_xyxy, confidence=np.array([0.5]), class_id=np.array([1]))
        >>> to_coco_results([one], image_ids=[42], category_ids=[3, 7])
        [{'image_id': 42, 'category_id': 7, 'bbox': [10.0, 20.0, 20.0, 40.0], 'score': 0.5}]

    References:
        https://cocodataset.org/#format-results
    """
    return [
        {
            "image_id": int(image_id),
            "category_id": int(category_id),
            "bbox": [float(v) for v in (left, top, right - left, bottom - top)],
            "score": float(score),
        }
        for image_id, found in zip(image_ids, detections, strict=True)
        for (left, top, right, bottom), score, class_id in zip(
            found.xyxy.tolist(), np.asarray(found.confidence), np.asarray(found.class_id), strict=True
        )
        if (category_id := category_ids[class_id]) is not None
    ]
