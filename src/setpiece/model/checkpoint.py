"""Checkpoints: a model with everything that is needed to use it. Created, loaded and saved here.

Our own format is a folder with `model.safetensors` and `config.json`; published DETR checkpoints are read in both
of their layouts (`formats.published`). Nothing is unpickled without `weights_only`.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor

from setpiece.atomic import write_whole
from setpiece.errors import UsageError, WeightsError
from setpiece.model.backbones.multi_scale import PyramidBackbone
from setpiece.model.backbones.single_scale import IMAGENET_MEAN, IMAGENET_STD, ResNetBackbone
from setpiece.model.base import SetModel
from setpiece.model.formats.files import CONFIG, WEIGHTS, locate
from setpiece.model.formats.ours import Config
from setpiece.model.formats.published import require_same_names
from setpiece.model.formats.reading import read
from setpiece.model.presets import build, presets
from setpiece.records import InputSize

__all__ = ["Checkpoint", "create", "load", "load_unless_preset", "save", "with_classes"]

_log = logging.getLogger("setpiece")


@dataclass(frozen=True)
class Checkpoint:
    """A model with everything that is needed to use it.

    Attributes:
        model: images and padding -> `Outputs`.
        preset: the name of the preset that built it.
        classes: the name of each class, by index.
        mean: what to subtract from RGB in [0, 1].
        std: what to divide by after that.
        size: how large an image enters the model.
        backbone: the named network (see `model.backbones.named`) that replaces the preset's own CNN.
        thresholds: for each class the least confidence that counts, which gave the best F1 on the validation images;
            None where there were none.
    """

    model: SetModel
    preset: str
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: InputSize
    backbone: str | None = None
    thresholds: tuple[float, ...] | None = None


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
        backbone: the CNN of a `sprint` preset by name, see `model.backbones.named`; the preset's own by default.
        pretrained_backbone: start the CNN from ImageNet weights, fetched once. The paper's presets are made to
            start from them: without, their frozen layers are random and a warning is logged.
        shortest: resize an image's shorter side to this many pixels; the preset's own by default,
        longest: limit of the longer side, in pixels; by default in the preset's proportion to `shortest`.

    Raises:
        UsageError: there is no such preset or backbone, no class, or no pretrained backbone for the preset.
        WeightsError: the backbone's weights cannot be fetched.

    Example:
        >>> create("detr-tiny", ["ace", "king"], shortest=128).size
        InputSize(shortest=128, longest=128)
    """
    if preset not in presets():
        raise UsageError(f"There is no preset {preset!r}: choose one of {', '.join(presets())}.")
    if not classes:
        raise UsageError("A model needs at least one class: give the names of the classes to detect.")
    size = presets()[preset].size if shortest is None else presets()[preset].size.with_shortest(shortest)
    if longest is not None:
        size = replace(size, longest=longest)
    if not 0 < size.shortest <= size.longest:
        raise UsageError(f"An input of {size.shortest} to {size.longest} pixels is not valid: 0 < shortest <= longest.")
    model = build(preset, len(classes), backbone=backbone)
    if pretrained_backbone:
        if not isinstance(model.backbone, ResNetBackbone | PyramidBackbone):
            raise UsageError(f"{preset} is trained from scratch: no weights are published for its CNN.")
        model.backbone.load_imagenet()
    elif isinstance(model.backbone, ResNetBackbone):
        _log.warning("%s starts from a random CNN whose stem and batch norms are not trained.", preset)
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    if isinstance(model.backbone, PyramidBackbone):
        mean, std = model.backbone.mean, model.backbone.std
    return Checkpoint(model, preset, tuple(classes), mean, std, size, backbone)


