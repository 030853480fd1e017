"""`sprint`: our detection transformer that converges in minutes, on two cores or a GPU.

```
image -> backbone -> maps of stride 8, 16, 32 -> hybrid encoder -> cells of all three maps
      -> proposals: class scores of every cell; the best Q become object queries (content, reference box)
      -> decoder layers: relation embedding, self-attention with a relation bias, deformable attention, a refined box
```

The proposals are the first prediction set, each decoder layer is a further one. One Hungarian loss trains them all.
Three things make it fast. Queries start where the image shows something. They attend to a few points around their
reference box. Each layer refines the box of the layer before instead of predicting a new one.

References:
    Zhu et al., Deformable DETR, arXiv 2010.04159 (deformable attention, box refinement, two-stage queries).
    Zhao et al., DETRs Beat YOLOs on Real-time Object Detection, arXiv 2304.08069 (hybrid encoder, query selection).
    Peng et al., D-FINE, arXiv 2410.13842 (deformable attention without a value projection).
    The relation embedding and bias: see `model.layers.relation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

from setpiece.errors import UsageError
from setpiece.model.backbones.multi_scale import PyramidBackbone, ResNetPyramid, SmallCNN
from setpiece.model.base import Role, SetModel, changed_classes, layer_names
from setpiece.model.layers.deformable_decoder import DeformableDecoderLayer
from setpiece.model.layers.hybrid_encoder import HybridEncoder
from setpiece.model.layers.query_selection import TopKQuerySelection
from setpiece.model.layers.reference_boxes import initial_reference_boxes, refine, valid_ratios
from setpiece.model.tracing import QueryTrace, tracing_queries
from setpiece.records import Outputs

__all__ = ["Sprint", "sprint_m", "sprint_n", "sprint_s"]

PRIOR = 0.01  # probability that a class head starts with


class Sprint(SetModel):
    """Images -> proposals -> refined predictions, in 1 + `layers` prediction sets.

    Args:
        backbone: image -> maps of stride 8, 16 and 32.
        hybrid_encoder: fuses the maps; all come out with the same width D.
        layers: decoder layers.
        heads: of all their attention.
        points: that each head samples in each map, around a query's reference box.
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
    query_slots = "top-k"
    roles: ClassVar[Mapping[str, Role]] = {
        "backbone": "backbone",
        "hybrid_encoder": "encoder",
        "query_selection": "queries",
        "proposal": "queries",
        "box_position": "decoder",
        "layers": "decoder",
        "class_heads": "heads",
        "box_heads": "heads",
    }
    former_names = (
        (r"^fusion\.", "hybrid_encoder."),
        (r"^(layers\.\d+)\.sampling(_norm)?\.", r"\1.deformable_attention\2."),
        (r"^(layers\.\d+)\.twin\.", r"\1.relation_embedding."),
    )

    def __init__(
        self,
        backbone: PyramidBackbone,
        hybrid_encoder: HybridEncoder,
        *,
        layers: int,
        heads: int,
        points: int,
        hidden: int,
        classes: int,
        queries: int,
    ) -> None:
        super().__init__()
        width = hybrid_encoder.width
        self.backbone = backbone
        self.hybrid_encoder = hybrid_encoder
        self.proposal = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.query_selection = TopKQuerySelection(queries)
        self.num_queries = queries
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
        maps = self.hybrid_encoder(self.backbone(images), padding)
        ratios = valid_ratios(padding)  # (B, 4)
        content, boxes, logits = self._propose(maps, ratios)
        all_logits, all_boxes = [logits], [boxes]
        content = content.detach()
        for layer, class_head, box_head in zip(self.layers, self.class_heads[1:], self.box_heads[1:], strict=True):
            reference = all_boxes[-1].detach()
            content = layer(content, self.box_position(reference), reference * ratios[:, None], maps)
            all_logits.append(class_head(content).float())
            all_boxes.append(refine(reference, box_head(content)))
        return Outputs(torch.stack(all_logits), torch.stack(all_boxes))

    def _propose(
        self, maps: list[Tensor], ratios: Float[Tensor, "B 4"]
    ) -> tuple[Float[Tensor, "B Q D"], Float[Tensor, "B Q 4"], Float[Tensor, "B Q C"]]:
        """The content, box and logits of the Q cells with the highest class score.

        The class head reads the maps directly. Content, which only the boxes train, is computed for these Q cells only.
        """
        cells = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], 1)  # (B, S, D)
        logits = self.class_heads[0](cells).float()
        reference = initial_reference_boxes(maps)[None] / ratios[:, None]  # (B, S, 4) in fractions of each image
        best = self.query_selection(logits.detach(), reference)[..., None]  # (B, Q, 1)
        cells, logits, reference = (x.gather(1, best.expand(-1, -1, x.shape[-1])) for x in (cells, logits, reference))
        content = self.proposal(cells)
        return content, refine(reference, self.box_heads[0](content)), logits

    @property
    def prediction_sets(self) -> tuple[str, ...]:
        """The proposals, then each decoder layer."""
        return ("proposals", *layer_names(len(self.layers)))

    def change_queries(self, count: int) -> None:
        """Take `count` cells of each image: queries are not learned."""
        self.num_queries = self.query_selection.queries = count

    def class_head_parameters(self) -> Iterable[nn.Parameter]:
        """Of the class head of each prediction set."""
        return self.class_heads.parameters()

    def tracing(self) -> AbstractContextManager[QueryTrace]:
        """Record which cells become queries, and the sampling points of every layer's deformable attention."""
        layers = cast(Iterable[DeformableDecoderLayer], self.layers)
        sampling = [layer.deformable_attention for layer in layers]
        return tracing_queries(sampling=sampling, selection=self.query_selection)

    def change_classes(self, rows: Sequence[int | None]) -> None:
        """Change the class head of every prediction set."""
        heads = cast(Iterable[nn.Linear], self.class_heads)
        self.class_heads = nn.ModuleList(changed_classes(head, rows, head.out_features) for head in heads)


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
        hybrid_encoder=HybridEncoder(backbone.channels, width=96, heads=8, hidden=192),
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
        hybrid_encoder=HybridEncoder(backbone.channels, width=192, heads=8, hidden=512),
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
        hybrid_encoder=HybridEncoder(backbone.channels, width=256, heads=8, hidden=1024),
        layers=4,
        heads=8,
        points=4,
        hidden=1024,
        classes=classes,
        queries=queries,
    )
