"""Our own checkpoints: `model.safetensors`, and `config.json` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError
from torch import Tensor

from setpiece.errors import WeightsError
from setpiece.model.backbones.single_scale import IMAGENET_MEAN, IMAGENET_STD
from setpiece.model.formats.files import CONFIG, read_safetensors
from setpiece.model.presets import presets
from setpiece.records import InputSize

__all__ = ["Config", "read_ours"]

# 1 named some parameters of `sprint` otherwise, see `SetModel.former_names`; 2 had no thresholds.
FORMAT: Literal[3] = 3


class Config(BaseModel):
    """What `config.json` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1, 2, 3] = FORMAT
    preset: str
    backbone: str | None = None
    classes: tuple[str, ...] = Field(min_length=1)
    queries: PositiveInt
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = IMAGENET_STD
    shortest: PositiveInt
    longest: PositiveInt
    thresholds: tuple[float, ...] | None = None

    @property
    def size(self) -> InputSize:
        """The input size."""
        return InputSize(self.shortest, self.longest)


def read_ours(path: Path, described: dict[str, Any]) -> tuple[Config, dict[str, Tensor]]:
    """Read one of our checkpoints.

    Args:
        path: the file of weights.
        described: what its `config.json` holds.

    Raises:
        WeightsError: the description is not ours, or of a newer format; the weights cannot be read.
    """
    file = path.with_name(CONFIG)
    version = described.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise WeightsError(f"{file} has format {version}, newer than this Setpiece reads: update the package.")
    try:
        config = Config.model_validate(described)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WeightsError(f"{file} is not a Setpiece or DETR description: {where}: {first['msg']}.") from error
    if config.preset not in presets():
        raise WeightsError(f"{file} names the preset {config.preset!r}, which is none of {', '.join(presets())}.")
    return config, read_safetensors(path)
