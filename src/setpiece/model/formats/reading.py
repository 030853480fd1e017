"""A checkpoint's files, in any format that we know -> its description and its weights by our names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from setpiece.errors import WeightsError
from setpiece.model.formats import published
from setpiece.model.formats.files import CONFIG, read_json, read_pth, read_safetensors
from setpiece.model.formats.ours import Config, read_ours
from setpiece.model.presets import build, presets

__all__ = ["read"]


def read(path: Path, classes: Sequence[str] | None) -> tuple[Config, dict[str, Tensor]]:
    """Read a file of weights, and what is said of it: our own, a `.pth` of the original, or one of `transformers`.

    Args:
        path: the file of weights.
        classes: the names of the classes: a `.pth` file that was not trained on COCO does not hold them.

    Raises:
        WeightsError: it cannot be read, or is not a checkpoint of a known model.
    """
    if path.suffix in (".pth", ".pt"):
        return _read_original(path, classes)
    described = read_json(path.with_name(CONFIG))
    if described.get("model_type") == "detr":
        return _read_transformers(path, described)
    return read_ours(path, described)


def _read_transformers(path: Path, described: dict[str, Any]) -> tuple[Config, dict[str, Tensor]]:
    theirs = read_safetensors(path)
    preset = published.infer_preset(theirs, dilation=published.is_dilated(described))
    state = published.from_transformers(theirs, _parameter_names(preset), str(path))
    names = published.class_names(described, path.with_name(CONFIG))
    return _published_config(preset, state, names, path)


def _read_original(path: Path, classes: Sequence[str] | None) -> tuple[Config, dict[str, Tensor]]:
    theirs, args = read_pth(path)
    dilation = "dc5" in path.name.lower() if args is None else bool(getattr(args, "dilation", False))
    preset = published.infer_preset(theirs, dilation=dilation)
    state = published.from_original(theirs, _parameter_names(preset), str(path))
    count = len(state["class_head.bias"]) - 1
    names = published.coco_names()
    if count != len(names):
        if classes is None or len(classes) != count:
            raise WeightsError(f"{path} detects {count} classes and does not name them: give their {count} names.")
        names = tuple(classes)
    return _published_config(preset, state, names, path)


def _published_config(
    preset: str, state: dict[str, Tensor], names: tuple[str, ...], path: Path
) -> tuple[Config, dict[str, Tensor]]:
    rows = len(state["class_head.bias"])
    if rows != len(names) + 1:
        raise WeightsError(f"{path} has a class head of {rows} rows, but {len(names)} classes are named beside it.")
    state, classes = published.drop_unused_classes(state, names)
    size = presets()[preset].size
    queries = len(state["queries.weight"])
    config = Config(preset=preset, classes=classes, queries=queries, shortest=size.shortest, longest=size.longest)
    return config, state


def _parameter_names(preset: str) -> list[str]:
    with torch.device("meta"):
        return list(build(preset, 1).state_dict())
