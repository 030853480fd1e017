"""What the page sends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MINUTES", "BoxSent", "ClassSent", "DecisionSent", "ExportSent", "ImageSent", "OrderSent", "TrainSent"]

MINUTES = (0.1, 10_000)  # the least and the most of a longer training

Number = Annotated[float, Field(allow_inf_nan=False)]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BoxSent(_Sent):
    """A box: its corners, and the position of its class. A data set's crowds come back as they went."""

    box: tuple[Number, Number, Number, Number]
    label: int = Field(alias="class")
    crowd: bool = False


class ImageSent(_Sent):
    """The whole image after a user's action; `revision` is that of the image which the user saw."""

    revision: int
    state: Literal["open", "labelled", "empty"]
    boxes: list[BoxSent]
    action: str = Field(min_length=1, max_length=200)


class ClassSent(_Sent):
    """What to do with the classes.

    `label` and `into` are positions; `meant` are the names that the page shows there, in this order: nothing is done
    where a name is another one by now.
    """

    action: Literal["add", "rename", "merge", "remove"]
    name: str = Field(default="", max_length=200)
    label: int = Field(default=-1, alias="class")
    into: int = -1
    meant: list[str] = Field(default=[], max_length=2)


class OrderSent(_Sent):
    """The order to offer images in, and those that the page will show next."""

    mode: Literal["helpful", "files"]
    coming: list[int] = []


class DecisionSent(_Sent):
    """On a row of the second look."""

    decision: Literal["keep", "apply"]


class TrainSent(_Sent):
    """How long to train."""

    minutes: float = Field(ge=MINUTES[0], le=MINUTES[1], allow_inf_nan=False)


class ExportSent(_Sent):
    """For other programs."""

    format: Literal["onnx", "openvino", "torch", "html", "transformers"]
