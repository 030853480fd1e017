"""A model's module tree as it ran: what each part is, what went in and what came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from setpiece.model.base import SetModel

__all__ = ["ShapeTrace", "parts_of", "shapes", "tracing_shapes"]

DEPTH = 3  # parts of parts of parts

Shapes = list[list[int]]


@dataclass
class ShapeTrace:
    """What was seen of each module in a forward pass: its place in the order, its calls, the first call's shapes."""

    order: dict[nn.Module, int] = field(default_factory=dict)
    calls: dict[nn.Module, int] = field(default_factory=dict)
    inputs: dict[nn.Module, Shapes] = field(default_factory=dict)
    outputs: dict[nn.Module, Shapes] = field(default_factory=dict)


@contextmanager
def tracing_shapes(model: nn.Module) -> Iterator[ShapeTrace]:
    """Watch every module of a model that runs in this context."""
    trace = ShapeTrace()

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        trace.calls[module] = trace.calls.get(module, 0) + 1
        if module not in trace.order:
            trace.order[module] = len(trace.order)
            trace.inputs[module] = shapes((args, kwargs))

    def after(module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG001 (a hook's signature)
        trace.outputs.setdefault(module, shapes(output))

    hooks = [module.register_forward_pre_hook(before, with_kwargs=True) for module in model.modules()]
    hooks += [module.register_forward_hook(after) for module in model.modules()]
    try:
        yield trace
    finally:
        for hook in hooks:
            hook.remove()


def shapes(value: Any) -> Shapes:
    """The shape of every tensor in a tensor, record, list or dictionary, in their order.

    Example:
        >>> import torch
        >>> shapes((torch.zeros(2, 3), {"a": [torch.zeros(1)], "b": None}))
        [[2, 3], [1]]
    """
    if isinstance(value, Tensor):
        return [list(value.shape)]
    if is_dataclass(value):
        return shapes([getattr(value, one.name) for one in fields(value)])
    if isinstance(value, Mapping):
        return shapes(list(value.values()))
    if isinstance(value, list | tuple):
        return [shape for part in value for shape in shapes(part)]
    return []


def parts_of(model: SetModel, trace: ShapeTrace) -> list[dict[str, Any]]:
    """The tree of a model's parts, in the order in which they ran.

    Where a list holds one module for each prediction set, the set's name tells them apart.
    """
    layers = model.prediction_sets
    return [
        {"role": model.roles.get(path.split(".")[0], "other"), **_describe(module, path, title, trace, layers, DEPTH)}
        for path, title, module in _children(model, "", trace, layers)
    ]


def _describe(
    module: nn.Module, path: str, title: str, trace: ShapeTrace, layers: Sequence[str], depth: int
) -> dict[str, Any]:
    weight = getattr(module, "weight", None)
    given = [list(weight.shape)] if isinstance(weight, Tensor) else []  # of a part that is read, not called
    children = _children(module, path, trace, layers) if depth > 1 else []
    return {
        "path": path,
        "title": title,
        "kind": type(module).__name__.lstrip("_"),
        "about": _about(module),
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "calls": trace.calls.get(module, 0),
        "inputs": trace.inputs.get(module, []),
        "outputs": trace.outputs.get(module, given),
        "parts": [_describe(child, where, name, trace, layers, depth - 1) for where, name, child in children],
    }


def _children(
    module: nn.Module, path: str, trace: ShapeTrace, layers: Sequence[str]
) -> list[tuple[str, str, nn.Module]]:
    """(path, title, module) of the children, in the order in which they ran; a list is replaced by its items."""
    found = []
    for name, child in module.named_children():
        where = f"{path}.{name}" if path else name
        if isinstance(child, nn.ModuleList):
            of_sets = not path and len(child) == len(layers)  # one for each prediction set
            for index, item in enumerate(child):
                which = f"of {layers[index]}" if of_sets else f"{index + 1}"
                found.append((f"{where}.{index}", f"{_words(name).removesuffix('s')} {which}", item))
        else:
            found.append((where, type(child).__name__ if name.isdigit() else _words(name), child))
    places: list[float] = []
    later = float(len(trace.order))
    for _, _, child in reversed(found):  # what never ran stands before what follows it in the model
        later = trace.order.get(child, later - 0.5)
        places.append(later)
    order = sorted(range(len(found)), key=lambda index: places[len(found) - 1 - index])
    return [found[index] for index in order]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _about(module: nn.Module) -> str:
    """What its author says of it in one line; of torch's own modules, their settings."""
    if type(module).__module__.startswith("setpiece."):
        return (type(module).__doc__ or "").strip().split("\n")[0]
    return module.extra_repr() if not list(module.children()) else ""
