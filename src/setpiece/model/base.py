"""The base class of our models: what each one declares and implements."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from setpiece.model.tracing import QueryTrace
from setpiece.records import Form, Outputs

__all__ = ["Role", "SetModel", "layer_names"]

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
    def replace_class_head(self, classes: int) -> None:
        """Replace the class heads by new, untrained ones for `classes`; all else stays."""

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


def _rename_in_place(model: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    assert isinstance(model, SetModel)
    for name in [name for name in state if name.startswith(prefix)]:
        state[prefix + model.current_name(name.removeprefix(prefix))] = state.pop(name)
