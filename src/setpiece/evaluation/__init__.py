"""Detections and annotations -> COCO and Pascal VOC metrics, and pictures."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # supervision recommends OpenCV when it is first imported; we draw through its Pillow and NumPy paths.
    warnings.filterwarnings("ignore", "OpenCV", UserWarning)
    import supervision as sv

from setpiece.evaluation.coco import CocoMetrics, evaluate_coco
from setpiece.evaluation.pictures import beside, draw
from setpiece.evaluation.results import to_coco_results
from setpiece.evaluation.voc import VocPrecision, evaluate_voc

__all__ = [
    "CocoMetrics",
    "VocPrecision",
    "beside",
    "draw",
    "evaluate_coco",
    "evaluate_voc",
    "sv",
    "to_coco_results",
]
