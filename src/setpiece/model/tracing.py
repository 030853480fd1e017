"""What object queries do in a forward pass, recorded by hooks: where they start and what they attend to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from setpiece.model.layers.deformable_attention import DeformableAttention
from setpiece.model.layers.query_selection import TopKQuerySelection
from setpiece.model.layers.transformer import Attention

__all__ = ["AttentionCall", "QueryTrace", "SamplingCall", "tracing_queries"]


@dataclass
class QueryTrace:
    """What was recorded. A list has one entry for each decoder layer; what a model does not do stays empty or None.

    Attributes:
        attention: calls of cross-attention to all cells.
        sampling: calls of deformable attention.
        map_size: (h, w) of the feature map whose cells `attention` attends to, row by row.
        origins: the cell that each query starts from, counted through all maps.
        reference_boxes: the box that it starts from: cxcywh in fractions of the image.
    """

    attention: list[AttentionCall] = field(default_factory=list)
    sampling: list[SamplingCall] = field(default_factory=list)
    map_size: tuple[int, int] | None = None
    origins: Int64[Tensor, "B Q"] | None = None
    reference_boxes: Float[Tensor, "B Q 4"] | None = None


@dataclass(frozen=True)
class AttentionCall:
    """One call of `Attention`: what its query and key maps gave, and the mask."""

    query: Tensor  # (B, N, D)
    key: Tensor  # (B, S, D)
    mask: Tensor | None
    heads: int

    def weights(self) -> Float[Tensor, "B N S"]:
        """`softmax(q kᵀ / √(D/heads))` over the cells that are present, mean over heads."""
        q, k = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2).float() for x in (self.query, self.key))
        logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5  # (B, heads, N, S)
        if self.mask is not None:
            logits = logits.masked_fill(~self.mask, -torch.inf)
        return logits.softmax(-1).mean(1)


@dataclass(frozen=True)
class SamplingCall:
    """One call of `DeformableAttention`: what its linear maps gave, and the reference boxes."""

    offsets: Tensor  # (B, Q, heads · levels · points · 2)
    logits: Tensor  # (B, Q, heads · levels · points)
    reference: Tensor  # (B, Q, 4)
    shape: tuple[int, int, int]  # heads, levels, points

    def points(self) -> Float[Tensor, "B Q N 2"]:
        """The sampling points of all heads, levels and points, in fractions of the padded canvas."""
        box = self.reference[:, :, None, None, None]  # (B, Q, 1, 1, 1, 4)
        offsets = self.offsets.float().unflatten(-1, (*self.shape, 2))
        return (box[..., :2] + offsets * box[..., 2:] / (2 * self.shape[2])).flatten(2, 4)

    def weights(self) -> Float[Tensor, "B Q N"]:
        """The weight of each point; those of a query sum to 1."""
        heads, levels, points = self.shape
        return (self.logits.float().unflatten(-1, (heads, levels * points)).softmax(-1) / heads).flatten(2)

    def levels(self) -> Int64[Tensor, " N"]:
        """The map that each point samples, 0 the finest."""
        level = torch.arange(self.shape[1], device=self.offsets.device)[None, :, None]
        return level.expand(self.shape).flatten()


@contextmanager
def tracing_queries(
    *,
    attention: Sequence[Attention] = (),
    attended: nn.Module | None = None,
    sampling: Sequence[DeformableAttention] = (),
    selection: TopKQuerySelection | None = None,
) -> Iterator[QueryTrace]:
    """Record one forward pass of these parts of a model.

    Args:
        attention: the cross-attention of each decoder layer.
        attended: what gives the feature map (B, D, h, w) that they attend to.
        sampling: the deformable attention of each decoder layer.
        selection: what chooses the cells that queries start from.
    """
    trace = QueryTrace()
    hooks: list[Any] = []
    for module in attention:
        hooks += _record_attention(module, trace)
    if attended is not None:
        hooks.append(attended.register_forward_hook(lambda _, args, m: _record_map_size(trace, m)))  # noqa: ARG005
    for deformable in sampling:
        hooks += _record_sampling(deformable, trace)
    if selection is not None:
        hooks.append(selection.register_forward_hook(lambda _, args, cells: _record_selection(trace, args[1], cells)))
    try:
        yield trace
    finally:
        for hook in hooks:
            hook.remove()


def _record_selection(trace: QueryTrace, reference: Tensor, cells: Tensor) -> None:
    trace.origins = cells
    trace.reference_boxes = reference.expand(len(cells), -1, -1).gather(1, cells[..., None].expand(-1, -1, 4))


def _record_map_size(trace: QueryTrace, feature_map: Tensor) -> None:
    trace.map_size = (feature_map.shape[2], feature_map.shape[3])


def _record_attention(attention: Attention, trace: QueryTrace) -> list[Any]:
    outputs: dict[nn.Module, Tensor] = {}

    def called(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 (a hook's signature)
        mask = args[3] if len(args) > 3 else None
        trace.attention.append(AttentionCall(outputs[attention.query], outputs[attention.key], mask, attention.heads))

    return [*_remember((attention.query, attention.key), outputs), attention.register_forward_hook(called)]


def _record_sampling(attention: DeformableAttention, trace: QueryTrace) -> list[Any]:
    outputs: dict[nn.Module, Tensor] = {}
    shape = (attention.heads, attention.levels, attention.points)

    def called(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 (a hook's signature)
        trace.sampling.append(SamplingCall(outputs[attention.offsets], outputs[attention.weights], args[1], shape))

    return [*_remember((attention.offsets, attention.weights), outputs), attention.register_forward_hook(called)]


def _remember(modules: Sequence[nn.Module], outputs: dict[nn.Module, Tensor]) -> list[Any]:
    def remember(module: nn.Module, args: Any, output: Tensor) -> None:  # noqa: ARG001 (a hook's signature)
        outputs[module] = output

    return [module.register_forward_hook(remember) for module in modules]
