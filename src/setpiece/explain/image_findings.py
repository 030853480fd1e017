"""The kinds of findings on one image. Each is a function of a `View`, and its threshold stands before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from setpiece.explain.duplicates import CONFIDENT
from setpiece.explain.facts import ImageFacts, of_pairs
from setpiece.explain.pairs import pair
from setpiece.explain.report_image import ReportImage
from setpiece.records import TERMS


@dataclass(frozen=True)
class Finding:
    """One sentence, and where to look. Queries have the model's own numbers.

    Attributes:
        text: names image, target and query in words.
        strength: how striking it is beside others, in [0, 1].
        image: index of the image in the report, or None where it is about all; the others likewise.
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
class View:
    """One image of a report, and how to speak of it."""

    index: int
    image: ReportImage
    classes: Sequence[str]

    @property
    def facts(self) -> ImageFacts:
        """Of the image."""
        return self.image.facts

    @property
    def last(self) -> int:
        """The final layer."""
        return len(self.facts.match) - 1

    def target(self, target: int) -> str:
        """For example `target 3 (cat)`."""
        return f"target {target} ({self.classes[int(self.facts.labels[target])]})"

    def finding(self, text: str, strength: float, **where: Any) -> Finding:
        """A finding on the final layer of this image."""
        return Finding(f"{self.image.name}: {text}", strength, image=self.index, **({"layer": self.last} | where))


def left_over(view: View) -> Iterator[Finding]:
    """More targets than queries."""
    _, T, Q = view.facts.total.shape
    if T > Q:
        yield view.finding(f"with {T} targets and {Q} queries, {T - Q} of the targets are left without a query.", 1.0)


def uncovered(view: View) -> Iterator[Finding]:
    """Matched at GIoU < 0 in every layer: the box is closer to being elsewhere than to being there."""
    facts = view.facts
    giou = of_pairs(-facts.costs.terms["giou"], facts.match)
    for target in ((giou < 0) & (facts.match >= 0)).all(0).nonzero().flatten().tolist():
        overlap, nearest = facts.iou[-1, target].max(0)
        query = int(facts.match[-1, target])
        why = f"no query's box reaches it {place(facts.target_boxes[target])}"
        if overlap > 0:
            why = f"the query that overlaps it most, {int(nearest)}, does so at IoU {overlap:.2f}"
        text = f"{view.target(target)} is matched at GIoU < 0 in every layer: {why}."
        yield view.finding(text, 0.95 - 0.2 * overlap.item(), target=target, query=query)


POOR_IOU = 0.3


def poorly_boxed(view: View) -> Iterator[Finding]:
    """Matched to a box that hardly overlaps it."""
    facts = view.facts
    giou = of_pairs(-facts.costs.terms["giou"], facts.match)[-1]
    iou = of_pairs(facts.iou, facts.match)[-1]
    for target in ((iou < POOR_IOU) & (giou >= 0) & (facts.match[-1] >= 0)).nonzero().flatten().tolist():
        query = int(facts.match[-1, target])
        text = f"{view.target(target)} is matched with query {query}, which overlaps it at IoU {iou[target]:.2f} only."
        yield view.finding(text, 0.7 - iou[target].item(), target=target, query=query)


def other_class(view: View) -> Iterator[Finding]:
    """Matched to a prediction that is confident of another class."""
    facts = view.facts
    for target, query in enumerate(facts.match[-1].tolist()):
        label, score = int(facts.best_label[-1, query]), facts.best_score[-1, query].item()
        if query >= 0 and label != facts.labels[target] and score >= CONFIDENT:
            says = f"its query {query} says {view.classes[label]} ({score:.2f})"
            text = f"{view.target(target)} is taken for another class: {says}."
            yield view.finding(text, 0.3 + 0.5 * score, target=target, query=query)


AWAY = 0.3  # IoU below which a prediction lies over no target


