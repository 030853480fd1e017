"""What is counted of the matching over the training images of an epoch.

Counting takes some dozens of small operations, whatever the number of images. So steps are joined before they are
counted: a step alone took 1.1 ms, 1 % of a step of `sprint-n` on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import pad

from setpiece.data.dataset import Example
from setpiece.records import TERMS, Batch, Losses, Outputs, Targets
from setpiece.setloss import SetCriterion
from setpiece.setloss.criterion import unreduced_losses

__all__ = ["Counters", "Seen", "image_losses", "join"]

UNSEEN = -2  # -1 is a target without a query
WORST = 20  # images of highest loss that are kept


@dataclass(frozen=True)
class Seen:
    """What is counted of one step, or of several joined steps. An image that occurs twice is compared with its match
    before all of them.

    Attributes:
        steps: how many.
        image_ids: of the images.
        targets: of the images.
        match: of all layers.
        logits: of the last layer.
        boxes: of the last layer.
        terms: the loss terms `TERMS` of every layer, without weights, summed up over steps.
    """

    steps: int
    image_ids: Int64[Tensor, " B"]
    targets: Targets
    match: Int64[Tensor, "L B T"]
    logits: Float[Tensor, "B Q K"]
    boxes: Float[Tensor, "B Q 4"]
    terms: Float[Tensor, "3 L"]

    @classmethod
    def of_step(cls, outputs: Outputs, batch: Batch, losses: Losses) -> Seen:
        """What is counted of one step."""
        terms = torch.stack([losses.terms[name] for name in TERMS])
        logits, boxes = outputs.logits[-1].detach(), outputs.boxes[-1].detach()
        return cls(1, batch.image_ids, batch.targets, losses.match, logits, boxes, terms)


def join(steps: Sequence[Seen]) -> Seen:
    """Join several steps into one that has all their images. All steps must have the same number of queries."""
    T = max(step.match.shape[2] for step in steps)
    targets = [step.targets for step in steps]
    return Seen(
        steps=sum(step.steps for step in steps),
        image_ids=torch.cat([step.image_ids for step in steps]),
        targets=Targets(
            labels=torch.cat([pad(one.labels, (0, T - one.labels.shape[1])) for one in targets]),
            boxes=torch.cat([pad(one.boxes, (0, 0, 0, T - one.labels.shape[1])) for one in targets]),
            count=torch.cat([one.count for one in targets]),
        ),
        match=torch.cat([pad(step.match, (0, T - step.match.shape[2]), value=-1) for step in steps], 1),
        logits=torch.cat([step.logits for step in steps]),
        boxes=torch.cat([step.boxes for step in steps]),
        terms=torch.stack([step.terms for step in steps]).sum(0),
    )


class Counters:
    """Sums over the steps of an epoch, and the latest match of every training image.

    The match of an image is compared with its match the last time it was trained on. Augmentation keeps the order of
    targets but may drop some. So an image is compared only if all of its targets were kept both times.

    Args:
        layers: L.
        queries: Q, the largest number of queries that the model predicts. With fewer queries the last slots stay empty.
        examples: the training images.
    """

    def __init__(self, layers: int, queries: int, examples: Sequence[Example]) -> None:
        self.layers, self.queries = layers, queries
        self._names = [example.path.name for example in examples]
        self._ids = np.array([example.image_id for example in examples])
        self._row = {example.image_id: row for row, example in enumerate(examples)}
        self._count = np.array([int((~example.crowd).sum()) for example in examples])
        self._start = self._count.cumsum() - self._count
        self._latest = np.full((layers, int(self._count.sum())), UNSEEN, np.int16)
        self.clear()

    def clear(self) -> None:
        """Begin an epoch."""
        L, Q = self.layers, self.queries
        self._numbers = np.zeros(4, np.int64)  # steps, images, targets, compared
        self._changed = np.zeros(L, np.int64)
        self._agreement = np.zeros((L, L), np.int64)
        self._matched = np.zeros((L, Q), np.int64)
        self._terms = np.zeros((3, L))
        self._boxes = np.zeros((2, Q, 4))  # the sum, and the sum of squares
        self._seen = np.zeros(Q, np.int64)  # predictions of each slot
        self._losses = np.full(len(self._count), -np.inf, np.float32)

    def add(self, seen: Seen, criterion: SetCriterion) -> None:
        """Count a step, or several joined."""
        match = seen.match.cpu().numpy()  # (L, B, T)
        B, T = match.shape[1:]
        count = seen.targets.count.cpu().numpy()
        rows = np.array([self._row[image_id] for image_id in seen.image_ids.tolist()])
        present = np.arange(T) < count[:, None]  # (B, T)
        self._numbers[:3] += (seen.steps, B, count.sum())
        self._compare(match, rows, present & (count == self._count[rows])[:, None])
        slots = match[:, present]  # (L, N)
        self._agreement += (slots[:, None] == slots[None]).sum(-1)
        layer, target = (slots >= 0).nonzero()
        flat = layer * self.queries + slots[layer, target]
        self._matched += np.bincount(flat, minlength=self._matched.size).reshape(self._matched.shape)

        Q = seen.boxes.shape[1]
        self._seen[:Q] += B
        self._boxes[:, :Q] += torch.stack([seen.boxes.sum(0), seen.boxes.square().sum(0)]).cpu().numpy()
        self._terms += seen.terms.cpu().numpy()
        self._losses[rows] = image_losses(seen, criterion).cpu().numpy()

    def _compare(self, match: np.ndarray, rows: np.ndarray, whole: np.ndarray) -> None:
        """Compare `match` (L, B, T) with the latest earlier match where `whole` (B, T) is True, and store it."""
        place = (self._start[rows][:, None] + np.arange(match.shape[2]))[whole]  # (N,)
        now, before = match[:, whole], self._latest[:, place]
        known = before[0] != UNSEEN
        self._numbers[3] += known.sum()
        self._changed += ((now != before) & known).sum(1)
        self._latest[:, place] = now

    def epoch(self) -> dict[str, Any]:
        """The fields of `recording.Epoch` that are counted here."""
        steps, images, targets, compared = self._numbers.tolist()
        mean, square = self._boxes / np.maximum(self._seen, 1)[:, None]
        worst = np.argsort(-self._losses, kind="stable")[: min(WORST, (self._losses > -np.inf).sum())]
        return {
            "images": images,
            "targets": targets,
            "compared": compared,
            "changed": self._changed,
            "agreement": self._agreement,
            "matched": self._matched,
            "terms": (self._terms / max(steps, 1)).astype(np.float32),
            "box_mean": mean.astype(np.float32),
            "box_deviation": np.sqrt(np.maximum(square - mean**2, 0)).astype(np.float32),
            "worst_losses": self._losses[worst],
            "worst_images": self._ids[worst],
            "worst_names": [self._names[row] for row in worst],
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs to continue counting."""
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return {name: torch.from_numpy(value) for name, value in arrays.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state_dict` returned. It is ignored if the images or their targets have changed."""
        same = all(np.array_equal(state[name], getattr(self, name)) for name in ("_ids", "_count"))
        for name, value in state.items() if same else ():
            setattr(self, name, value.numpy())


@torch.no_grad()
def image_losses(seen: Seen, criterion: SetCriterion) -> Float[Tensor, " B"]:
    """The weighted loss of every image in the last layer, each as a batch of its own."""
    classes, weights = criterion.class_form, criterion.weights
    losses = unreduced_losses(
        classes, classes.scores(seen.logits), seen.boxes, seen.targets, seen.match[-1], lambda x: x.sum(-1)
    )
    of_class = losses.terms["class"].flatten(1).sum(-1) / losses.divisors["class"]
    boxes = weights["l1"] * losses.terms["l1"] + weights["giou"] * losses.terms["giou"]  # (B, T)
    return weights["class"] * of_class + boxes.sum(-1) / losses.divisors["l1"]
