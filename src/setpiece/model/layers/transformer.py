"""Position codes, attention, encoder and decoder: feature tokens -> what each object query found in them.

`S` tokens of the feature map, `Q` object queries, `D` embedding width, `L` layers. Position codes are added to
queries and keys of every attention, never to values; every block is followed by its norm ("post-norm").

References:
    Vaswani et al., Attention Is All You Need, 2017 (arXiv 1706.03762).
    Carion et al., End-to-End Object Detection with Transformers, 2020 (arXiv 2005.12872), appendix A.4.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["Attention", "Decoder", "DecoderLayer", "Encoder", "EncoderLayer", "FeedForward", "sine_positions"]


def sine_positions(padding: Bool[Tensor, "B h w"], width: int) -> Float[Tensor, "B h w {width}"]:
    """Code each cell's row and column by sines and cosines, as fractions of the image without its padding.

    With y in (0, 2π] the cell's row over the number of real rows, channel 2i is sin(y / 10000^(4i/D)) and channel
    2i + 1 the cosine of the same; the first D/2 channels code the row, the others the column.

    Args:
        padding: True where a cell is padding.
        width: D, the number of channels; divisible by 4.

    Example:
        >>> sine_positions(torch.zeros(1, 2, 3, dtype=torch.bool), 8).shape
        torch.Size([1, 2, 3, 8])
    """
    real = (~padding).float()
    rows, columns = real.cumsum(1), real.cumsum(2)
    rows = rows / (rows[:, -1:, :] + 1e-6) * (2 * math.pi)
    columns = columns / (columns[:, :, -1:] + 1e-6) * (2 * math.pi)
    exponents = torch.arange(width // 4, device=padding.device) * (4 / width)
    angles = torch.stack([rows, columns], dim=-1)[..., None] / 10000**exponents  # (B, h, w, 2, D/4)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(3)  # (B, h, w, D)


class Attention(nn.Module):
    """Multi-head attention: softmax(q kᵀ / √(D/heads) + mask) v in every head, then a linear map of all heads together.

    The weights of a layer can be recomputed from its mask and what its `query` and `key` maps give (by forward hooks).

    Args:
        width: D.
        heads: how many heads share the D channels.
        dropout: probability of dropping an attention weight in training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        for linear in (self.query, self.key, self.value):
            # The original draws the three as one (3D, D) matrix, whose Xavier bound is smaller by √2.
            nn.init.xavier_uniform_(linear.weight, gain=2**-0.5)
            nn.init.zeros_(linear.bias)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self,
        query: Float[Tensor, "B N D"],
        key: Float[Tensor, "B S D"],
        value: Float[Tensor, "B S D"],
        mask: Bool[Tensor, "B 1 1 S"] | Float[Tensor, "B heads N S"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        """Attend from `query` to `key`. A boolean `mask` is True where allowed; a float one is added to the logits."""
        q, k, v = (
            linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, N or S, D/heads)
            for linear, x in ((self.query, query), (self.key, key), (self.value, value))
        )
        dropout = self.dropout if self.training else 0.0
        on_cpu = q.device.type == "cpu"  # where its gradient takes five times as long in bfloat16 as in float32
        with torch.autocast(q.device.type, enabled=not on_cpu and torch.is_autocast_enabled(q.device.type)):
            if on_cpu:
                q, k, v = q.float(), k.float(), v.float()
            heads = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.output(heads.transpose(1, 2).flatten(2))


class FeedForward(nn.Sequential):
    """Two linear maps with a ReLU between them, applied to every token alone."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        first, second = nn.Linear(width, hidden), nn.Linear(hidden, width)
        super().__init__(first, nn.ReLU(inplace=True), nn.Dropout(dropout), second)
        nn.init.xavier_uniform_(first.weight)
        nn.init.xavier_uniform_(second.weight)


class EncoderLayer(nn.Module):
    """Self-attention among the tokens of the feature map, then a feed-forward network."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = Attention(width, heads, dropout)
        self.self_attention_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden, dropout)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "B S D"],
        positions: Float[Tensor, "#B S D"],
        present: Bool[Tensor, "B 1 1 S"] | None,
    ) -> Float[Tensor, "B S D"]:
        """One step of the tokens `x`; `present` is False where one is padding (None: nowhere)."""
        coded = x + positions
        x = self.self_attention_norm(x + self.dropout(self.self_attention(coded, coded, x, present)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


class DecoderLayer(nn.Module):
    """Self-attention among the queries, cross-attention to the tokens, then a feed-forward network."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = Attention(width, heads, dropout)
        self.self_attention_norm = nn.LayerNorm(width)
        self.cross_attention = Attention(width, heads, dropout)
        self.cross_attention_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden, dropout)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "B Q D"],
        query_positions: Float[Tensor, "B Q D"],
        memory: Float[Tensor, "B S D"],
        coded_memory: Float[Tensor, "B S D"],
        present: Bool[Tensor, "B 1 1 S"],
    ) -> Float[Tensor, "B Q D"]:
        """One step of the queries `x`; `coded_memory` is the memory plus its position codes."""
        coded = x + query_positions
        x = self.self_attention_norm(x + self.dropout(self.self_attention(coded, coded, x)))
        found = self.cross_attention(x + query_positions, coded_memory, memory, present)
        x = self.cross_attention_norm(x + self.dropout(found))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


class Encoder(nn.Module):
    """A stack of encoder layers.

    Args:
        layers: how many.
        width: D, the embedding width.
        heads: attention heads.
        hidden: width inside the feed-forward networks.
        dropout: probability of dropping an activation in training.
    """

    def __init__(self, *, layers: int, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.ModuleList(EncoderLayer(width, heads, hidden, dropout) for _ in range(layers))

    def forward(
        self,
        x: Float[Tensor, "B S D"],
        positions: Float[Tensor, "B S D"],
        present: Bool[Tensor, "B 1 1 S"],
    ) -> Float[Tensor, "B S D"]:
        """Let the tokens `x` see each other; `present` is False where a token is padding."""
        for layer in self.layers:
            x = layer(x, positions, present)
        return x


class Decoder(nn.Module):
    """A stack of decoder layers whose outputs all go through one shared norm.

    Args:
        layers: L, how many.
        width: D, the embedding width.
        heads: attention heads.
        hidden: width inside the feed-forward networks.
        dropout: probability of dropping an activation in training.
    """

    def __init__(self, *, layers: int, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, heads, hidden, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        query_positions: Float[Tensor, "B Q D"],
        memory: Float[Tensor, "B S D"],
        positions: Float[Tensor, "B S D"],
        present: Bool[Tensor, "B 1 1 S"],
    ) -> Float[Tensor, "L B Q D"]:
        """Attend from the queries, which start from zeros, to `memory`; the normed output of every layer."""
        x = torch.zeros_like(query_positions)
        coded_memory = memory + positions
        states = []
        for layer in self.layers:
            x = layer(x, query_positions, memory, coded_memory, present)
            states.append(x)
        return self.norm(torch.stack(states))
