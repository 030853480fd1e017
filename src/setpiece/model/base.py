"""The base class of our models: what each one declares and implements."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from setpiece.errors import UsageError
from setpiece.model.tracing import QueryTrace
from setpiece.records import Form, Outputs

__all__ = ["Role", "SetModel", "changed_classes", "layer_names"]

Role = Literal["backbone", "encoder", "queries", "decoder", "heads"]


class SetModel(nn.Module):
    """Images -> L sets of Q predictions.

    A new model declares the attributes below, implements the abstract methods, and has a preset in `model.presets`.
    The preset says by which recipe it is trained. Nothing outside `model/` changes, unless it needs a new recipe.

    Attributes:
        form: the class term that its logits are made for, see `setloss.classification`.
        num_queries: Q, the most objects that it can find in one image.
        prediction_sets: the name of each of the L prediction sets, in order: `"proposals"`, `"layer 1"`, ...
        query_slots: what a query's number stands for: "learned" where query q starts from the same learned vector in
            every image (DETR), "top-k" where it starts from the q-th best cell of each image.
        backbone: the CNN; its parameters have a learning rate of their own.
        roles: what each of the model's direct parts is for, by its name.
        former_names: (pattern, replacement) for the names that parameters had in older checkpoints.
    """

    form: Form
    num_queries: int
    query_slots: Literal["learned", "top-k"] = "learned"
    backbone: nn.Module
    roles: ClassVar[Mapping[str, Role]] = {}
    former_names: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        if self.former_names:
            self.register_load_state_dict_pre_hook(_rename_in_place)

    @property
    @abstractmethod
    def prediction_sets(self) -> tuple[str, ...]:
        """The name of each prediction set, in the order of the L axis of `Outputs`."""

    @abstractmethod
    def forward(self, images: Float[Tensor, "B 3 H W"], padding: Bool[Tensor, "B H W"]) -> Outputs:
        """Predict L sets for each image.

        Args:
            images: RGB, normalised by the checkpoint's mean and standard deviation; 0 where padded.
            padding: True where a pixel is padding, at the right and at the bottom.
        """

    @abstractmethod
    def change_classes(self, rows: Sequence[int | None]) -> None:
        """Give the class heads other classes; all else stays.

        Args:
            rows: for each new class the old class that it continues, or None. A class that continues none starts from
                the mean of all old ones: from what tells an object from the background.
        """

    def change_queries(self, count: int) -> None:
        """Have `count` object queries from now on.

        Raises:
            UsageError: the model has learned its queries, so their number is fixed.
        """
        if count != self.num_queries:
            raise UsageError(f"{type(self).__name__} has learned {self.num_queries} queries: there cannot be {count}.")

    @abstractmethod
    def class_head_parameters(self) -> Iterable[nn.Parameter]:
        """The parameters of all class heads, which Muon leaves to AdamW."""

    @abstractmethod
    def tracing(self) -> AbstractContextManager[QueryTrace]:
        """Record what the object queries do in the forward pass that runs inside this context."""

    def current_name(self, name: str) -> str:
        """The name of a parameter that an older checkpoint may call otherwise."""
        for pattern, replacement in self.former_names:
            name = re.sub(pattern, replacement, name)
        return name


def layer_names(count: int) -> tuple[str, ...]:
    """The names of decoder layers.

    Example:
        >>> layer_names(2)
        ('layer 1', 'layer 2')
    """
    return tuple(f"layer {layer}" for layer in range(1, count + 1))


@torch.no_grad()
def changed_classes(head: nn.Linear, rows: Sequence[int | None], classes: int) -> nn.Linear:
    """A class head with other rows, see `SetModel.change_classes`.

    Args:
        head: the first of its rows are of classes; those after them, such as no-object, stay.
        rows: for each new class the row that it keeps, or None for the mean of all.
        classes: how many of the rows are of classes.
    """

    def change(old: Tensor) -> Tensor:
        mean = old[:classes].mean(0)
        return torch.cat([torch.stack([mean if row is None else old[row] for row in rows]), old[classes:]])

    weight, bias = change(head.weight), change(head.bias)
    changed = nn.Linear(weight.shape[1], len(weight), device=weight.device, dtype=weight.dtype)
    changed.weight.copy_(weight)
    changed.bias.copy_(bias)
    return changed


def _rename_in_place(model: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    assert isinstance(model, SetModel)
    for name in [name for name in state if name.startswith(prefix)]:
        state[prefix + model.current_name(name.removeprefix(prefix))] = state.pop(name)
