"""What every model of ours is, whatever it is built of."""

from __future__ import annotations

from abc import abstractmethod

from jaxtyping import Bool, Float
from torch import Tensor, nn

from setpiece.records import Form, Outputs


class SetModel(nn.Module):
    """Images -> a set of Q predictions per decoder layer.

    Attributes:
        form: the class term that its logits are made for, see `setloss.classification`.
        num_queries: Q.
        backbone: the CNN; its parameters have a learning rate of their own.
    """

    form: Form
    num_queries: int
    backbone: nn.Module

    @abstractmethod
    def forward(self, images: Float[Tensor, "B 3 H W"], padding: Bool[Tensor, "B H W"]) -> Outputs:
        """Predict a set for each image, once per decoder layer."""

    @abstractmethod
    def replace_class_head(self, classes: int) -> None:
        """Put a new, untrained head for `classes` in the place of the class head; all else stays."""
