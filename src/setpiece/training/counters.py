"""What is counted of the matching over the training images of an epoch, one step after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from setpiece.data.dataset import Example
from setpiece.records import Batch, Losses, Outputs, Targets
from setpiece.setloss import SetCriterion
from setpiece.setloss.boxes import l1, overlaps
from setpiece.setloss.classification import class_scores, sigmoid_loss, softmax_loss
from setpiece.setloss.criterion import to_queries

UNSEEN = -2  # -1 is a target without a query
WORST = 20  # images of highest loss that are kept


class Counters:
    """Sums over the steps of an epoch, and the latest match of every training image.

    The match of an image is compared with that of its latest earlier sighting. Augmentation keeps the order of targets
    but may drop some; so both sightings have to show all of the image's targets.

    Args:
        layers: L.
        queries: Q, the most that the model predicts; of fewer, the last slots stay empty.
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

    def add(self, outputs: Outputs, batch: Batch, losses: Losses, criterion: SetCriterion) -> None:
        """Count a step."""
        match = losses.match.cpu().numpy()  # (L, B, T)
        B, T = match.shape[1:]
        count = batch.targets.count.cpu().numpy()
        rows = np.array([self._row[image_id] for image_id in batch.image_ids.tolist()])
        present = np.arange(T) < count[:, None]  # (B, T)
        self._numbers[:3] += (1, B, count.sum())
        self._compare(match, rows, present & (count == self._count[rows])[:, None])
        slots = match[:, present]  # (L, N)
        self._agreement += (slots[:, None] == slots[None]).sum(-1)
        layer, target = (slots >= 0).nonzero()
        flat = layer * self.queries + slots[layer, target]
        self._matched += np.bincount(flat, minlength=self._matched.size).reshape(self._matched.shape)

        boxes = outputs.boxes[-1].detach()
        Q = boxes.shape[1]
        self._seen[:Q] += B
        self._boxes[:, :Q] += torch.stack([boxes.sum(0), boxes.square().sum(0)]).cpu().numpy()
        self._terms += torch.stack(list(losses.terms.values())).cpu().numpy()
        self._losses[rows] = image_losses(outputs, batch.targets, losses, criterion).cpu().numpy()

    def _compare(self, match: np.ndarray, rows: np.ndarray, whole: np.ndarray) -> None:
        """Against the latest sighting, and remember this one: `match` (L, B, T) where `whole` (B, T)."""
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
        worst = np.argsort(-self._losses, kind="stable")[: min(WORST, images)]
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
        """Everything that a resumed run needs to count on."""
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return {name: torch.from_numpy(value) for name, value in arrays.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up what `state_dict` returned; counts of other images, or of other targets of theirs, are dropped."""
        same = all(np.array_equal(state[name], getattr(self, name)) for name in ("_ids", "_count"))
        for name, value in state.items() if same else ():
            setattr(self, name, value.numpy())


@torch.no_grad()
def image_losses(outputs: Outputs, targets: Targets, losses: Losses, criterion: SetCriterion) -> Float[Tensor, " B"]:
    """The weighted loss of every image in the last layer, each as a batch of its own.

    Example:
        >>> outputs = Outputs(torch.randn(6, 2, 10, 4), torch.rand(6, 2, 10, 4))
        >>> target = {"labels": torch.tensor([2]), "boxes": torch.tensor([[0.5, 0.5, 0.3, 0.3]])}
        >>> targets = Targets.from_list([target, target])
        >>> image_losses(outputs, targets, SetCriterion()(outputs, targets), SetCriterion()).shape
        torch.Size([2])
    """
    matched = losses.match[-1]  # (B, T)
    predicted = outputs.boxes[-1].gather(1, matched.clamp(min=0)[..., None].expand(-1, -1, 4))
    wanted = targets.boxes.to(predicted.dtype)
    iou, giou = overlaps(predicted, wanted)
    count = targets.count.clamp(min=1)
    weights, paired = criterion.weights, matched >= 0
    boxes = weights.l1 * l1(predicted, wanted) + weights.giou * (1 - giou)  # (B, T)

    # Every image takes the place of a layer, of which the class term keeps the sums apart.
    scores = class_scores(outputs.logits[-1][:, None], criterion.form)
    Q, K = scores.shape[2:]
    none = K - 1 if criterion.form == "softmax" else K
    labels = to_queries(targets.labels[:, None], matched[:, None], Q, fill=none)  # (B, 1, Q)
    if criterion.form == "softmax":
        total, weight = softmax_loss(scores, labels, criterion.no_object_weight)
        classification = total / weight
    else:
        quality = to_queries(iou[:, None], matched[:, None], Q, fill=0)
        total = sigmoid_loss(scores, labels, quality, criterion.quality_power, criterion.negative_weight)
        classification = total / count
    return weights.classification * classification + (boxes * paired).sum(-1) / count
