"""The paper's DETR, and its presets: each one's constructor call is the diagram of the model.

References:
    Carion et al., End-to-End Object Detection with Transformers, 2020 (arXiv 2005.12872).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, cast

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import resnet50, resnet101

from setpiece.model.backbones.single_scale import ResNetBackbone, TinyBackbone
from setpiece.model.base import Role, SetModel, changed_classes, layer_names
from setpiece.model.layers.transformer import Decoder, DecoderLayer, Encoder, sine_positions
from setpiece.model.tracing import QueryTrace, tracing_queries
from setpiece.records import Outputs

__all__ = ["Detr", "detr_r50", "detr_r50_dc5", "detr_r101", "detr_r101_dc5", "detr_tiny"]


class Detr(SetModel):
    """Images -> a set of Q predictions: backbone, encoder, decoder with learned queries, and two heads.

    Args:
        backbone: image -> feature map; its parameters are the ones under `backbone.`.
        encoder: sees the feature map as tokens.
        decoder: turns the queries into what they found.
        classes: C; the class head has C + 1 outputs, no-object last.
        queries: Q, the largest number of objects that can be found in one image.

    Example:
        >>> import torch
        >>> model = detr_tiny(3, queries=5).eval()
        >>> outputs = model(torch.rand(2, 3, 64, 96), torch.zeros(2, 64, 96, dtype=torch.bool))
        >>> outputs.logits.shape, outputs.boxes.shape
        (torch.Size([3, 2, 5, 4]), torch.Size([3, 2, 5, 4]))
    """

    form = "softmax"
    query_slots = "learned"
    roles: ClassVar[Mapping[str, Role]] = {
        "backbone": "backbone",
        "input_projection": "encoder",
        "encoder": "encoder",
        "queries": "queries",
        "decoder": "decoder",
        "class_head": "heads",
        "box_head": "heads",
    }

    def __init__(
        self,
        backbone: ResNetBackbone | TinyBackbone,
        encoder: Encoder,
        decoder: Decoder,
        *,
        classes: int,
        queries: int,
    ) -> None:
        super().__init__()
        width = encoder.width
        self.num_queries = queries
        self.backbone = backbone
        self.input_projection = nn.Conv2d(backbone.channels, width, kernel_size=1)
        self.encoder = encoder
        self.queries = nn.Embedding(queries, width)
        self.decoder = decoder
        self.class_head = nn.Linear(width, classes + 1)
        self.box_head = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, 4),
        )

    def forward(self, images: Float[Tensor, "B 3 H W"], padding: Bool[Tensor, "B H W"]) -> Outputs:
        """Predict a set for each image, once per decoder layer.

        Args:
            images: RGB, normalised by the checkpoint's mean and standard deviation; 0 where padded.
            padding: True where a pixel is padding. The top left pixel of an image is never padding.

        Returns:
            Logits (L, B, Q, C + 1) and boxes (L, B, Q, 4), cxcywh in fractions of each image without its
            padding; both float32, also under autocast.
        """
        features = self.input_projection(self.backbone(images))  # (B, D, h, w)
        padding = interpolate(padding[:, None].float(), size=features.shape[-2:])[:, 0].bool()  # (B, h, w)
        positions = sine_positions(padding, self.input_projection.out_channels).flatten(1, 2)  # (B, S, D)
        present = ~padding.flatten(1)[:, None, None]  # (B, 1, 1, S)
        memory = self.encoder(features.flatten(2).transpose(1, 2), positions, present)  # (B, S, D)
        queries = self.queries.weight.expand(images.shape[0], -1, -1)  # (B, Q, D)
        states = self.decoder(queries, memory, positions, present)  # (L, B, Q, D)
        return Outputs(self.class_head(states).float(), self.box_head(states).float().sigmoid())

    @property
    def prediction_sets(self) -> tuple[str, ...]:
        """Each decoder layer."""
        return layer_names(len(self.decoder.layers))

    def class_head_parameters(self) -> Iterable[nn.Parameter]:
        """Of the one class head that all layers share."""
        return self.class_head.parameters()

    def tracing(self) -> AbstractContextManager[QueryTrace]:
        """Record the cross-attention of every decoder layer."""
        layers = cast(Iterable[DecoderLayer], self.decoder.layers)
        cross_attention = [layer.cross_attention for layer in layers]
        return tracing_queries(attention=cross_attention, attended=self.input_projection)

    def change_classes(self, rows: Sequence[int | None]) -> None:
        """Change the class head; its last row, no-object, stays."""
        self.class_head = changed_classes(self.class_head, rows, self.class_head.out_features - 1)


def detr_r50(classes: int, *, queries: int = 100) -> Detr:
    """DETR on ResNet-50: 42.0 AP on COCO val2017 with the published weights."""
    return _paper(ResNetBackbone(resnet50), classes, queries)


def detr_r50_dc5(classes: int, *, queries: int = 100) -> Detr:
    """DETR on ResNet-50 with a feature map of stride 16: 43.3 AP, at twice the cost."""
    return _paper(ResNetBackbone(resnet50, dilation=True), classes, queries)


def detr_r101(classes: int, *, queries: int = 100) -> Detr:
    """DETR on ResNet-101: 43.5 AP."""
    return _paper(ResNetBackbone(resnet101), classes, queries)


def detr_r101_dc5(classes: int, *, queries: int = 100) -> Detr:
    """DETR on ResNet-101 with a feature map of stride 16: 44.9 AP, the paper's best."""
    return _paper(ResNetBackbone(resnet101, dilation=True), classes, queries)


def _paper(backbone: ResNetBackbone, classes: int, queries: int) -> Detr:
    return Detr(
        backbone=backbone,
        encoder=Encoder(layers=6, width=256, heads=8, hidden=2048, dropout=0.1),
        decoder=Decoder(layers=6, width=256, heads=8, hidden=2048, dropout=0.1),
        classes=classes,
        queries=queries,
    )


def detr_tiny(classes: int, *, queries: int = 60) -> Detr:
    """The same model with small numbers, to be trained from scratch on a laptop."""
    return Detr(
        backbone=TinyBackbone(width=32),
        encoder=Encoder(layers=3, width=128, heads=4, hidden=512, dropout=0.0),
        decoder=Decoder(layers=3, width=128, heads=4, hidden=512, dropout=0.0),
        classes=classes,
        queries=queries,
    )
