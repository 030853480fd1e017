"""The probe images: a few that a run predicts again and again, to see how their match moves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor

from setpiece.atomic import write_whole
from setpiece.data.batching import EvalImages, Item, collate
from setpiece.data.dataset import Example
from setpiece.data.items import read_example
from setpiece.inference.predictor import Predictor
from setpiece.records import TERMS
from setpiece.runs.recording import Probe
from setpiece.runs.recording_files import probe_picture
from setpiece.setloss import assign, class_form, matching_weights, pair_costs

__all__ = ["KEPT", "Probes", "choose", "keep"]

KEPT = 100  # queries of a probe's prediction, unless more of them are matched
PICTURE_SIDE = 320


def choose(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """Draw at most `count` probes among the images with objects, or among all where none has any."""
    candidates = [example for example in examples if not example.crowd.all()] or list(examples)
    order = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(seed))
    return [candidates[index] for index in order[:count].tolist()]


class Probes:
    """The probes as the model sees them: resized as in evaluation, without augmentation.

    Args:
        examples: the images.
        items: the same images, resized to the predictor's input size.
        predictor: predicts the probes.
    """

    def __init__(self, examples: Sequence[Example], items: Sequence[Item], predictor: Predictor) -> None:
        self.examples, self.items, self.predictor = examples, items, predictor

    @classmethod
    def read(cls, examples: Sequence[Example], predictor: Predictor) -> Probes:
        """Read the images from their files."""
        images = EvalImages(examples, predictor.checkpoint.size)
        return cls(examples, [images[index] for index in range(len(images))], predictor)

    def describe(self) -> list[Probe]:
        """What the header says of them."""
        return [
            Probe(
                image_id=example.image_id,
                name=example.path.name,
                width=example.width,
                height=example.height,
                labels=item.labels.tolist(),
                boxes=item.boxes_cxcywh.tolist(),
            )
            for example, item in zip(self.examples, self.items, strict=True)
        ]

    def write_pictures(self, folder: Path) -> None:
        """Write each as a small JPEG."""
        for number, example in enumerate(self.examples):
            picture = Image.fromarray(read_example(example)[0])
            picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
            save = partial(picture.save, format="JPEG", quality=80)
            write_whole(probe_picture(folder, number), save)

    @torch.inference_mode()
    def snapshot(self) -> dict[str, np.ndarray]:
        """Predict and match the probes. Returns the fields of `Snapshot` that describe them.

        Raises:
            NonFiniteCostError: see `match`.
        """
        checkpoint, model = self.predictor.checkpoint, self.predictor.checkpoint.model
        batch = collate(self.items, checkpoint.mean, checkpoint.std).to(self.predictor.device)
        with model.tracing() as trace:
            outputs = self.predictor.outputs(batch.images)
        costs = pair_costs(outputs, batch.targets, model.form)
        match = assign(costs.total(matching_weights(model.form)), batch.targets.count)  # (L, P, T)
        probability = class_form(model.form).probabilities(outputs.logits)
        scores, labels = probability.max(-1)  # (L, P, Q)
        queries, place = keep(match, scores[-1])
        L, K = len(match), queries.shape[1]
        kept = queries.expand(L, -1, -1)  # (L, P, K)
        terms = torch.stack([costs.terms[name] for name in TERMS], -1)  # (L, P, T, Q, 3)
        chosen = match.clamp(min=0)[..., None, None].expand(-1, -1, -1, 1, 3)
        arrays = {
            "queries": queries.int(),
            "origins": queries.int() if trace.origins is None else trace.origins.gather(1, queries).int(),
            "boxes": outputs.boxes.gather(2, kept[..., None].expand(-1, -1, K, 4)).transpose(0, 1),
            "labels": labels.gather(2, kept).transpose(0, 1).short(),
            "scores": scores.gather(2, kept).transpose(0, 1),
            "match": place.transpose(0, 1).short(),
            "costs": (terms.gather(3, chosen).squeeze(3) * (match >= 0)[..., None]).transpose(0, 1),
        }
        return {name: values.cpu().numpy() for name, values in arrays.items()}


def keep(
    match: Int64[Tensor, "L P T"], confidence: Float[Tensor, "P Q"]
) -> tuple[Int64[Tensor, "P K"], Int64[Tensor, "L P T"]]:
    """The queries that are matched in some layer, then the most confident; and each target's place among them."""
    P, Q = confidence.shape
    slots = torch.where(match < 0, Q, match).transpose(0, 1).flatten(1)  # (P, L·T); a last slot is cut off
    matched = torch.zeros(P, Q + 1, dtype=torch.bool, device=match.device).scatter(1, slots, True)[:, :Q]
    K = min(Q, max(KEPT, int(matched.sum(1).max())))
    queries = (confidence + 2 * matched).topk(K, dim=1).indices
    place = torch.full((P, Q), -1, device=match.device).scatter(
        1, queries, torch.arange(K, device=match.device).expand(P, K)
    )
    found = place.gather(1, match.clamp(min=0).transpose(0, 1).flatten(1)).view(P, *match.transpose(0, 1).shape[1:])
    return queries, torch.where(match < 0, -1, found.transpose(0, 1))