def nothing_there(view: View) -> Iterator[Finding]:
    """A confident prediction where no target is: an object that nobody labelled, or an invention."""
    facts = view.facts
    if not view.image.annotated:
        return
    nearest = facts.iou[-1].amax(0) if len(facts.labels) else torch.zeros(facts.boxes.shape[1])
    free = torch.ones_like(nearest, dtype=torch.bool)
    free[facts.match[-1][facts.match[-1] >= 0]] = False
    for query in (free & (nearest < AWAY) & (facts.best_score[-1] >= CONFIDENT)).nonzero().flatten().tolist():
        score, name = facts.best_score[-1, query].item(), view.classes[int(facts.best_label[-1, query])]
        where = place(facts.boxes[-1, query])
        text = f"query {query} finds {name} ({score:.2f}) {where}, where no target is: is a label missing?"
        yield view.finding(text, 0.25 + 0.6 * score, query=query)


def duplicate(view: View) -> Iterator[Finding]:
    """A confident prediction that lies over a matched one."""
    for found in view.facts.duplicates:
        if found.layer == view.last:
            text = (
                f"query {found.query} finds {view.target(found.target)} once more, at {found.score:.2f}. {found.reason}"
            )
            strength = 0.3 + 0.5 * found.score * found.iou
            yield view.finding(text, strength, target=found.target, query=found.query)


CLOSE = 0.02  # of the matching cost, whose terms are of the order of 1


def close_call(view: View) -> Iterator[Finding]:
    """A pair that could as well have been another."""
    facts = view.facts
    for target in (facts.regret[-1] < CLOSE).nonzero().flatten().tolist():
        query, other, regret = facts.match[-1, target], facts.runner_up[-1, target], facts.regret[-1, target].item()
        instead = f"with query {other} instead" if other >= 0 else "without a query"
        text = f"{view.target(target)} has query {query} by a hair: {instead}, the total would be {regret:.4f} higher."
        yield view.finding(text, 0.55 * (1 - regret / CLOSE), target=target, query=int(query))


def wanderer(view: View) -> Iterator[Finding]:
    """A target that changes its query at every layer."""
    match = view.facts.match
    if len(match) < 3:
        return
    for target in ((match.diff(dim=0) != 0) & (match[1:] >= 0)).all(0).nonzero().flatten().tolist():
        queries = ", ".join(map(str, match[:, target].tolist()))
        text = f"{view.target(target)} changes its query at every layer: {queries}."
        yield view.finding(text, 0.5, target=target, query=int(match[-1, target]))


def greedy(view: View) -> Iterator[Finding]:
    """What taking the cheapest pair first would have cost."""
    facts = view.facts
    others = (facts.greedy[-1] != facts.match[-1]).nonzero().flatten().tolist()
    if others:
        dearer = of_pairs(facts.total, facts.greedy)[-1].sum() - of_pairs(facts.total, facts.match)[-1].sum()
        text = (
            f"taking the cheapest pair first would match {len(others)} of {len(facts.labels)} targets otherwise, and "
            f"the total would be {dearer:.2f} higher."
        )
        yield view.finding(text, 0.3 + 0.3 * min(1.0, dearer.item()), target=others[0])


HEAVY = 0.3  # of the loss of an image
SEVERAL = 4  # targets: of fewer, each has a large share anyway


def heavy_pair(view: View) -> Iterator[Finding]:
    """One pair that carries a large part of its image's loss."""
    facts = view.facts
    total = facts.layer_loss(view.last)["total"]
    if len(facts.labels) < SEVERAL:
        return
    for target in range(len(facts.labels)):
        found = pair(facts, view.last, target)
        loss = found["loss"] or dict.fromkeys(TERMS, 0.0)
        share = sum(loss.values()) / total
        if share >= HEAVY:
            term = {"class": "its class", "l1": "L1", "giou": "GIoU"}[max(loss, key=lambda name: loss[name])]
            text = (
                f"{view.target(target)}, with query {found['query']}, carries {share:.0%} of the image's loss, most of "
                f"it by {term}."
            )
            yield view.finding(text, 0.3 + 0.7 * share, target=target, query=found["query"])


OF_AN_IMAGE: tuple[Callable[[View], Iterator[Finding]], ...] = (
    left_over,
    uncovered,
    poorly_boxed,
    other_class,
    nothing_there,
    duplicate,
    close_call,
    wanderer,
    greedy,
    heavy_pair,
)


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
