"""What the queries of a model look at in a forward pass: attention weights over a map, or sampling points."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from setpiece.model.layers.deformable_attention import DeformableAttention
from setpiece.model.layers.transformer import Attention, DecoderLayer
from setpiece.model.sprint import TopKQuerySelection


@dataclass
class Looks:
    """What the hooks of `looking` saw of a forward pass on one image.

    Attributes:
        maps: of every decoder layer that attends to all cells, the weight of each cell, mean over heads: (Q, S).
        points: of every decoder layer that samples, the points (Q, N, 2) in fractions of the canvas and their weights
            (Q, N), which sum to 1.
        levels: the map that each point samples, 0 the finest.
        cells: the box of the cell that each query starts from, in fractions of the image; None where none does.
    """

    maps: list[Float[Tensor, "Q S"]] = field(default_factory=list)
    points: list[tuple[Float[Tensor, "Q N 2"], Float[Tensor, "Q N"]]] = field(default_factory=list)
    levels: Int64[Tensor, " N"] | None = None
    cells: Float[Tensor, "Q 4"] | None = None


@contextmanager
def looking(model: nn.Module) -> Iterator[Looks]:
    """Watch where the queries of a model look while it runs on one image in this context."""
    looks = Looks()
    hooks: list[Any] = []
    for module in model.modules():
        if isinstance(module, DecoderLayer):
            hooks += _watch_attention(module.cross_attention, looks)
        elif isinstance(module, DeformableAttention):
            hooks += _watch_sampling(module, looks)
        elif isinstance(module, TopKQuerySelection):
            hooks.append(module.register_forward_hook(lambda _, args, best: _set_cells(looks, args[1], best)))
    try:
        yield looks
    finally:
        for hook in hooks:
            hook.remove()


def _set_cells(looks: Looks, first: Tensor, best: Tensor) -> None:
    looks.cells = first.expand(len(best), -1, -1)[0, best[0]]


def _watch_attention(attention: Attention, looks: Looks) -> list[Any]:
    """`softmax(q kᵀ / √(D/heads))` over the cells that are present, as `Attention` computes it."""
    seen: dict[str, Tensor] = {}

    def remember(name: str) -> Any:
        return lambda _, args, output: seen.update({name: output})  # noqa: ARG005 (a hook's signature)

    def after(module: Attention, args: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001
        q, k = (seen[name][0].unflatten(-1, (module.heads, -1)).transpose(0, 1).float() for name in ("query", "key"))
        score = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5  # (heads, Q, S)
        if len(args) > 3:
            score = score.masked_fill(~args[3][0], -torch.inf)
        looks.maps.append(score.softmax(-1).mean(0))

    return [
        attention.query.register_forward_hook(remember("query")),
        attention.key.register_forward_hook(remember("key")),
        attention.register_forward_hook(after),
    ]


def _watch_sampling(sampling: DeformableAttention, looks: Looks) -> list[Any]:
    """The points and weights as `DeformableAttention` computes them, all heads together."""
    seen: dict[str, Tensor] = {}
    heads, levels, points = shape = (sampling.heads, sampling.levels, sampling.points)

    def remember(name: str) -> Any:
        return lambda _, args, output: seen.update({name: output})  # noqa: ARG005 (a hook's signature)

    def after(module: DeformableAttention, args: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
        box = args[1][0][:, None, None, None]  # (Q, 1, 1, 1, 4)
        offsets = seen["offsets"][0].float().unflatten(-1, (*shape, 2))
        where = box[..., :2] + offsets * box[..., 2:] / (2 * points)  # (Q, heads, levels, points, 2)
        weights = seen["weights"][0].float().unflatten(-1, (heads, levels * points)).softmax(-1) / heads
        looks.points.append((where.flatten(1, 3), weights.flatten(1)))
        level = torch.arange(levels, device=box.device)[None, :, None]
        looks.levels = level.expand(shape).flatten()

    return [
        sampling.weights.register_forward_hook(remember("weights")),
        sampling.offsets.register_forward_hook(remember("offsets")),
        sampling.register_forward_hook(after),
    ]
