"""Outputs of other people's DETRs -> `Outputs`, so that `explain_outputs` can show their matching.

- DETR of `transformers`, and others that predict no proposals: its layers are in `auxiliary_outputs`, which are there
  in training mode, with labels and `auxiliary_loss=True`; else there is the last layer alone.
- RT-DETR, D-FINE and others of that line: the layers are in `intermediate_logits`, the proposals in `enc_topk_logits`.
  D-FINE gives all layers in training mode, and there a set more: the boxes of its first layer before they are refined.
- The dictionary of DETR, and of rf-detr and others after it: "aux_outputs", and "enc_outputs" for the proposals.

- LW-DETR and RF-DETR of `transformers`: as DETR, with the proposals in `enc_outputs_class`.

Denoising queries, whose pairs are known beforehand, are left out. Boxes are clipped to the image, as in D-FINE's loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from setpiece.errors import UsageError
from setpiece.model.base import layer_names
from setpiece.records import Outputs, Targets

__all__ = ["Adapted", "adapt_outputs", "adapt_targets"]

GROUPED = ("LwDetr", "RfDetr")  # the outputs of `transformers` that may hold several groups of queries
Pair = tuple[Tensor, Tensor]  # logits (B, Q, K), boxes (B, Q, 4)


@dataclass(frozen=True)
class Adapted:
    """Predictions of another DETR.

    Attributes:
        outputs: of all its prediction sets, the final one last.
        layers: their names, for `explain_outputs`.
    """

    outputs: Outputs
    layers: list[str]


def adapt_outputs(predicted: Any, queries: int | None = None) -> Adapted:
    """What a DETR of `transformers`, or one that returns the dictionary of DETR or rf-detr, has predicted.

    Args:
        predicted: with `logits` and `pred_boxes`, or a dictionary with "pred_logits" and "pred_boxes". Boxes are cxcywh
            in [0, 1].
        queries: of one group. In training LW-DETR and rf-detr have several groups of queries, each matched by itself;
            with this the first group is taken, which is the one that predicts.

    Raises:
        UsageError: it is neither, or its prediction sets have different shapes; or `queries` has to be given.

    Example:
        >>> one = {"pred_logits": torch.zeros(2, 5, 3), "pred_boxes": torch.full((2, 5, 4), 0.5)}
        >>> adapted = adapt_outputs(one | {"aux_outputs": [one, one], "enc_outputs": one})
        >>> tuple(adapted.outputs.boxes.shape), adapted.layers
        ((4, 2, 5, 4), ['proposals', 'layer 1', 'layer 2', 'layer 3'])
    """
    if isinstance(predicted, Mapping) and "pred_logits" in predicted:
        layers, proposals = _of_dictionary(predicted)
        names = list(layer_names(len(layers)))
    elif getattr(predicted, "logits", None) is not None and getattr(predicted, "pred_boxes", None) is not None:
        layers, proposals = _of_transformers(predicted)
        names = _names(predicted, len(layers))
    else:
        raise UsageError(
            f"{type(predicted).__name__} has no predictions of a DETR: give what a model of transformers returns "
            '(logits, pred_boxes), or a dictionary with "pred_logits" and "pred_boxes".'
        )
    if queries is None and type(predicted).__name__.startswith(GROUPED):
        raise UsageError(
            f"{type(predicted).__name__} may hold several groups of queries, each matched by itself: say how many "
            "queries one has, adapt_outputs(predicted, queries=model.config.num_queries)."
        )
    sets = [(logits[:, :queries], boxes[:, :queries]) for logits, boxes in (*proposals, *layers)]
    shapes = {(tuple(logits.shape), tuple(boxes.shape)) for logits, boxes in sets}
    if len(shapes) > 1:
        raise UsageError(
            f"The prediction sets have different shapes, {sorted(shapes)}: give them all the same number of queries."
        )
    logits, boxes = (torch.stack(of).detach() for of in zip(*sets, strict=True))
    return Adapted(Outputs(logits, boxes.clamp(0, 1)), [*(["proposals"] if proposals else []), *names])


def adapt_targets(labels: Sequence[Mapping[str, Any]]) -> Targets:
    """The labels that such a model is trained with: one mapping per image.

    Args:
        labels: each with "boxes", cxcywh in [0, 1], and "class_labels" (`transformers`) or "labels" (DETR, rf-detr).

    Raises:
        DataError: labels and boxes are missing or do not go together.

    Example:
        >>> one = {"class_labels": torch.tensor([2]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.4]])}
        >>> adapt_targets([one]).labels.tolist()
        [[2]]
    """
    return Targets.from_list(
        [{**image, "labels": image.get("class_labels", image.get("labels", []))} for image in labels]
    )


def _of_dictionary(predicted: Mapping[str, Any]) -> tuple[list[Pair], list[Pair]]:
    def pair(of: Mapping[str, Tensor]) -> Pair:
        return of["pred_logits"], of["pred_boxes"]

    last = pair(predicted)
    before = predicted.get("enc_outputs")
    proposals = [] if before is None or before["pred_boxes"].shape != last[1].shape else [pair(before)]
    return [*map(pair, predicted.get("aux_outputs") or ()), last], proposals


def _of_transformers(predicted: Any) -> tuple[list[Pair], list[Pair]]:
    logits = getattr(predicted, "intermediate_logits", None)
    boxes = getattr(predicted, "intermediate_reference_points", None)
    first, first_boxes = getattr(predicted, "enc_topk_logits", None), getattr(predicted, "enc_topk_bboxes", None)
    proposals = [] if first is None or first_boxes is None else [(first, first_boxes)]
    denoising = bool(proposals)
    if type(predicted).__name__.startswith(GROUPED):
        proposals = [(predicted.enc_outputs_class, predicted.enc_outputs_coord_logits)]
    last = predicted.logits, predicted.pred_boxes
    if logits is not None and boxes is not None and logits.dim() == 4 and logits.shape[:3] == boxes.shape[:3]:
        layers = list(zip(logits.unbind(1), boxes.unbind(1), strict=True))  # (B, L, Q, ...) -> L of (B, Q, ...)
    else:
        layers = [(each["logits"], each["pred_boxes"]) for each in getattr(predicted, "auxiliary_outputs", None) or ()]
        layers = [*layers, last]
    if denoising:  # in training, denoising queries come before those that are matched
        count = proposals[0][0].shape[1]
        layers = [(of[:, -count:], of_boxes[:, -count:]) for of, of_boxes in layers]
    return layers, proposals


def _names(predicted: Any, count: int) -> list[str]:
    """Of the layers; D-FINE has one set more than it has refinements."""
    refined = getattr(predicted, "initial_reference_points", None)
    if refined is not None and refined.dim() == 4 and refined.shape[1] == count - 1:
        return ["layer 1, not refined", *layer_names(count - 1)]
    return ["last layer"] if count == 1 else list(layer_names(count))
