"""One image of a report -> what the page reads of it.

The page may get fewer queries than the model has. They are then numbered anew, from 0: `queries` holds the model's own
number of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from setpiece.explain.arrays import array, rounded
from setpiece.explain.facts import ImageFacts
from setpiece.explain.report_image import ReportImage

__all__ = ["PackedImage", "pack_image"]


@dataclass(frozen=True)
class PackedImage:
    """One image as the page reads it.

    Attributes:
        queries: the model's own numbers of the queries that are kept, in order.
        content: for the page; its numbers of queries are places in `queries`.
    """

    queries: Int64[Tensor, " K"]
    content: dict[str, Any]


def pack_image(image: ReportImage, most_queries: int) -> PackedImage:
    """Pack an image with its most relevant queries.

    Args:
        most_queries: how many to keep at most. Queries that take part in the matching are kept in any case.
    """
    facts = image.facts
    L, Q, _ = facts.boxes.shape
    kept = _most_relevant(facts, most_queries)
    position = torch.full((Q + 1,), -1)  # its last entry is for -1, no query
    position[kept] = torch.arange(len(kept))
    columns = facts.labels.unique()
    rest = facts.criterion.class_form.unmatched_losses(facts.scores)
    left_out = f"Only the {len(kept)} most relevant of {Q} queries are kept here." if len(kept) < Q else ""
    content = {
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
        # No query that is left out has a target, so their number and sum are enough to compute the loss.
        "dropped": {"count": Q - len(kept), "rest": array(rest.sum(-1) - rest[:, kept].sum(-1))},
        "best_label": array(facts.best_label[:, kept]),
        "best_score": array(facts.best_score[:, kept]),
        "match": array(position[facts.match]),
        "loss": [rounded(facts.layer_loss(layer)) for layer in range(L)],
        "duplicates": _duplicates(facts, position),
    }
    return PackedImage(kept, content)


def _most_relevant(facts: ImageFacts, most: int) -> Int64[Tensor, " K"]:
    """The queries to keep, in order: those of the matching, then the cheapest for some target, then the confident ones.

    The queries of the matching are the matched ones, the runners-up, the greedy choices and the duplicates.
    """
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


def _duplicates(facts: ImageFacts, position: Int64[Tensor, " Q1"]) -> list[dict[str, Any]]:
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
