"""Facts -> what the page reads: one JSON object, kept within a number of bytes.

Arrays of numbers are `{"shape": [...], "dtype": "f4" | "i4", "data": base64 of little-endian bytes}`. Queries are
numbered as they are kept: `image["queries"]` holds the model's own number of each.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from setpiece.explain.facts import ImageFacts
from setpiece.setloss import SetCriterion, matching_weights

# Of all images together. With Plotly (4.5 MB) and the page's own code a report stays under 10 MB.
MAX_BYTES = 4_500_000
FEWEST_QUERIES = 50  # rather than keep fewer of each image, keep fewer images
DIGITS = 9  # what a float32 needs to be read back as it was


@dataclass(frozen=True)
class ShownImage:
    """One image of a report.

    Attributes:
        image_id: the data set's own.
        name: of its file.
        width: pixels of the original image.
        height: likewise.
        src: a picture of it as a data URL, or None.
        facts: what the set prediction made of it.
        note: a sentence to show with it, or "".
        findings: sentences on this image.
    """

    image_id: int
    name: str
    width: int
    height: int
    src: str | None
    facts: ImageFacts
    note: str = ""
    findings: tuple[str, ...] = ()


def array(values: Tensor) -> dict[str, Any]:
    """Numbers as the page reads them.

    Example:
        >>> array(torch.tensor([[1, 2]]))
        {'shape': [1, 2], 'dtype': 'i4', 'data': 'AQAAAAIAAAA='}
    """
    dtype = "f4" if values.is_floating_point() else "i4"
    data = values.numpy().astype(f"<{dtype}").tobytes()
    return {"shape": list(values.shape), "dtype": dtype, "data": base64.b64encode(data).decode()}


def criterion_payload(criterion: SetCriterion) -> dict[str, Any]:
    """The settings of a loss."""
    return {
        "form": criterion.form,
        "weights": asdict(criterion.weights),
        "cost_weights": asdict(criterion.cost_weights or matching_weights(criterion.form)),
        "no_object_weight": criterion.no_object_weight,
        "quality_power": criterion.quality_power,
        "negative_weight": criterion.negative_weight,
    }


def images_payload(images: Sequence[ShownImage], max_bytes: int = MAX_BYTES) -> tuple[list[dict[str, Any]], list[str]]:
    """All images within a number of bytes: the least relevant queries are left out first, then the last images.

    Returns:
        What the page reads of each image, and sentences on what was left out.
    """
    most = max((image.facts.boxes.shape[1] for image in images), default=0)
    shown: list[dict[str, Any]] = []
    while True:
        shown = [image_payload(image, most) for image in images]
        sizes = np.cumsum([len(json.dumps(image)) for image in shown])
        fitting = int((sizes <= max_bytes).sum())
        if fitting == len(images):
            return shown, []
        if most <= FEWEST_QUERIES:
            kept = max(fitting, 1)
            return shown[:kept], [
                f"{len(images) - kept} of {len(images)} images are left out, to keep this page under 10 MB."
            ]
        most = max(FEWEST_QUERIES, most * 2 // 3)


def image_payload(image: ShownImage, most_queries: int) -> dict[str, Any]:
    """What the page reads of one image, with at most so many queries beside those that have a part in the match."""
    facts = image.facts
    Q = facts.boxes.shape[1]
    kept = _kept_queries(facts, most_queries)
    position = torch.full((Q + 1,), -1)  # its last entry takes what has no query
    position[kept] = torch.arange(len(kept))
    columns = facts.labels.unique()
    rest = _rest(facts)
    note = [image.note] if image.note else []
    if len(kept) < Q:
        note.append(f"Only the {len(kept)} most relevant of {Q} queries are kept on this page.")
    return {
        "id": image.image_id,
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "src": image.src,
        "note": " ".join(note) or None,
        "queries": array(kept),
        "targets": {"labels": facts.labels.tolist(), "boxes": array(facts.target_boxes)},
        "boxes": array(facts.boxes[:, kept]),
        "columns": columns.tolist(),
        "scores": array(facts.scores[:, kept][..., columns].movedim(-1, 1)),
        "rest": array(rest[:, kept]),
        "dropped": {"count": Q - len(kept), "rest": array(rest.sum(-1) - rest[:, kept].sum(-1))},
        "best_label": array(facts.best_label[:, kept]),
        "best_score": array(facts.best_score[:, kept]),
        "match": array(position[facts.match]),
        "pairs": _pairs(facts, position),
        "loss": [_rounded(facts.layer_loss(layer)) for layer in range(len(facts.match))],
        "greedy": array(position[facts.greedy]),
        "duplicates": _duplicates(facts, position),
        "findings": list(image.findings),
    }


def _kept_queries(facts: ImageFacts, most: int) -> Tensor:
    """The most relevant queries in their order: with a part in the match, then cheap for a target, then confident."""
    Q = facts.boxes.shape[1]
    if most >= Q:
        return torch.arange(Q)
    part = torch.cat([facts.match.flatten(), facts.runner_up.flatten(), facts.greedy.flatten()])
    part = torch.cat([part, torch.tensor([d.query for d in facts.duplicates], dtype=torch.int64)])
    relevance = facts.best_score.amax(0)  # in [0, 1]
    if len(facts.labels):
        rank = facts.total.argsort(-1).argsort(-1).amin((0, 1))  # the best place that it takes for any target
        relevance = relevance + (Q - rank)
    relevance[part[part >= 0]] = torch.inf
    count = max(most, int(relevance.isinf().sum()))
    return relevance.topk(min(count, Q)).indices.sort().values


def _rest(facts: ImageFacts) -> Tensor:
    """What the class loss of a query needs beside the scores of the targets' classes, (L, Q).

    Softmax form: log p(no-object). Sigmoid form: Σ_c p_c^quality_power · softplus(z_c), its loss where it has no
    target, without `negative_weight`.
    """
    if facts.criterion.form == "softmax":
        return facts.scores[..., -1]
    return (facts.scores.sigmoid() ** facts.criterion.quality_power * F.softplus(facts.scores)).sum(-1)


def _pairs(facts: ImageFacts, position: Tensor) -> list[list[dict[str, Any]]]:
    return [
        [pair_row(facts, layer, target, position) for target in range(len(facts.labels))]
        for layer in range(len(facts.match))
    ]


def pair_row(facts: ImageFacts, layer: int, target: int, position: Tensor) -> dict[str, Any]:
    """One target's pair: costs without weights and their weighted total, its shares of the loss, its gradient.

    Args:
        position: what each query is called; its last entry what no query is called.
    """
    query = int(facts.match[layer, target])
    row = {"target": target, "query": int(position[query])}
    if query < 0:
        missing = ("classification", "l1", "giou", "total", "iou", "loss", "gradient", "regret")
        return row | dict.fromkeys(missing) | {"runner_up": -1}
    pair = (layer, target, query)
    loss = {
        "classification": facts.class_loss[layer, query].item(),
        "l1": facts.l1_loss[layer, target].item(),
        "giou": facts.giou_loss[layer, target].item(),
    }
    numbers = {
        "classification": facts.costs.classification[pair].item(),
        "l1": facts.costs.l1[pair].item(),
        "giou": facts.costs.giou[pair].item(),
        "total": facts.total[pair].item(),
        "iou": facts.iou[pair].item(),
        "regret": facts.regret[layer, target].item(),
    }
    return {
        **row,
        **_rounded(numbers),
        "loss": _rounded(loss),
        "gradient": [_round(x) for x in facts.gradient[layer, query].tolist()],
        "runner_up": int(position[facts.runner_up[layer, target]]),
    }


def _duplicates(facts: ImageFacts, position: Tensor) -> list[dict[str, Any]]:
    return [
        {
            "layer": d.layer,
            "target": d.target,
            "query": int(position[d.query]),
            "matched_query": int(position[d.matched_query]),
            "score": _round(d.score),
            "iou": _round(d.iou),
            "reason": d.reason,
        }
        for d in facts.duplicates
    ]


def _rounded(values: dict[str, float]) -> dict[str, float | None]:
    return {name: _round(value) for name, value in values.items()}


def _round(value: float) -> float | None:
    """To the digits that float32 has; NaN, which JSON does not know, is None."""
    return None if math.isnan(value) else float(f"{value:.{DIGITS}g}")
