"""Predictions, targets and their match -> the Hungarian loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from setpiece.errors import DataError, NonFiniteCostError
from setpiece.records import Form, Losses, Outputs, Targets
from setpiece.setloss.assignment import NO_FAULT, may_read
from setpiece.setloss.boxes import l1, overlaps
from setpiece.setloss.classification import ClassForm, SigmoidForm, SoftmaxForm, class_form
from setpiece.setloss.matching import PAPER_WEIGHTS, Weights, match_scores, matching_weights, refuse_other_images

__all__ = ["SetCriterion", "UnreducedLosses", "of_one_process", "training_criterion", "unreduced_losses"]


def of_one_process(x: Tensor) -> Tensor:
    """Return the tensor unchanged: the mean over a single process."""
    return x


@dataclass(frozen=True)
class SetCriterion:
    """The Hungarian loss: match, then train every matched pair, on every layer.

    With σ̂ the optimal match of a layer (`setloss.matching.match`) and N the number of targets in the batch,

        total = Σ_layers  λ_class · class  +  λ_L1 · l1  +  λ_giou · giou
        l1    = 1/N Σ_matched ‖b_t - b̂_σ̂(t)‖₁
        giou  = 1/N Σ_matched (1 - GIoU(b_t, b̂_σ̂(t)))
        class = cross-entropy over all queries, in one of two forms: see `setloss.classification`.

    The object holds settings and no state. All layers and images are computed at once.

    On a GPU nothing waits for the device, and shapes depend on shapes alone. So it can be captured in a CUDA graph, and
    on any device be compiled as one graph. What is an error on a CPU then makes `total` NaN: see `require_no_fault`.

    Attributes:
        form: "softmax" with a no-object class (the paper) or "sigmoid" with quality-aware targets.
        weights: the λ of the loss, by term.
        cost_weights: the λ of the matching cost; `matching_weights(form)` where None.
        no_object_weight: softmax form only: weight of the queries without a target (0.1 in the paper).
        quality_power: sigmoid form only: the target is IoU to this power.
        negative_weight: sigmoid form only: factor of the negatives.

    References:
        Carion et al., End-to-End Object Detection with Transformers, arXiv 2005.12872, equation 2 and appendix A.2.
    """

    form: Form = "softmax"
    weights: Weights = field(default_factory=lambda: PAPER_WEIGHTS)
    cost_weights: Weights | None = None
    no_object_weight: float = SoftmaxForm.no_object_weight
    quality_power: float = SigmoidForm.quality_power
    negative_weight: float = SigmoidForm.negative_weight

    @property
    def class_form(self) -> ClassForm:
        """The class term, with the settings above."""
        return class_form(
            self.form,
            no_object_weight=self.no_object_weight,
            quality_power=self.quality_power,
            negative_weight=self.negative_weight,
        )

    def __call__(
        self,
        outputs: Outputs,
        targets: Targets,
        mean_over_processes: Callable[[Tensor], Tensor] = of_one_process,
    ) -> Losses:
        """The losses of a batch.

        Args:
            outputs: predictions of all layers.
            targets: ground truth on the same device.
            mean_over_processes: mean of a tensor over all processes. Every normaliser is replaced by its mean over
                processes. Data-parallel training averages gradients over processes; this average is then the gradient
                of the loss on the global batch.

        Raises:
            NonFiniteCostError: see `match`.
            DataError: the targets are of other images, or a target's class is not one of the model's.

        Example:
            >>> outputs = Outputs(torch.randn(6, 1, 10, 4), torch.rand(6, 1, 10, 4))
            >>> target = {"labels": torch.tensor([2]), "boxes": torch.tensor([[0.5, 0.5, 0.3, 0.3]])}
            >>> losses = SetCriterion()(outputs, Targets.from_list([target]))
            >>> {name: tuple(term.shape) for name, term in losses.terms.items()}
            {'class': (6,), 'l1': (6,), 'giou': (6,)}
        """
        refuse_other_images(outputs, targets)
        outputs, classes = outputs.at_least_float32(), self.class_form
        if may_read(targets.labels):
            _refuse_unknown_classes(targets, classes.num_classes(outputs.logits.shape[-1]))
        scores = classes.scores(outputs.logits)
        cost_weights = self.cost_weights or matching_weights(self.form)
        match, fault = match_scores(scores, outputs.boxes, targets, classes, cost_weights)

        def sum_over_batch(x: Tensor) -> Tensor:
            return mean_over_processes(x.flatten(-2).sum(-1))

        losses = unreduced_losses(classes, scores, outputs.boxes, targets, match, sum_over_batch)
        terms = {name: loss.flatten(1).sum(-1) / losses.divisors[name] for name, loss in losses.terms.items()}
        weighted = (
            self.weights["class"] * terms["class"]
            + self.weights["l1"] * terms["l1"]
            + self.weights["giou"] * terms["giou"]
        )
        total = weighted.sum()
        if not may_read(fault):
            total = total.where(fault == NO_FAULT, torch.nan)
        return Losses(total, {name: term.detach() for name, term in terms.items()}, match, fault)

    def require_no_fault(self, outputs: Outputs, targets: Targets, losses: Losses) -> None:
        """Raise what is wrong with a batch, where the losses themselves could not. Call it when they are read.

        Args:
            outputs: predictions of all layers.
            targets: ground truth.
            losses: of the same. Reading them waits for their device.

        Raises:
            NonFiniteCostError, DataError: see `__call__`.
        """
        if losses.fault >= NO_FAULT:
            return
        cpu = Outputs(outputs.logits.detach().cpu(), outputs.boxes.detach().cpu())
        self(cpu, targets.to("cpu"))
        _, B, Q, _ = outputs.logits.shape  # on the CPU it is finite: near the largest number, rounding decides
        layer, place = divmod(int(losses.fault), B * Q)
        image, query = divmod(place, Q)
        where = f"Layer {layer}, image {image}, query {query}"
        raise NonFiniteCostError(f"{where}: the cost of matching a target is not finite.", (layer, image, query))


@dataclass(frozen=True)
class UnreducedLosses:
    """What every query and every target adds to the Hungarian loss: no sums, no λ.

    Attributes:
        terms: by name. "class": of every query, (*sets, Q, 1) or (*sets, Q, C) by form. "l1" and "giou": of every
            target, (*sets, T); 0 where it has no query.
        divisors: by name, what the sum of a term is divided by.
    """

    terms: dict[str, Float[Tensor, "..."]]
    divisors: dict[str, Float[Tensor, "..."]]


def unreduced_losses(
    classes: ClassForm,
    scores: Float[Tensor, "*sets Q K"],
    boxes: Float[Tensor, "*sets Q 4"],
    targets: Targets,
    match: Int64[Tensor, "*sets T"],
    sum_over_batch: Callable[[Tensor], Tensor],
) -> UnreducedLosses:
    """The Hungarian loss before its sums: of every query and of every target.

    Args:
        classes: the class term.
        scores: what `classes.scores` makes of the logits.
        boxes: predicted, cxcywh.
        targets: padded ground truth; its images are the last of the leading dimensions.
        match: query of each target, or -1.
        sum_over_batch: sums a number of every query, (*sets, Q), or of every image, (B, 1), over all images that share
            a divisor. To take each image as a batch of its own, sum over the last dimension.

    Example:
        >>> outputs = Outputs(torch.zeros(1, 1, 2, 2), torch.tensor([[[[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.2, 0.2]]]]))
        >>> target = {"labels": torch.tensor([0]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.4]])}
        >>> targets, match, classes = Targets.from_list([target]), torch.tensor([[[0]]]), class_form("softmax")
        >>> scores = classes.scores(outputs.logits)
        >>> losses = unreduced_losses(classes, scores, outputs.boxes, targets, match, lambda x: x.sum(-1))
        >>> [round(x, 3) for x in losses.terms["class"].flatten().tolist()]  # the second query is to be no object
        [0.693, 0.069]
        >>> {name: round(divisor.item(), 3) for name, divisor in losses.divisors.items()}
        {'class': 1.1, 'l1': 1.0, 'giou': 1.0}
    """
    paired = match >= 0
    predicted = boxes.gather(-2, match.clamp(min=0)[..., None].expand(*match.shape, 4))  # (*sets, T, 4)
    wanted = targets.boxes.to(predicted.dtype).expand_as(predicted)
    iou, giou = overlaps(predicted, wanted)
    count = sum_over_batch(targets.count[:, None].to(predicted.dtype))
    count = torch.where(count > 0, count, 1)  # without targets the sums are 0
    of_queries, divisor = classes.losses(scores, targets.labels, match, iou, count, sum_over_batch)
    return UnreducedLosses(
        terms={"class": of_queries, "l1": l1(predicted, wanted) * paired, "giou": (1 - giou) * paired},
        divisors={"class": divisor, "l1": count, "giou": count},
    )


def _refuse_unknown_classes(targets: Targets, classes: int) -> None:
    unknown = ((targets.labels < 0) | (targets.labels >= classes)) & targets.present
    if unknown.any():
        image, target = unknown.nonzero()[0].tolist()
        raise DataError(
            f"Target {target} of image {image} in the batch has class {targets.labels[image, target]}, "
            f"but the model knows the classes 0 to {classes - 1}."
        )


def training_criterion(form: Form) -> SetCriterion:
    """The loss that `setpiece train` uses for a form: its λ are those of the matching cost.

    In the softmax form this is the paper's loss. In the sigmoid form the class term counts twice: in runs of a few
    hundred steps the model then learns classes sooner.
    """
    return SetCriterion(form=form, weights=matching_weights(form))
