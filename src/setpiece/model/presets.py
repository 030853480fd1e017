"""The presets: each a function that builds a model, with the input size that it is made for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from setpiece.errors import UsageError
from setpiece.model.backbones.named import named_pyramid
from setpiece.model.base import SetModel
from setpiece.model.detr import detr_r50, detr_r50_dc5, detr_r101, detr_r101_dc5, detr_tiny
from setpiece.model.sprint import sprint_m, sprint_n, sprint_s
from setpiece.records import InputSize

__all__ = ["Preset", "build", "presets"]


class Preset(NamedTuple):
    """A way to build a model, and what it is made for.

    Attributes:
        build: number of classes -> model.
        size: the input size.
        pretrained: whether its CNN can start from ImageNet weights.
        recipe: how it is trained: as in the paper, like a small DETR from scratch, or like `sprint`.
        any_backbone: whether `build` takes another CNN.
    """

    build: Callable[..., SetModel]
    size: InputSize
    pretrained: bool
    recipe: Literal["paper", "small", "sprint"]
    any_backbone: bool = False


def presets() -> dict[str, Preset]:
    """Every preset by the name that users type."""
    return {
        "detr-r50": Preset(detr_r50, InputSize(800, 1333), True, "paper"),
        "detr-r50-dc5": Preset(detr_r50_dc5, InputSize(800, 1333), True, "paper"),
        "detr-r101": Preset(detr_r101, InputSize(800, 1333), True, "paper"),
        "detr-r101-dc5": Preset(detr_r101_dc5, InputSize(800, 1333), True, "paper"),
        "detr-tiny": Preset(detr_tiny, InputSize(256, 256), False, "small"),
        "sprint-n": Preset(sprint_n, InputSize(352, 352), False, "sprint", any_backbone=True),
        "sprint-s": Preset(sprint_s, InputSize(512, 512), True, "sprint", any_backbone=True),
        "sprint-m": Preset(sprint_m, InputSize(640, 640), True, "sprint", any_backbone=True),
    }


def build(preset: str, classes: int, *, backbone: str | None = None, **options: int) -> SetModel:
    """Build a model with random weights.

    Args:
        preset: its name.
        classes: C.
        backbone: a named network (see `backbones.named`) that replaces the preset's own CNN.
        options: `queries`, where it is not the preset's own number.

    Raises:
        UsageError: there is no such backbone, or the preset takes none.
    """
    if backbone is None:
        return presets()[preset].build(classes, **options)
    if not presets()[preset].any_backbone:
        raise UsageError(f"{preset} has a CNN of its own: only the sprint presets take another backbone.")
    return presets()[preset].build(classes, backbone=named_pyramid(backbone), **options)
