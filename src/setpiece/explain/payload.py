"""A report's records -> the payload: one JSON object that the page reads, kept within a number of bytes.

Packing is the last step. It stands here and in `payload_image` and `payload_training`; nothing reads the packed form
back in Python.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from setpiece.explain.arrays import rounded
from setpiece.explain.image_findings import Finding
from setpiece.explain.payload_image import PackedImage, pack_image
from setpiece.explain.payload_training import training_payload
from setpiece.explain.report_image import ReportImage
from setpiece.explain.timeline import Timeline
from setpiece.setloss import SetCriterion, matching_weights

__all__ = ["criterion_payload", "pack_images", "report_payload"]

MAX_BYTES = 9_500_000  # of a page: with this it stays under 10 MB
CODE_BYTES = 500_000  # of it, taken by the page's own code and style
PLOTLY_BYTES = 5_000_000  # of it, taken by Plotly where there is training to show
FEWEST_QUERIES = 50  # with fewer queries an image says too little: leave out images instead
SAFETY = 0.95


def report_payload(
    images: Sequence[ReportImage],
    *,
    title: str,
    classes: Sequence[str],
    layers: Sequence[str],
    findings: Sequence[Finding] = (),
    model: dict[str, Any] | None = None,
    training: Timeline | None = None,
    evaluation: Mapping[str, Any] | None = None,
    missing: Sequence[str] = (),
) -> dict[str, Any]:
    """All that a report shows.

    Args:
        images: as many as fit are kept, the first ones.
        title: of the page.
        classes: the name of each class.
        layers: the name of each prediction set.
        findings: in the order to show them.
        model: from `architecture.architecture`.
        training: from `timeline.read_timeline`.
        evaluation: from `inference.analysis_page.analysis_payload`.
        missing: sentences on what could not be shown.
    """
    packed_training = None if training is None else training_payload(training)
    others = CODE_BYTES + _size(model) + _size(packed_training) + _size(evaluation) + (PLOTLY_BYTES if training else 0)
    packed, left_out = pack_images(images, MAX_BYTES - others)
    if model is not None:
        model = {**model, "images": [traced for traced in model["images"] if traced["image"] < len(packed)]}
    return {
        "format": 1,
        "kind": "report",
        "title": title,
        "classes": list(classes),
        "criterion": criterion_payload(images[0].facts.criterion if images else SetCriterion()),
        "layers": list(layers),
        "images": [image.content for image in packed],
        "findings": [_finding(finding, packed) for finding in findings],
        "model": model,
        "training": packed_training,
        "evaluation": evaluation,
        "chapters": None,
        "missing": [*missing, *left_out],
    }


def criterion_payload(criterion: SetCriterion) -> dict[str, Any]:
    """The settings of a loss."""
    settings = {
        "form": criterion.form,
        "weights": dict(criterion.weights),
        "cost_weights": dict(criterion.cost_weights or matching_weights(criterion.form)),
        "no_object_weight": criterion.no_object_weight,
        "quality_power": criterion.quality_power,
        "negative_weight": criterion.negative_weight,
    }
    return dict(rounded(settings))


def pack_images(images: Sequence[ReportImage], max_bytes: int) -> tuple[list[PackedImage], list[str]]:
    """Pack images into a number of bytes: the least relevant queries are left out first, then the last images.

    Args:
        max_bytes: of the JSON of all images. The first image is kept even if it takes more.

    Returns:
        The images that are kept, and sentences on what was left out.
    """
    most = max((image.facts.boxes.shape[1] for image in images), default=0)
    packed, size = _pack(images, most)
    if size > max_bytes and most > FEWEST_QUERIES:
        fewest, least = _pack(images, FEWEST_QUERIES)
        # Bytes grow linearly with the number of queries, or slower where some have to be kept anyway.
        share = SAFETY * (max_bytes - least) / (size - least) if size > least else 0.0
        packed, size = _pack(images, FEWEST_QUERIES + int(max(share, 0.0) * (most - FEWEST_QUERIES)))
        packed, size = (packed, size) if size <= max_bytes else (fewest, least)
    if size <= max_bytes:
        return packed, []
    sizes = np.cumsum([_size(image.content) for image in packed])
    kept = max(1, int((sizes <= max_bytes).sum()))
    left_out = f"The last {len(images) - kept} of {len(images)} images are left out, to keep this page small."
    return packed[:kept], [left_out] if kept < len(images) else []


def _pack(images: Sequence[ReportImage], most_queries: int) -> tuple[list[PackedImage], int]:
    packed = [pack_image(image, most_queries) for image in images]
    return packed, sum(_size(image.content) for image in packed)


def _size(part: Any) -> int:
    return len(json.dumps(part, separators=(",", ":")))


def _finding(finding: Finding, images: Sequence[PackedImage]) -> dict[str, Any]:
    """A finding, with where to look for it on the page: nowhere if its image was left out."""
    where = {name: getattr(finding, name) for name in ("image", "layer", "target", "query")}
    if finding.image is not None and finding.image >= len(images):
        where = dict.fromkeys(where)
    elif finding.image is not None and finding.query is not None:
        kept = images[finding.image].queries.tolist()
        where["query"] = kept.index(finding.query) if finding.query in kept else None
    return {"text": finding.text, **where}
