"""The least confidence that counts, for each class of a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from setpiece.errors import UsageError
from setpiece.evaluation.thresholds import DEFAULT

__all__ = ["DEFAULT", "HasThresholds", "Threshold", "class_thresholds", "parse_threshold"]

# One for all classes; by the names of some classes, with DEFAULT for the others; or what `parse_threshold` reads, such
# as "auto": the checkpoint's own.
Threshold = float | Mapping[str, float | int] | str

PAIR = re.compile(r"(.+?)=([-+.\deE\s]+),")  # CLASS=NUMBER, the shortest name that is followed by a number


@runtime_checkable
class HasThresholds(Protocol):
    """What is used of a checkpoint or of an exported model."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def thresholds(self) -> tuple[float, ...] | None: ...


def class_thresholds(threshold: Threshold, model: HasThresholds) -> Float[np.ndarray, " C"]:
    """The threshold of each class of a model, in the order of the classes.

    Args:
        threshold: a string is read by `parse_threshold`.

    Raises:
        UsageError: one is no number or outside [0, 1]; a class is unknown; a string is not understood; or the model has
            none of its own.

    Example:
        >>> from setpiece.model.checkpoint import create
        >>> class_thresholds({"king": 0.3}, create("detr-tiny", ["ace", "king"])).tolist()
        [0.5, 0.3]
    """
    classes = model.classes
    if isinstance(threshold, str):
        threshold = parse_threshold(threshold)
    if isinstance(threshold, str):
        if model.thresholds is None:
            raise UsageError(
                "This model has no thresholds of its own, which come from validation images in training: give a "
                "number between 0 and 1."
            )
        return np.array(model.thresholds)
    by_class = threshold if isinstance(threshold, Mapping) else dict.fromkeys(classes, threshold)
    if unknown := [name for name in by_class if name not in classes]:
        raise UsageError(f"There is no class {unknown[0]!r} to give a threshold: the classes are {', '.join(classes)}.")
    if wrong := [value for value in by_class.values() if not 0 <= _number(value) <= 1]:
        raise UsageError(f"The threshold {wrong[0]} is not between 0 and 1.")
    return np.array([by_class.get(name, DEFAULT) for name in classes], np.float64)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        said = f"The threshold {value!r} is no number: give one between 0 and 1, 'auto', or a number for each class."
        raise UsageError(said) from None


def parse_threshold(text: str) -> Threshold:
    """What a user writes: "0.4", "auto", or "cat=0.4,dog=0.3". Names may have commas and equals signs.

    Raises:
        UsageError: it is none of these.

    Example:
        >>> parse_threshold("0.4"), parse_threshold("auto"), parse_threshold("cat=0.4,dog=0.3")
        (0.4, 'auto', {'cat': 0.4, 'dog': 0.3})
    """
    if text == "auto":
        return text
    try:
        if "=" not in text:
            return float(text)
        pairs = PAIR.findall(text + ",")
        if "".join(f"{name}={value}," for name, value in pairs) != text + ",":
            raise ValueError
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        said = f"The threshold {text!r} is not understood: write a number, auto, or CLASS=NUMBER,CLASS=NUMBER."
        raise UsageError(said) from None
