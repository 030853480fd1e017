"""One row per target: the matched query, and the pair's costs, losses and gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from setpiece.explain.facts import ImageFacts
from setpiece.records import TERMS

__all__ = ["pair", "pair_rows"]


def pair(facts: ImageFacts, layer: int, target: int) -> dict[str, Any]:
    """The matched pair of one target in one layer.

    Args:
        facts: of the image.
        layer: index of the prediction set.
        target: index of the target.

    Returns:
        `target`, `query` (-1 where it has none); `cost`, by term without weights, and `total`, weighted;
        `iou`; `loss`, its weighted shares by term; `gradient`, of the layer's loss by (cx, cy, w, h) of the predicted
        box; `runner_up` and `regret`, see `ImageFacts`. Values that do not exist are None.
    """
    query = int(facts.match[layer, target])
    row = {"target": target, "query": query, "runner_up": int(facts.runner_up[layer, target])}
    if query < 0:
        return row | dict.fromkeys(("cost", "total", "iou", "loss", "gradient", "regret"))
    at, regret = (layer, target, query), facts.regret[layer, target].item()
    losses = (facts.class_loss[layer, query], facts.l1_loss[layer, target], facts.giou_loss[layer, target])
    return {
        **row,
        "cost": {term: facts.costs.terms[term][at].item() for term in TERMS},
        "total": facts.total[at].item(),
        "iou": facts.iou[at].item(),
        "loss": {term: loss.item() for term, loss in zip(TERMS, losses, strict=True)},
        "gradient": facts.gradient[layer, query].tolist(),
        "regret": None if math.isnan(regret) else regret,
    }


def pair_rows(facts: ImageFacts, image: str, classes: Sequence[str], layers: Sequence[str]) -> list[dict[str, Any]]:
    """The pairs of an image as flat rows for a table: `cost`, `loss` and `gradient` take several columns each.

    Args:
        facts: of the image.
        image: its name.
        classes: the name of each class.
        layers: the name of each prediction set.
    """
    rows = []
    for layer, name in enumerate(layers):
        for target, label in enumerate(facts.labels.tolist()):
            found = pair(facts, layer, target)
            cost, loss = found.pop("cost") or {}, found.pop("loss") or {}
            gradient = found.pop("gradient") or [None] * 4
            rows.append(
                {
                    "image": image,
                    "layer": name,
                    "target": found.pop("target"),
                    "class": classes[label],
                    **found,
                    **{f"cost_{term}": cost.get(term) for term in TERMS},
                    **{f"loss_{term}": loss.get(term) for term in TERMS},
                    **{f"gradient_{side}": x for side, x in zip(("cx", "cy", "w", "h"), gradient, strict=True)},
                }
            )
    return rows
