"""Whether the numbers of a step are finite, which one is not, and why that may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from setpiece.errors import NonFiniteError
from setpiece.inference.precision import autocast
from setpiece.model.presets import presets
from setpiece.records import Batch
from setpiece.training.config import TrainConfig, origin_of, recipe_of

__all__ = ["likely_cause", "require_finite", "require_finite_losses", "usual_learning_rate"]

LARGE = 1e3  # of a weight: those of a model that learns are below 100
HIGH = 2.0  # learning rate over that of the recipe


@torch.no_grad()
def require_finite(what: str, named: Iterable[tuple[str, Tensor]]) -> None:
    """All values of some tensors are finite.

    Args:
        what: they are, as "gradient".
        named: the tensors with their names, of floating point.

    Raises:
        NonFiniteError: one is NaN or infinite; names the first tensor.

    Example:
        >>> require_finite("weight", [("encoder.bias", torch.ones(2))])
        >>> require_finite("weight", [("encoder.bias", torch.ones(2)), ("head.bias", torch.tensor([1, float("nan")]))])
        Traceback (most recent call last):
        setpiece.errors.NonFiniteError: The weight of head.bias is nan (in 1 of 2 tensors).
    """
    names, tensors = zip(*named, strict=True)
    norms = torch.stack(torch._foreach_norm(tensors, float("inf")))
    if norms.isfinite().all():
        return
    wrong = (~norms.isfinite()).nonzero().flatten().tolist()
    first = tensors[wrong[0]].flatten()
    value = first[~first.isfinite()][0].item()
    raise NonFiniteError(f"The {what} of {names[wrong[0]]} is {value} (in {len(wrong)} of {len(names)} tensors).", ())


def require_finite_losses(terms: Mapping[str, Tensor]) -> None:
    """All terms of a loss are finite.

    Args:
        terms: by name, with a value for each layer, or a single one.

    Raises:
        NonFiniteError: one is NaN or infinite; names the layer and the term.

    Example:
        >>> require_finite_losses({"giou": torch.tensor([0.5, float("inf")])})
        Traceback (most recent call last):
        setpiece.errors.NonFiniteError: Layer 1: the giou loss is inf.
    """
    for name, term in terms.items():
        for layer, value in enumerate(term.reshape(-1).tolist()):
            if not torch.tensor(value).isfinite():
                where = f"Layer {layer}: the" if term.ndim else "The"
                raise NonFiniteError(f"{where} {name} loss is {value}.", (layer,) if term.ndim else ())


def usual_learning_rate(config: TrainConfig, preset: str) -> float:
    """The learning rate of the recipe that a run would have by itself.

    Args:
        config: the settings of the run.
        preset: of its model.
    """
    known = config.model in presets()
    origin = origin_of(config.model, config.backbone, pretrained=config.pretrained) if known else "checkpoint"
    return recipe_of(preset, origin).learning_rate


@torch.no_grad()
def likely_cause(model: nn.Module, batch: Batch, rate: float, usual: float, *, bf16: bool) -> str:
    """Why a step was not finite, as far as it can be seen, and what to do about it.

    Args:
        model: with the weights that the step started from.
        batch: of the step.
        rate: the learning rate of the run.
        usual: that of the recipe.
        bf16: whether the step computed in bfloat16.
    """
    largest = torch.stack([parameter.abs().max() for parameter in model.parameters()]).max()
    if not largest.isfinite():
        return "The weights themselves are not finite: train on from the best checkpoint with a lower --learning-rate."
    if not batch.images.pixels.isfinite().all():
        return "The pixels of the batch are not finite: the mean and standard deviation of the checkpoint are wrong."
    if not batch.targets.boxes.isfinite().all():
        return "A box of the batch is not finite: look at its annotations."
    if bf16 and _is_finite_in_float32(model, batch):
        return "In float32 the predictions of this step are finite: train with --precision fp32."
    if largest > LARGE:
        return f"Weights have grown to {largest.item():.0e}: train with a lower --learning-rate."
    if rate > HIGH * usual:
        return f"The learning rate is {rate / usual:.0f} times that of the recipe ({usual:g}): train with a lower one."
    return "A lower --learning-rate usually helps."


def _is_finite_in_float32(model: nn.Module, batch: Batch) -> bool:
    try:
        with autocast(batch.images.pixels.device, bf16=False):
            outputs = model(batch.images.pixels, batch.images.padding)
    except RuntimeError:  # it takes more memory, too
        return False
    return bool(outputs.logits.isfinite().all() and outputs.boxes.isfinite().all())
