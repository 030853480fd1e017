"""`sprint`: our detection transformer that converges in minutes, on two cores or a GPU.

```
image -> backbone -> maps of stride 8, 16, 32 -> fusion -> cells of all three maps
      -> proposals: a class per cell; the best Q become queries (content, reference box)
      -> decoder layers: queries see each other, near and better ones first, sample the maps around their box, refine it
```

The proposals are the first prediction set, each decoder layer is a further one; all are trained by the same set loss.
What makes it fast: queries start from where the image says something is, look only around their box, are told which
others may be after the same object, and a box is corrected layer by layer instead of being found anew.

References:
    Zhu et al., Deformable DETR, arXiv 2010.04159 (sampling attention, refinement, queries from proposals).
    Zhao et al., DETRs Beat YOLOs on Real-time Object Detection, arXiv 2304.08069 (encoder on the coarsest map, fusion).
    Peng et al., D-FINE, arXiv 2410.13842 (sampling attention without a value projection).
    For what queries are told about each other see `model.relation`.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

from setpiece.errors import UsageError
from setpiece.model.backbones.multi_scale import PyramidBackbone, ResNetPyramid, SmallCNN
from setpiece.model.base import SetModel
from setpiece.model.layers.deformable_attention import DeformableAttention
from setpiece.model.layers.hybrid_encoder import HybridEncoder
from setpiece.model.layers.relation import FEATURE_SLOPES, distances, relation_bias, relation_features
from setpiece.model.layers.transformer import Attention, FeedForward
from setpiece.records import Outputs

PRIOR = 0.01  # probability that a class head starts with
INITIAL_SIDE = 1.6  # of the box that a cell starts from, in cells


class Sprint(SetModel):
    """Images -> proposals -> refined predictions, in 1 + `layers` prediction sets.

    Args:
        backbone: image -> maps of stride 8, 16 and 32.
        fusion: the maps see each other; all come out with the same width D.
        layers: decoder layers.
        heads: of all their attention.
        points: that each head looks at in each map, around a query's box.
        hidden: width inside the feed-forward networks.
        classes: C.
        queries: Q, the largest number of objects that can be found in one image.

    Example:
        >>> model = sprint_n(3, queries=10).eval()
        >>> outputs = model(torch.rand(2, 3, 64, 96), torch.zeros(2, 64, 96, dtype=torch.bool))
        >>> outputs.logits.shape, outputs.boxes.shape
        (torch.Size([3, 2, 10, 3]), torch.Size([3, 2, 10, 4]))
    """

    form = "sigmoid"

    def __init__(
        self,
        backbone: PyramidBackbone,
        fusion: HybridEncoder,
        *,
        layers: int,
        heads: int,
        points: int,
        hidden: int,
        classes: int,
        queries: int,
    ) -> None:
        super().__init__()
        width = fusion.width
        self.num_queries = queries
        self.backbone = backbone
        self.fusion = fusion
        self.proposal = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.ranking = TopKQuerySelection(queries)
        self.layers = nn.ModuleList(DeformableDecoderLayer(width, heads, points, hidden) for _ in range(layers))
        self.box_position = nn.Sequential(nn.Linear(4, 2 * width), nn.ReLU(inplace=True), nn.Linear(2 * width, width))
        self.class_heads = nn.ModuleList(_class_head(width, classes) for _ in range(1 + layers))
        self.box_heads = nn.ModuleList(_box_head(width) for _ in range(1 + layers))

    def forward(self, images: Float[Tensor, "B 3 H W"], padding: Bool[Tensor, "B H W"]) -> Outputs:
        """Predict a set for each image: the proposals, then every decoder layer.

        Args:
            images: RGB, normalised by the checkpoint's mean and standard deviation; 0 where padded. H and W are
                multiples of 32.
            padding: True where a pixel is padding, at the right and at the bottom.

        Returns:
            Logits (1 + layers, B, Q, C) and boxes (1 + layers, B, Q, 4), cxcywh in fractions of each image without
            its padding; both float32, also under autocast.

        Raises:
            UsageError: H or W is no multiple of 32.
        """
        if images.shape[-2] % 32 or images.shape[-1] % 32:
            raise UsageError(f"Images of {images.shape[-2]} x {images.shape[-1]}: pad both to multiples of 32.")
        maps = self.fusion(self.backbone(images), padding)
        extent = valid_ratios(padding)  # (B, 4)
        content, boxes, logits = self._propose(maps, extent)
        all_logits, all_boxes = [logits], [boxes]
        content = content.detach()
        for layer, class_head, box_head in zip(self.layers, self.class_heads[1:], self.box_heads[1:], strict=True):
            reference = all_boxes[-1].detach()
            content = layer(content, self.box_position(reference), reference * extent[:, None], maps)
            all_logits.append(class_head(content).float())
            all_boxes.append(refine(reference, box_head(content)))
        return Outputs(torch.stack(all_logits), torch.stack(all_boxes))

    def _propose(
        self, maps: list[Tensor], extent: Float[Tensor, "B 4"]
    ) -> tuple[Float[Tensor, "B Q D"], Float[Tensor, "B Q 4"], Float[Tensor, "B Q C"]]:
        """The content, box and logits of the Q cells that are most likely some class's object.

        Classes are read from the maps as they are; content, which is for boxes, is computed for the Q alone.
        """
        cells = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], 1)  # (B, S, D)
        logits = self.class_heads[0](cells).float()
        first = initial_reference_boxes(maps)[None] / extent[:, None]  # (B, S, 4) in fractions of each image
        best = self.ranking(logits.detach(), first)[..., None]  # (B, Q, 1)
        cells, logits, first = (x.gather(1, best.expand(-1, -1, x.shape[-1])) for x in (cells, logits, first))
        content = self.proposal(cells)
        return content, refine(first, self.box_heads[0](content)), logits

    def replace_class_head(self, classes: int) -> None:
        """Put new, untrained heads for `classes` in the place of all class heads; all else stays."""
        device = next(self.parameters()).device
        self.class_heads = nn.ModuleList(_class_head(self.fusion.width, classes).to(device) for _ in self.class_heads)


class TopKQuerySelection(nn.Module):
    """Which cells become queries: the best first. Query q of two images is the same rank, not the same cell.

    It has no parameters; it is a module so that a forward hook sees which cell each query started from.

    Args:
        queries: Q, how many cells are taken at most.
    """

    def __init__(self, queries: int) -> None:
        super().__init__()
        self.queries = queries

    def forward(self, logits: Float[Tensor, "B S C"], first: Float[Tensor, "B S 4"]) -> Int64[Tensor, "B Q"]:
        """The cells that are most likely some class's object, of those that have their centre inside the image.

        Where fewer than Q have, cells of the padding follow, whose boxes start at the image's border.
        """
        inside = (first[..., :2] < 1).all(-1)
        score = logits.amax(-1).masked_fill(~inside, -torch.inf)
        return score.topk(min(self.queries, score.shape[1]), dim=1, sorted=True).indices


class DeformableDecoderLayer(nn.Module):
    """Queries are told of better ones near them and see each other, sample the maps, and go through a small network."""

    def __init__(self, width: int, heads: int, points: int, hidden: int) -> None:
        super().__init__()
        self.twin = nn.Linear(len(FEATURE_SLOPES), width, bias=False)
        nn.init.zeros_(self.twin.weight)
        self.self_attention = Attention(width, heads, dropout=0.0)
        self.self_attention_norm = nn.LayerNorm(width)
        self.sampling = DeformableAttention(width, heads, levels=3, points=points)
        self.sampling_norm = nn.LayerNorm(width)
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
        x = x + self.twin(relation_features(distance))
        coded = x + position
        relation = relation_bias(distance, self.self_attention.heads)
        x = self.self_attention_norm(x + self.self_attention(coded, coded, x, relation))
        x = self.sampling_norm(x + self.sampling(x + position, reference, maps))
        return self.feed_forward_norm(x + self.feed_forward(x))


def valid_ratios(padding: Bool[Tensor, "B H W"]) -> Float[Tensor, "B 4"]:
    """(w, h, w, h): how much of the padded canvas each image fills; image fractions times it are canvas fractions."""
    real = (~padding).float()
    extent = torch.stack([real[:, 0].mean(-1), real[:, :, 0].mean(-1)], -1)
    return extent.repeat(1, 2)


def initial_reference_boxes(maps: list[Tensor]) -> Float[Tensor, "S 4"]:
    """The box that each cell of all maps starts from: at its centre, a little larger than it; canvas fractions."""
    boxes = []
    for m in maps:
        h, w = m.shape[-2:]
        y = (torch.arange(h, device=m.device) + 0.5) / h
        x = (torch.arange(w, device=m.device) + 0.5) / w
        cells = [
            x.expand(h, w),
            y[:, None].expand(h, w),
            *(torch.full_like(x, INITIAL_SIDE / n).expand(h, w) for n in (w, h)),
        ]
        boxes.append(torch.stack(cells, -1).flatten(0, 1))
    return torch.cat(boxes)


def refine(reference: Float[Tensor, "*N 4"], delta: Float[Tensor, "*N 4"]) -> Float[Tensor, "*N 4"]:
    """A box corrected: its centre c by units of its sides s, to c + s · Δc, and its sides to sigmoid(logit(s) + Δs).

    So the same correction is right wherever in its image an object lies. Deformable DETR's sigmoid(logit(c) + Δc) moves
    a box less far the nearer it is to the border, which a CNN does not see. A centre that would leave the image is put
    onto its border, with the gradient that it had before: one of 0 would hold it there.

    Example:
        >>> refine(torch.tensor([0.5, 0.9, 0.2, 0.4]), torch.tensor([0.5, 1.0, 0.0, 0.0]))
        tensor([0.6000, 1.0000, 0.2000, 0.4000])
    """
    centre, sides = reference.split(2, -1)
    shift, growth = delta.float().split(2, -1)
    moved = centre + sides * shift
    within = moved.clamp(0, 1).detach() + (moved - moved.detach())
    return torch.cat([within, (sides.logit(eps=1e-4) + growth).sigmoid()], -1)


def _class_head(width: int, classes: int) -> nn.Linear:
    head = nn.Linear(width, classes)
    nn.init.constant_(head.bias, -math.log((1 - PRIOR) / PRIOR))
    return head


def _box_head(width: int) -> nn.Sequential:
    """Starts by leaving the reference as it is."""
    last = nn.Linear(width, 4)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, width), nn.ReLU(inplace=True), last
    )


def sprint_n(classes: int, *, queries: int = 100, backbone: PyramidBackbone | None = None) -> Sprint:
    """Small enough to be trained from scratch on two CPU cores in minutes."""
    backbone = backbone or SmallCNN(stem=32, channels=(48, 96, 128), depths=(1, 3, 1))
    return Sprint(
        backbone=backbone,
        fusion=HybridEncoder(backbone.channels, width=96, heads=8, hidden=192),
        layers=2,
        heads=8,
        points=2,
        hidden=192,
        classes=classes,
        queries=queries,
    )


def sprint_s(classes: int, *, queries: int = 200, backbone: PyramidBackbone | None = None) -> Sprint:
    """On ResNet-18, to be fine-tuned from its ImageNet weights on a small GPU."""
    backbone = backbone or ResNetPyramid(resnet18)
    return Sprint(
        backbone=backbone,
        fusion=HybridEncoder(backbone.channels, width=192, heads=8, hidden=512),
        layers=3,
        heads=8,
        points=4,
        hidden=512,
        classes=classes,
        queries=queries,
    )


def sprint_m(classes: int, *, queries: int = 300, backbone: PyramidBackbone | None = None) -> Sprint:
    """On ResNet-50, to be fine-tuned from its ImageNet weights on a GPU."""
    backbone = backbone or ResNetPyramid(resnet50)
    return Sprint(
        backbone=backbone,
        fusion=HybridEncoder(backbone.channels, width=256, heads=8, hidden=1024),
        layers=4,
        heads=8,
        points=4,
        hidden=1024,
        classes=classes,
        queries=queries,
    )
