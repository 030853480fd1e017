"""The findings on one image: a function for each kind, with its threshold before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from setpiece.explain.duplicates import CONFIDENT, TERM_NAMES
from setpiece.explain.facts import ImageFacts, of_pairs
from setpiece.explain.pairs import pair
from setpiece.explain.report_image import ReportImage
from setpiece.records import TERMS

__all__ = ["IMAGE_FINDINGS", "Finding", "ImageContext"]


@dataclass(frozen=True)
class Finding:
    """A sentence on something striking, and where to look for it.

    Attributes:
        text: names image, target and query in words.
        strength: how striking it is beside other findings, in [0, 1].
        image: index of the image in the report; None where it is about all images.
        layer: index of the prediction set, or None.
        target: index of the target in the image, or None.
        query: the model's own number of the query, or None.
    """

    text: str
    strength: float
    image: int | None = None
    layer: int | None = None
    target: int | None = None
    query: int | None = None

    def __str__(self) -> str:
        """The sentence."""
        return self.text


@dataclass(frozen=True)
class ImageContext:
    """An image of a report with what its findings need to name things.

    Attributes:
        index: of the image in the report.
        image: the image.
        classes: the name of each class.
    """

    index: int
    image: ReportImage
    classes: Sequence[str]

    @property
    def facts(self) -> ImageFacts:
        """The facts of the image."""
        return self.image.facts

    @property
    def last(self) -> int:
        """The index of the last layer."""
        return len(self.facts.match) - 1

    def target(self, target: int) -> str:
        """The name of a target, for example `target 3 (cat)`."""
        return f"target {target} ({self.classes[int(self.facts.labels[target])]})"

    def finding(self, text: str, strength: float, **where: Any) -> Finding:
        """A finding on the last layer of this image."""
        return Finding(f"{self.image.name}: {text}", strength, image=self.index, **({"layer": self.last} | where))


def more_targets_than_queries(context: ImageContext) -> Iterator[Finding]:
    """Targets that no query is left for."""
    _, T, Q = context.facts.total.shape
    if T > Q:
        yield context.finding(
            f"{_count(T, 'target')} but only {_count(Q, 'object query')}, so {_count(T - Q, 'target')} must stay "
            "unmatched.",
            1.0,
        )


def negative_giou(context: ImageContext) -> Iterator[Finding]:
    """A target that is matched at GIoU < 0 in every layer: the matched box lies away from it."""
    facts = context.facts
    giou = of_pairs(-facts.costs.terms["giou"], facts.match)
    for target in ((giou < 0) & (facts.match >= 0)).all(0).nonzero().flatten().tolist():
        overlap, nearest = facts.iou[-1, target].max(0)
        query = int(facts.match[-1, target])
        why = f"no predicted box overlaps it ({place(facts.target_boxes[target])})"
        if overlap > 0:
            why = f"the best overlap of any query is IoU {overlap:.2f} (query {int(nearest)})"
        text = f"{context.target(target)} is matched at GIoU < 0 in every layer: {why}."
        yield context.finding(text, 0.95 - 0.2 * overlap.item(), target=target, query=query)


LOW_IOU = 0.3


def low_iou(context: ImageContext) -> Iterator[Finding]:
    """A target that is matched to a box with little overlap."""
    facts = context.facts
    giou = of_pairs(-facts.costs.terms["giou"], facts.match)[-1]
    iou = of_pairs(facts.iou, facts.match)[-1]
    for target in ((iou < LOW_IOU) & (giou >= 0) & (facts.match[-1] >= 0)).nonzero().flatten().tolist():
        query = int(facts.match[-1, target])
        text = f"{context.target(target)} is matched to query {query} at an IoU of only {iou[target]:.2f}."
        yield context.finding(text, 0.7 - iou[target].item(), target=target, query=query)


def wrong_class(context: ImageContext) -> Iterator[Finding]:
    """A target that is matched to a confident prediction of another class."""
    facts = context.facts
    for target, query in enumerate(facts.match[-1].tolist()):
        label, score = int(facts.best_label[-1, query]), facts.best_score[-1, query].item()
        if query >= 0 and label != facts.labels[target] and score >= CONFIDENT:
            predicted = f"{context.classes[label]} ({score:.2f})"
            text = f"{context.target(target)} is matched to query {query}, which predicts {predicted}."
            yield context.finding(text, 0.3 + 0.5 * score, target=target, query=query)


BACKGROUND_IOU = 0.3  # a prediction that overlaps every target less than this is on the background


def on_background(context: ImageContext) -> Iterator[Finding]:
    """A confident prediction where no target is: a false positive, or an object without a label."""
    facts = context.facts
    if not context.image.annotated:
        return
    nearest = facts.iou[-1].amax(0) if len(facts.labels) else torch.zeros(facts.boxes.shape[1])
    unmatched = torch.ones_like(nearest, dtype=torch.bool)
    unmatched[facts.match[-1][facts.match[-1] >= 0]] = False
    found = unmatched & (nearest < BACKGROUND_IOU) & (facts.best_score[-1] >= CONFIDENT)
    for query in found.nonzero().flatten().tolist():
        score, name = facts.best_score[-1, query].item(), context.classes[int(facts.best_label[-1, query])]
        where = place(facts.boxes[-1, query])
        text = f"query {query} predicts {name} ({score:.2f}) {where}, where no target is. Is a label missing?"
        yield context.finding(text, 0.25 + 0.6 * score, query=query)


def duplicate(context: ImageContext) -> Iterator[Finding]:
    """A confident prediction of an object that another query is matched to."""
    for found in context.facts.duplicates:
        if found.layer == context.last:
            target = context.target(found.target)
            text = f"query {found.query} predicts {target} a second time ({found.score:.2f}). {found.reason}"
            strength = 0.3 + 0.5 * found.score * found.iou
            yield context.finding(text, strength, target=found.target, query=found.query)


SMALL_REGRET = 0.02  # of the matching cost, whose terms are of the order of 1


def near_tie(context: ImageContext) -> Iterator[Finding]:
    """A pair that could be exchanged at almost no cost."""
    facts = context.facts
    for target in (facts.regret[-1] < SMALL_REGRET).nonzero().flatten().tolist():
        query, other, regret = facts.match[-1, target], facts.runner_up[-1, target], facts.regret[-1, target].item()
        instead = f"with query {other}" if other >= 0 else "without a query"
        text = (
            f"{context.target(target)} is matched to query {query}, but it is nearly a tie: {instead} the total "
            f"matching cost would be only {regret:.4f} higher."
        )
        yield context.finding(text, 0.55 * (1 - regret / SMALL_REGRET), target=target, query=int(query))


def changes_at_every_layer(context: ImageContext) -> Iterator[Finding]:
    """A target that is matched to another query at every layer."""
    match = context.facts.match
    if len(match) < 3:
        return
    for target in ((match.diff(dim=0) != 0) & (match[1:] >= 0)).all(0).nonzero().flatten().tolist():
        queries = ", ".join(map(str, match[:, target].tolist()))
        text = f"{context.target(target)} is matched to another query at every layer: {queries}."
        yield context.finding(text, 0.5, target=target, query=int(match[-1, target]))


def greedy_differs(context: ImageContext) -> Iterator[Finding]:
    """What greedy matching would have cost."""
    facts = context.facts
    others = (facts.greedy[-1] != facts.match[-1]).nonzero().flatten().tolist()
    if others:
        extra = of_pairs(facts.total, facts.greedy)[-1].sum() - of_pairs(facts.total, facts.match)[-1].sum()
        text = (
            f"greedy matching (the cheapest pair first) would match {len(others)} of {len(facts.labels)} targets "
            f"differently, at a total cost {extra:.2f} higher than Hungarian matching."
        )
        yield context.finding(text, 0.3 + 0.3 * min(1.0, extra.item()), target=others[0])


DOMINANT_SHARE = 0.3  # of the loss of an image
FEWEST_TARGETS = 4  # of fewer targets, each has a large share anyway


def dominant_pair(context: ImageContext) -> Iterator[Finding]:
    """A pair that carries a large part of its image's loss."""
    facts = context.facts
    total = facts.layer_loss(context.last)["total"]
    if len(facts.labels) < FEWEST_TARGETS:
        return
    for target in range(len(facts.labels)):
        found = pair(facts, context.last, target)
        loss = found["loss"] or dict.fromkeys(TERMS, 0.0)
        share = sum(loss.values()) / total
        if share >= DOMINANT_SHARE:
            term = TERM_NAMES[max(loss, key=lambda name: loss[name])]
            text = (
                f"{context.target(target)} and its query {found['query']} make up {share:.0%} of the image's loss; the "
                f"{term} loss is the largest part."
            )
            yield context.finding(text, 0.3 + 0.7 * share, target=target, query=found["query"])


IMAGE_FINDINGS: tuple[Callable[[ImageContext], Iterator[Finding]], ...] = (
    more_targets_than_queries,
    negative_giou,
    low_iou,
    wrong_class,
    on_background,
    duplicate,
    near_tie,
    changes_at_every_layer,
    greedy_differs,
    dominant_pair,
)


def _count(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def place(box_cxcywh: torch.Tensor) -> str:
    """In which ninth of the image a box has its centre.

    Example:
        >>> place(torch.tensor([0.1, 0.2, 0.1, 0.1])), place(torch.tensor([0.5, 0.9, 0.1, 0.1]))
        ('in the top left corner', 'at the bottom')
    """
    column, row = (box_cxcywh[:2] * 3).long().clamp(0, 2).tolist()
    side, level = ("left", "", "right")[column], ("top", "", "bottom")[row]
    if side and level:
        return f"in the {level} {side} corner"
    return f"on the {side}" if side else f"at the {level}" if level else "in the middle"
