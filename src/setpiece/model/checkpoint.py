"""Checkpoints: a model with everything that using it takes, made new, read and written.

Our own format is a folder with `model.safetensors` and `config.json`; published DETR checkpoints are read in both
of their layouts (`published.py`). Nothing is unpickled without `weights_only`.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from setpiece.atomic import write_whole
from setpiece.errors import UsageError, WeightsError
from setpiece.model.backbones.multi_scale import PyramidBackbone
from setpiece.model.backbones.named import named_pyramid
from setpiece.model.backbones.single_scale import IMAGENET_MEAN, IMAGENET_STD, ResNetBackbone
from setpiece.model.base import SetModel
from setpiece.model.detr import detr_r50, detr_r50_dc5, detr_r101, detr_r101_dc5, detr_tiny
from setpiece.model.formats import published
from setpiece.model.formats.files import CONFIG, WEIGHTS, locate, read_json, read_pth, read_safetensors
from setpiece.model.sprint import sprint_m, sprint_n, sprint_s

_log = logging.getLogger("setpiece")


class Preset(NamedTuple):
    """A way to build a model, the input size (pixels) that it is made for, and whether its CNN can start pretrained."""

    build: Callable[..., SetModel]
    shortest: int
    longest: int
    pretrained: bool


def presets() -> dict[str, Preset]:
    """Every preset by the name that users type."""
    return {
        "detr-r50": Preset(detr_r50, 800, 1333, True),
        "detr-r50-dc5": Preset(detr_r50_dc5, 800, 1333, True),
        "detr-r101": Preset(detr_r101, 800, 1333, True),
        "detr-r101-dc5": Preset(detr_r101_dc5, 800, 1333, True),
        "detr-tiny": Preset(detr_tiny, 256, 256, False),
        "sprint-n": Preset(sprint_n, 352, 352, False),
        "sprint-s": Preset(sprint_s, 512, 512, True),
        "sprint-m": Preset(sprint_m, 640, 640, True),
    }


@dataclass(frozen=True)
class Checkpoint:
    """A model with everything that using it takes.

    Attributes:
        model: images and padding -> `Outputs`.
        preset: the name of the preset that built it.
        classes: the name of each class, by index.
        mean: what to subtract from RGB in [0, 1].
        std: what to divide by after that.
        shortest: what an image's shorter side is resized to, in pixels,
        longest: unless its longer side would exceed this.
        backbone: the named network (see `model.named`) that is in the place of the preset's own CNN.
    """

    model: SetModel
    preset: str
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    shortest: int
    longest: int
    backbone: str | None = None


class Config(BaseModel):
    """What `config.json` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    preset: str
    backbone: str | None = None
    classes: tuple[str, ...] = Field(min_length=1)
    queries: PositiveInt
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = IMAGENET_STD
    shortest: PositiveInt
    longest: PositiveInt


def create(
    preset: str,
    classes: Sequence[str],
    *,
    backbone: str | None = None,
    pretrained_backbone: bool = False,
    shortest: int | None = None,
    longest: int | None = None,
) -> Checkpoint:
    """Make a new model that detects the given classes.

    Args:
        preset: its name, such as `"detr-tiny"`.
        classes: the name of each class; at least one.
        backbone: the CNN of a `sprint` preset by name, see `model.named`; the preset's own by default.
        pretrained_backbone: start the CNN from ImageNet weights, fetched once. The paper's presets are made to
            start from them: without, their frozen layers are random and a warning is logged.
        shortest: resize an image's shorter side to this many pixels; the preset's own by default,
        longest: unless its longer side would exceed this; by default in the preset's proportion to `shortest`.

    Raises:
        UsageError: there is no such preset or backbone, no class, or no pretrained backbone for the preset.
        WeightsError: the backbone's weights cannot be fetched.

    Example:
        >>> create("detr-tiny", ["ace", "king"], shortest=128).longest
        128
    """
    if preset not in presets():
        raise UsageError(f"There is no preset {preset!r}: choose one of {', '.join(presets())}.")
    if not classes:
        raise UsageError("A model needs at least one class: give the names of the classes to detect.")
    build, usual_shortest, usual_longest, _ = presets()[preset]
    if shortest is None:
        shortest = usual_shortest
    if longest is None:
        longest = round(shortest * usual_longest / usual_shortest)
    if not 0 < shortest <= longest:
        raise UsageError(f"An input of {shortest} to {longest} pixels is no size: 0 < shortest <= longest.")
    model = build(len(classes), **_with(preset, backbone))
    if pretrained_backbone:
        if not isinstance(model.backbone, ResNetBackbone | PyramidBackbone):
            raise UsageError(f"{preset} is trained from scratch: no weights are published for its CNN.")
        model.backbone.load_imagenet()
    elif isinstance(model.backbone, ResNetBackbone):
        _log.warning("%s starts from a random CNN whose stem and batch norms are not trained.", preset)
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    if isinstance(model.backbone, PyramidBackbone):
        mean, std = model.backbone.mean, model.backbone.std
    config = Config(
        preset=preset,
        backbone=backbone,
        classes=tuple(classes),
        queries=model.num_queries,
        mean=mean,
        std=std,
        shortest=shortest,
        longest=longest,
    )
    return _checkpoint(model, config)


