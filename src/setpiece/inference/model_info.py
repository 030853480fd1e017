"""What an exported model says of itself. It travels inside the file, as JSON."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from setpiece.errors import WeightsError
from setpiece.input_size import InputSize

__all__ = ["KEY", "ModelInfo"]

KEY = "setpiece"  # under which the JSON lies in a model's metadata


class ModelInfo(BaseModel):
    """What is needed to use an exported model, and where it is from.

    Attributes:
        preset: the name of the preset that built it.
        classes: the name of each class, by index.
        thresholds: for each class the least confidence that counts, which gave the best F1 on the validation images.
        shortest: pixels that the shorter side of an image has at most once it is resized, see `InputSize`.
        longest: likewise of the longer side.
        canvas: (height, width) of the only input that the graph takes; None where it takes any multiples of 32.
        least_area: square pixels of a canvas at least, so that there are as many cells as queries.
        batch: the only number of images that it takes at once; None where it takes any.
        mean: what the graph subtracts from RGB in [0, 1]: a model that is used without the graph needs it.
        std: what it divides by after that.
        precision: "int8" and "fp16" are approximations of the trained model.
        metrics: the COCO metrics of the checkpoint on its validation images, where it has some.
        licence: of the weights, as whoever exported them said.
        made_with: versions of the packages that exported it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    preset: str
    classes: tuple[str, ...] = Field(min_length=1)
    thresholds: tuple[float, ...] | None
    shortest: int = Field(gt=0)
    longest: int = Field(gt=0)
    canvas: tuple[int, int] | None
    least_area: int = 1
    batch: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    precision: Literal["fp32", "fp16", "int8"]
    metrics: dict[str, Any] | None
    licence: str | None
    made_with: dict[str, str]

    @property
    def size(self) -> InputSize:
        """How large an image enters the model."""
        return InputSize(self.shortest, self.longest)

    @classmethod
    def read(cls, text: str | None, source: object) -> ModelInfo:
        """What the metadata of a file say.

        Raises:
            WeightsError: there are none, or they are not ours.
        """
        if not text:
            raise WeightsError(f"{source} was not written by setpiece export: it does not say what its classes are.")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise WeightsError(
                f"{source} was written by another version of setpiece ({error.errors()[0]['loc']}): export it again."
            ) from error
