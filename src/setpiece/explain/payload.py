"""Facts -> what the page reads: one JSON object, kept within a number of bytes.

Queries are numbered as they are kept: `image["queries"]` holds the model's own number of each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from setpiece.explain.arrays import array, rounded, unpack
from setpiece.explain.facts import ImageFacts
from setpiece.explain.image_findings import Finding
from setpiece.explain.report_image import ReportImage
from setpiece.setloss import SetCriterion, matching_weights

MAX_BYTES = 9_500_000  # of a page, which so stays under 10 MB
CODE_BYTES = 500_000  # of it, taken by the page's own code and style
PLOTLY_BYTES = 5_000_000  # of it, taken by Plotly where there is training to show
FEWEST_QUERIES = 50  # rather than keep fewer queries of each image, keep fewer images
SAFETY = 0.95


def report_payload(
    images: Sequence[ReportImage],
    *,
    title: str,
    classes: Sequence[str],
    layers: Sequence[str],
    findings: Sequence[Finding] = (),
    model: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    missing: Sequence[str] = (),
) -> dict[str, Any]:
    """All that a report shows.

    Args:
        layers: a name for each prediction set.
        model: what `anatomy` says of the model.
        training: what `timeline` says of its training.
        missing: sentences on what could not be shown.
    """
    others = CODE_BYTES + _size(model) + _size(training) + (PLOTLY_BYTES if training else 0)
    shown, left_out = images_payload(images, MAX_BYTES - others)
    if model is not None:
        model = {**model, "images": [looked for looked in model["images"] if looked["image"] < len(shown)]}
    return {
        "format": 1,
        "kind": "report",
        "title": title,
        "classes": list(classes),
        "criterion": criterion_payload(images[0].facts.criterion if images else SetCriterion()),
        "layers": list(layers),
        "images": shown,
        "findings": [_finding(finding, shown) for finding in findings],
        "model": model,
        "training": training,
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


def images_payload(images: Sequence[ReportImage], max_bytes: int) -> tuple[list[dict[str, Any]], list[str]]:
    """All images within a number of bytes: the least relevant queries are left out first, then the last images.

    Returns:
        What the page reads of each image, and sentences on what was left out.
    """
    most = max((image.facts.boxes.shape[1] for image in images), default=0)
    shown, size = _with_queries(images, most)
    if size > max_bytes and most > FEWEST_QUERIES:
        fewest, least = _with_queries(images, FEWEST_QUERIES)
        # Bytes grow with the queries along a line, or a little slower where some have to be kept anyway.
        share = SAFETY * (max_bytes - least) / (size - least) if size > least else 0.0
        shown, size = _with_queries(images, FEWEST_QUERIES + int(max(share, 0.0) * (most - FEWEST_QUERIES)))
        shown, size = (shown, size) if size <= max_bytes else (fewest, least)
    if size <= max_bytes:
        return shown, []
    sizes = np.cumsum([_size(image) for image in shown])
    kept = max(1, int((sizes <= max_bytes).sum()))
    left_out = f"The last {len(images) - kept} of {len(images)} images are left out, to keep this page small."
    return shown[:kept], [left_out] if kept < len(images) else []


def _with_queries(images: Sequence[ReportImage], most: int) -> tuple[list[dict[str, Any]], int]:
    shown = [image_payload(image, most) for image in images]
    return shown, sum(map(_size, shown))


def _size(part: Any) -> int:
    return len(json.dumps(part, separators=(",", ":")))


def image_payload(image: ReportImage, most_queries: int) -> dict[str, Any]:
    """What the page reads of one image, with at most so many queries, or more if they have a part in the match."""
    facts = image.facts
    L, Q, _ = facts.boxes.shape
    kept = _kept_queries(facts, most_queries)
    position = torch.full((Q + 1,), -1)  # its last entry is for -1, no query
    position[kept] = torch.arange(len(kept))
    columns = facts.labels.unique()
    rest = facts.criterion.class_form.unmatched_losses(facts.scores)
    left_out = f"Only the {len(kept)} most relevant of {Q} queries are kept here." if len(kept) < Q else ""
    return {
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "src": image.src,
        "note": " ".join(filter(None, (image.note, left_out))) or None,
        "queries": array(kept),
        "targets": {"labels": facts.labels.tolist(), "boxes": array(facts.target_boxes)},
        "boxes": array(facts.boxes[:, kept]),
        "columns": columns.tolist(),
        "scores": array(facts.scores[:, kept][..., columns].movedim(-1, 1)),
        "rest": array(rest[:, kept]),  # the class loss of each query without a target, at a weight of 1
        # None of those has a target: with their number and sum the loss stays exact.
        "dropped": {"count": Q - len(kept), "rest": array(rest.sum(-1) - rest[:, kept].sum(-1))},
        "best_label": array(facts.best_label[:, kept]),
        "best_score": array(facts.best_score[:, kept]),
        "match": array(position[facts.match]),
        "loss": [rounded(facts.layer_loss(layer)) for layer in range(L)],
        "duplicates": _duplicates(facts, position),
    }


def _kept_queries(facts: ImageFacts, most: int) -> Tensor:
    """The most relevant queries, in their order: with a part in the match, then cheap for a target, then confident."""
    Q = facts.boxes.shape[1]
    if most >= Q:
        return torch.arange(Q)
    relevance = facts.best_score.amax(0)  # in [0, 1]
    if len(facts.labels):
        place = facts.total.argsort(-1).argsort(-1).amin((0, 1))  # the best that it takes for any target
        relevance = relevance + (Q - place)
    of_duplicates = torch.tensor([found.query for found in facts.duplicates], dtype=torch.int64)
    part = torch.cat([of_duplicates, *(x.flatten() for x in (facts.match, facts.runner_up, facts.greedy))])
    relevance[part[part >= 0]] = torch.inf
    most = min(Q, max(most, int(relevance.isinf().sum())))
    return relevance.topk(most).indices.sort().values


def _duplicates(facts: ImageFacts, position: Tensor) -> list[dict[str, Any]]:
    return [
        {
            "layer": found.layer,
            "target": found.target,
            "query": int(position[found.query]),
            "matched_query": int(position[found.matched_query]),
            "score": rounded(found.score),
            "iou": rounded(found.iou),
            "reason": found.reason,
        }
        for found in facts.duplicates
    ]


def _finding(finding: Finding, images: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Says where to look only where there is something to look at."""
    where = {name: getattr(finding, name) for name in ("image", "layer", "target", "query")}
    if finding.image is not None and finding.image >= len(images):
        where = dict.fromkeys(where)
    elif finding.image is not None and finding.query is not None:
        kept = unpack(images[finding.image]["queries"]).tolist()
        where["query"] = kept.index(finding.query) if finding.query in kept else None
    return {"text": finding.text, **where}
