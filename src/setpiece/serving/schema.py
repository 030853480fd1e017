"""What is answered, for the OpenAPI description and for those who read it."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["Answer", "Health", "ImageSize", "Object", "Problem", "Timing"]


class Object(BaseModel):
    """An object that was found."""

    box: tuple[float, float, float, float] = Field(
        description="Left, top, right, bottom in pixels of the upright image, from its upper left corner."
    )
    score: float = Field(ge=0, le=1, description="How confident the model is.")
    class_name: str = Field(serialization_alias="class", description="What it is.")


class ImageSize(BaseModel):
    """The image that was looked at, in pixels, upright."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)


class Timing(BaseModel):
    """Where the time went, in milliseconds."""

    receive: float = Field(description="Until the body was there.")
    decode: float = Field(description="Until the image was decoded and resized, with waiting for a free thread.")
    wait: float = Field(description="Until the model had time.")
    model: float = Field(description="The model, for the whole batch.")
    batch: int = Field(ge=1, description="How many images the model looked at together.")


class Answer(BaseModel):
    """What is in an image, the most confident first."""

    model: str = Field(description="Which model this is.")
    image: ImageSize
    detections: list[Object]
    notes: list[str] = Field(description="What was done to the image that you may not expect, in sentences.")
    timing: Timing


class Health(BaseModel):
    """How the server is."""

    status: str
    model: str


class Problem(BaseModel):
    """Why a request was not met."""

    detail: str = Field(description="One sentence.")