def load(source: str | Path, classes: Sequence[str] | None = None) -> Checkpoint:
    """Read a checkpoint, ours or a published one.

    The `.pth` files do not say whether their CNN is dilated: it is taken to be where the file's own arguments say
    so, or where its name contains "dc5". Class ids that COCO never used are left out of the class head.

    Args:
        source: our folder; a run folder (its `best`, else its `last`); a folder that `transformers` wrote; a
            `.safetensors` file with its `config.json` beside it; an original `.pth` file; or a hub id such as
            `"facebook/detr-resnet-50"`.
        classes: the classes wanted. Where the checkpoint has others, its class head is replaced by a new one and
            a warning of the logger `setpiece` says which are new, see `with_classes`.

    Raises:
        UsageError: there is nothing at `source`.
        WeightsError: what is there cannot be fetched, cannot be read, or is not a checkpoint of a known model.
    """
    try:
        path = locate(source)
    except UsageError as error:
        raise UsageError(f"{error} (The presets are {', '.join(presets())}.)") from error
    config, state = read(path, classes)
    model = _assemble(config, state, path)
    checkpoint = Checkpoint(
        model,
        config.preset,
        config.classes,
        config.mean,
        config.std,
        config.size,
        config.backbone,
        config.thresholds,
    )
    return checkpoint if classes is None else with_classes(checkpoint, classes, str(source))


def with_classes(checkpoint: Checkpoint, classes: Sequence[str], name: str | None) -> Checkpoint:
    """A checkpoint that detects the given classes: itself, or a copy with other class heads where its classes differ.

    A class that the checkpoint has, by its name, keeps what was learned of it. The others start as objects of no class
    in particular, see `SetModel.change_classes`.

    Args:
        checkpoint: stays as it is.
        classes: the name of each class.
        name: of the checkpoint, for the warning of the logger `setpiece` where classes are new; None for no warning.
    """
    if tuple(classes) == checkpoint.classes:
        return checkpoint
    rows = [checkpoint.classes.index(each) if each in checkpoint.classes else None for each in classes]
    new = [each for each, row in zip(classes, rows, strict=True) if row is None]
    if new and name is not None:
        kept = f" keeps {len(classes) - len(new)} of them and" if len(new) < len(classes) else ""
        _log.warning("%s detects %s:%s has to be trained on %s.", name, _listed(checkpoint.classes), kept, _listed(new))
    model = copy.deepcopy(checkpoint.model)
    model.change_classes(rows)
    return replace(checkpoint, model=model, classes=tuple(classes), thresholds=None)


def load_unless_preset(source: str | Path) -> Checkpoint | None:
    """The checkpoint at `source`, on the CPU; None where that is the name of a preset. Raises what `load` raises."""
    return None if str(source) in presets() else load(source)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `model.safetensors` and `config.json` into a folder, each complete or not at all.

    Raises:
        OutputError: the folder cannot be written to.
    """
    config = Config(
        preset=checkpoint.preset,
        backbone=checkpoint.backbone,
        classes=checkpoint.classes,
        queries=checkpoint.model.num_queries,
        mean=checkpoint.mean,
        std=checkpoint.std,
        shortest=checkpoint.size.shortest,
        longest=checkpoint.size.longest,
        thresholds=checkpoint.thresholds,
    )
    # Channels-last weights are not contiguous, which the format asks for.
    state = {k: v.detach().cpu().contiguous() for k, v in checkpoint.model.state_dict().items()}
    write_whole(folder / WEIGHTS, to_safetensors(state, metadata={"format": "pt"}))
    write_whole(folder / CONFIG, config.model_dump_json(indent=2) + "\n")


def _assemble(config: Config, state: dict[str, Tensor], path: Path) -> SetModel:
    # On the meta device no random weights are drawn, which the checkpoint would overwrite. Not for a named network: it
    # may have buffers that the checkpoint does not hold.
    with torch.device("cpu" if config.backbone else "meta"):
        model = build(config.preset, len(config.classes), queries=config.queries, backbone=config.backbone)
    state = {model.current_name(name): tensor for name, tensor in state.items()}
    expected = model.state_dict()
    require_same_names(expected, state, str(path))
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            raise WeightsError(
                f"{path} is not a checkpoint of {config.preset}: {name} has shape {tuple(state[name].shape)}, "
                f"not {tuple(tensor.shape)}."
            )
    # Half-precision files are read, and compute in float32 like all others.
    model.load_state_dict({k: state[k].to(tensor.dtype) for k, tensor in expected.items()}, assign=True)
    return model


def _listed(classes: Sequence[str]) -> str:
    """For example `3 classes (ace, king, queen)`."""
    names = ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
    return f"{len(classes)} class{'es' if len(classes) != 1 else ''} ({names})"