def load(source: str | Path, classes: Sequence[str] | None = None) -> Checkpoint:
    """Read a checkpoint, ours or a published one.

    The `.pth` files do not say whether their CNN is dilated: it is taken to be where the file's own arguments say
    so, or where its name contains "dc5". Class ids that COCO never used are left out of the class head.

    Args:
        source: our folder; a run folder (its `best`, else its `last`); a folder that `transformers` wrote; a
            `.safetensors` file with its `config.json` beside it; an original `.pth` file; or a hub id such as
            `"facebook/detr-resnet-50"`.
        classes: the classes wanted. Where the checkpoint has others, its class head is replaced by a new one and
            a warning of the logger `setpiece` says so.

    Raises:
        UsageError: there is nothing at `source`.
        WeightsError: what is there cannot be fetched, cannot be read, or is not a checkpoint of a known model.
    """
    try:
        path = locate(source)
    except UsageError as error:
        raise UsageError(f"{error} (The presets are {', '.join(presets())}.)") from error
    if path.suffix in (".pth", ".pt"):
        config, state = _read_original(path, classes)
    elif (described := read_json(path.with_name(CONFIG))).get("model_type") == "detr":
        config, state = _read_transformers(path, described)
    else:
        config, state = _read_own(path, described)
    checkpoint = _checkpoint(_assemble(config, state, path), config)
    return checkpoint if classes is None else with_classes(checkpoint, classes, str(source))


def with_classes(checkpoint: Checkpoint, classes: Sequence[str], name: str) -> Checkpoint:
    """A checkpoint that detects the given classes: itself, or a copy with a new class head where its classes differ.

    Args:
        checkpoint: stays as it is.
        classes: the name of each class.
        name: of the checkpoint, for the warning of the logger `setpiece` where the class head is replaced.
    """
    if tuple(classes) == checkpoint.classes:
        return checkpoint
    _log.warning(
        "%s detects %s; its class head is replaced by a new one for %s, which has to be trained.",
        name,
        _listed(checkpoint.classes),
        _listed(classes),
    )
    model = copy.deepcopy(checkpoint.model)
    model.replace_class_head(len(classes))
    return replace(checkpoint, model=model, classes=tuple(classes))


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `model.safetensors` and `config.json` into a folder, each complete or not at all.

    Raises:
        WeightsError: the folder cannot be written to.
    """
    config = Config(
        preset=checkpoint.preset,
        backbone=checkpoint.backbone,
        classes=checkpoint.classes,
        queries=checkpoint.model.num_queries,
        mean=checkpoint.mean,
        std=checkpoint.std,
        shortest=checkpoint.shortest,
        longest=checkpoint.longest,
    )
    # Channels-last weights are not contiguous, which the format asks for.
    state = {k: v.detach().cpu().contiguous() for k, v in checkpoint.model.state_dict().items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / WEIGHTS, lambda path: save_file(state, path, metadata={"format": "pt"}))
        write_whole(folder / CONFIG, lambda path: path.write_text(config.model_dump_json(indent=2) + "\n"))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The checkpoint could not be written to {folder}: {error}.") from error


def _read_own(path: Path, described: dict[str, Any]) -> tuple[Config, dict[str, Tensor]]:
    file = path.with_name(CONFIG)
    version = described.get("format")
    if isinstance(version, int) and version > 1:
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
    _, shortest, longest, _ = presets()[preset]
    queries = len(state["queries.weight"])
    return Config(preset=preset, classes=classes, queries=queries, shortest=shortest, longest=longest), state


def _parameter_names(preset: str) -> list[str]:
    with torch.device("meta"):
        return list(presets()[preset].build(1).state_dict())


def _assemble(config: Config, state: dict[str, Tensor], path: Path) -> SetModel:
    # On meta nothing is drawn at random that the checkpoint would overwrite, but a named network may have buffers that
    # no checkpoint holds.
    with torch.device("cpu" if config.backbone else "meta"):
        model = presets()[config.preset].build(
            len(config.classes), queries=config.queries, **_with(config.preset, config.backbone)
        )
    expected = model.state_dict()
    published.require_same_names(expected, state, str(path))
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            raise WeightsError(
                f"{path} is not a checkpoint of {config.preset}: {name} has shape {tuple(state[name].shape)}, "
                f"not {tuple(tensor.shape)}."
            )
    # Half-precision files are read, and compute in float32 like all others.
    model.load_state_dict({k: state[k].to(tensor.dtype) for k, tensor in expected.items()}, assign=True)
    return model


def _checkpoint(model: SetModel, config: Config) -> Checkpoint:
    return Checkpoint(
        model=model,
        preset=config.preset,
        classes=config.classes,
        mean=config.mean,
        std=config.std,
        shortest=config.shortest,
        longest=config.longest,
        backbone=config.backbone,
    )


def _with(preset: str, backbone: str | None) -> dict[str, PyramidBackbone]:
    """The argument that puts a named backbone into a preset; none for the preset's own."""
    if backbone is None:
        return {}
    if not preset.startswith("sprint"):
        raise UsageError(f"{preset} has a CNN of its own: only the sprint presets take another backbone.")
    return {"backbone": named_pyramid(backbone)}


def _listed(classes: Sequence[str]) -> str:
    """For example `3 classes (ace, king, queen)`."""
    names = ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
    return f"{len(classes)} class{'es' if len(classes) != 1 else ''} ({names})"
