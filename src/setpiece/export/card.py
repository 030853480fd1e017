"""A checkpoint and its run -> a model card: the README.md that the hub shows.

It is published, so it holds nothing of the machine: of a data set the name of its folder, and no command line.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import PureWindowsPath
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from setpiece.evaluation.coco import MEANINGS
from setpiece.model.checkpoint import Checkpoint
from setpiece.model.presets import presets

__all__ = ["TRANSFORMERS", "model_card"]

TRANSFORMERS = "transformers"  # the folder of a repository with the model as `transformers` reads it
SHOWN = ("AP", "AP50", "AP75", "APs", "APm", "APl")
DATA = "its data set"  # where the folder has no name


def model_card(
    repository: str,
    checkpoint: Checkpoint,
    *,
    settings: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
    licence: str | None = None,
    in_transformers: bool = False,
) -> str:
    """Markdown with YAML in front of it.

    Args:
        repository: where it will lie, such as `"ada/cells"`.
        settings: of the run that trained the checkpoint, as `RunFolder.read_settings` gives them.
        metrics: of the checkpoint, as `read_metrics` gives them.
        licence: of the weights, by the hub's identifier.
        in_transformers: the repository also holds the model as `transformers` reads it.
    """
    parts = [
        f"# {_text(_name(repository))}",
        _summary(checkpoint, settings, in_transformers),
        _use(repository, in_transformers),
        _classes(checkpoint, metrics),
        _measured(settings, metrics),
        _training(checkpoint, settings),
        "" if licence else "## Licence\n\nNone was given for these weights.",
    ]
    front = _front_matter(repository, checkpoint, settings, metrics, licence)
    return f"---\n{front}\n---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(
    repository: str,
    checkpoint: Checkpoint,
    settings: dict[str, Any] | None,
    metrics: dict[str, Any] | None,
    licence: str | None,
) -> str:
    data = _data(settings)
    measured = {name: metrics[name] for name in MEANINGS if metrics.get(name) is not None} if metrics else {}
    results = [
        EvalResult(
            task_type="object-detection",
            dataset_type=data,
            dataset_name=data,
            dataset_split="valid",
            metric_type="mean_average_recall" if name.startswith("AR") else "mean_average_precision",
            metric_name=name,
            metric_value=value,
        )
        for name, value in measured.items()
    ]
    return ModelCardData(
        license=licence,
        library_name="setpiece",
        pipeline_tag="object-detection",
        tags=["setpiece", "detr", "set-prediction", checkpoint.preset],
        model_name=_name(repository),
        eval_results=results or None,
    ).to_yaml()


def _summary(checkpoint: Checkpoint, settings: dict[str, Any] | None, in_transformers: bool) -> str:
    count = len(checkpoint.classes)
    on = f", trained on {_code(_data(settings))}" if settings is not None else ""
    also = f" The folder `{TRANSFORMERS}` holds the same model for `transformers`." if in_transformers else ""
    return (
        f"A detection transformer ({_code(checkpoint.preset)}) that finds {count} class{'es' if count != 1 else ''} of "
        f"objects{on} with Setpiece.{also}"
    )


def _use(repository: str, in_transformers: bool) -> str:
    ours = (
        "## Use\n\n"
        "After `pip install setpiece`:\n\n"
        "```python\n"
        "from setpiece import Detector\n"
        f'detector = Detector.load("{repository}")\n'
        'detections = detector.predict("image.jpg")  # supervision.Detections\n'
        "```"
    )
    if not in_transformers:
        return ours
    arguments = f'"{repository}", subfolder="{TRANSFORMERS}"'
    return ours + (
        "\n\nWith `transformers` and timm:\n\n"
        "```python\n"
        "from transformers import AutoImageProcessor, AutoModelForObjectDetection\n"
        f"processor = AutoImageProcessor.from_pretrained({arguments})\n"
        f"model = AutoModelForObjectDetection.from_pretrained({arguments})\n"
        "```"
    )


def _classes(checkpoint: Checkpoint, metrics: dict[str, Any] | None) -> str:
    per_class = (metrics or {}).get("per_class", {})
    heads = ["class"]
    columns: list[Iterable[str]] = [map(_text, checkpoint.classes)]
    if per_class:
        heads += ["AP", "AP50"]
        columns += [[_number(per_class.get(c, {}).get(m)) for c in checkpoint.classes] for m in ("AP", "AP50")]
    if checkpoint.thresholds is not None:
        heads.append("best threshold")
        columns.append(map(_number, checkpoint.thresholds))
    return "## Classes\n\n" + _table(heads, zip(*columns, strict=True))


def _measured(settings: dict[str, Any] | None, metrics: dict[str, Any] | None) -> str:
    if metrics is None:
        return ""
    on = f" of {_code(_data(settings))}"
    images = ((settings or {}).get("contents") or {}).get("valid", {}).get("images")
    counted = f"the {images} validation images" if images is not None else "the validation images"
    rows = [(name, MEANINGS[name], _number(metrics.get(name))) for name in SHOWN]
    return f"## Measured\n\nCOCO metrics on {counted}{on}.\n\n" + _table(("metric", "meaning", "value"), rows)


def _training(checkpoint: Checkpoint, settings: dict[str, Any] | None) -> str:
    if settings is None:
        return "## Training\n\nHow it was trained is not known here: it was published without its run."
    contents = (settings.get("contents") or {}).get("train") or {}
    versions = (settings.get("made_with") or {}).get("versions") or {}
    rows = {
        "data": _counted(_code(_data(settings)), contents),
        "preset": _code(checkpoint.preset),
        "started from": _start(settings),
        "backbone": None if checkpoint.backbone is None else _code(checkpoint.backbone),
        "length": _length(settings),
        "input size": _size(checkpoint),
        "batch size": settings.get("batch_size"),
        "learning rate": settings.get("learning_rate"),
        "seed": settings.get("seed"),
        "made with": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
    }
    return "## Training\n\n" + _table(
        ("setting", "value"), ((name, str(value)) for name, value in rows.items() if value not in (None, ""))
    )


def _start(settings: dict[str, Any]) -> str:
    if settings.get("model") not in presets():  # a path of the machine, perhaps
        return "another checkpoint"
    return "trained weights, where the preset has some" if settings.get("pretrained", True) else "random weights"


def _length(settings: dict[str, Any]) -> str | None:
    for unit in ("epochs", "minutes"):
        if (length := settings.get(unit)) is not None:
            return f"{length:g} {unit if length != 1 else unit.removesuffix('s')}"
    return None


def _size(checkpoint: Checkpoint) -> str:
    size = checkpoint.size
    longest = f"longer side at most {size.longest} pixels"
    return longest if size.shortest == size.longest else f"shorter side {size.shortest} pixels, {longest}"


def _counted(name: str, contents: dict[str, Any]) -> str:
    images, objects = contents.get("images"), contents.get("objects")
    return name if images is None else f"{name}: {images} images with {objects} objects"


def _data(settings: dict[str, Any] | None) -> str:
    """The name of the folder of the data set, without where it lies; on Windows, paths have other separators."""
    name = PureWindowsPath(str((settings or {}).get("data", ""))).name
    return name if name.strip(".") else DATA


def _name(repository: str) -> str:
    return repository.rpartition("/")[2]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (heads, ["---"] * len(heads), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    r"""A name that means nothing in Markdown, HTML or a table.

    Example:
        >>> print(_text("a|b <i>*x*"))
        a\|b &lt;i&gt;\*x\*
    """
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _code(text: str) -> str:
    """A name that people type; where it holds what would end the code, it is plain text."""
    return _text(text) if re.search(r"[`|\\\n]", text) else f"`{text}`"
