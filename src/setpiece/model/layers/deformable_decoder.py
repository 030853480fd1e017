"""The decoder layer of `sprint`: relation embedding, self-attention with a relation bias, deformable attention."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from setpiece.model.layers.deformable_attention import DeformableAttention
from setpiece.model.layers.relation import FEATURE_SLOPES, distances, relation_bias, relation_features
from setpiece.model.layers.transformer import Attention, FeedForward

__all__ = ["DeformableDecoderLayer"]


class DeformableDecoderLayer(nn.Module):
    """Relation embedding, self-attention with relation bias, deformable attention, feed-forward network."""

    def __init__(self, width: int, heads: int, points: int, hidden: int) -> None:
        super().__init__()
        self.relation_embedding = nn.Linear(len(FEATURE_SLOPES), width, bias=False)
        nn.init.zeros_(self.relation_embedding.weight)
        self.self_attention = Attention(width, heads, dropout=0.0)
        self.self_attention_norm = nn.LayerNorm(width)
        self.deformable_attention = DeformableAttention(width, heads, levels=3, points=points)
        self.deformable_attention_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden, dropout=0.0)
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(
        self,
        x: Float[Tensor, "B Q D"],
        position: Float[Tensor, "B Q D"],
        reference: Float[Tensor, "B Q 4"],
        maps: list[Tensor],
    ) -> Float[Tensor, "B Q D"]:
        """One step of the queries `x`, best proposal first, whose `reference` boxes are in fractions of the canvas."""
        distance = distances(reference)
        x = x + self.relation_embedding(relation_features(distance))
        coded = x + position
        relation = relation_bias(distance, self.self_attention.heads)
        x = self.self_attention_norm(x + self.self_attention(coded, coded, x, relation))
        x = self.deformable_attention_norm(x + self.deformable_attention(x + position, reference, maps))
        return self.feed_forward_norm(x + self.feed_forward(x))
