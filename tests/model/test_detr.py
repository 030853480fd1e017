"""What the presets are made of, and what comes out of them."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet50
from torchvision.ops import FrozenBatchNorm2d

from setpiece.errors import UsageError
from setpiece.model.backbones.single_scale import ResNetBackbone, TinyBackbone
from setpiece.model.detr import detr_r50, detr_r50_dc5, detr_r101, detr_r101_dc5, detr_tiny
from setpiece.records import Outputs


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    padding = torch.zeros(2, 64, 96, dtype=torch.bool)
    padding[1, 40:] = True
    padding[1, :, 50:] = True
    images = torch.randn(2, 3, 64, 96, generator=generator).masked_fill(padding[:, None], 0.0)
    return images, padding


def test_every_decoder_layer_predicts_a_set(batch):
    outputs = detr_tiny(4, queries=7)(*batch)
    assert isinstance(outputs, Outputs)
    assert outputs.logits.shape == (3, 2, 7, 5)
    assert outputs.boxes.shape == (3, 2, 7, 4)
    assert outputs.boxes.min() >= 0
    assert outputs.boxes.max() <= 1


def test_outputs_are_float32_under_bf16_autocast(batch):
    with torch.autocast("cpu", torch.bfloat16):
        outputs = detr_tiny(4)(*batch)
    assert outputs.logits.dtype == outputs.boxes.dtype == torch.float32


def test_detr_tiny_trains_every_parameter(batch):
    model = detr_tiny(4)
    outputs = model(*batch)
    (outputs.logits.square().sum() + outputs.boxes.square().sum()).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias on the keys moves all scores of a query alike, which softmax does not see; and the first
    # self-attention among the queries has only zeros for values.
    first = "decoder.layers.0.self_attention"
    assert [name for name in still if not name.endswith("key.bias") and not name.startswith(first)] == []


def test_memory_format_does_not_change_what_detr_tiny_predicts(batch):
    images, padding = batch
    model = detr_tiny(4).eval()
    plain = model(images, padding)
    model.to(memory_format=torch.channels_last)
    last = model(images.contiguous(memory_format=torch.channels_last), padding)
    torch.testing.assert_close(plain.boxes, last.boxes, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("preset", "blocks_of_layer3", "dilated"),
    [(detr_r50, 6, False), (detr_r50_dc5, 6, True), (detr_r101, 23, False), (detr_r101_dc5, 23, True)],
)
def test_paper_presets_differ_in_depth_and_dilation(preset, blocks_of_layer3, dilated):
    with torch.device("meta"):
        model = preset(91)
        features = model.backbone(torch.empty(1, 3, 128, 192))
    assert features.shape == ((1, 2048, 8, 12) if dilated else (1, 2048, 4, 6))
    assert len(model.backbone.layer3) == blocks_of_layer3
    assert (len(model.encoder.layers), len(model.decoder.layers), model.num_queries) == (6, 6, 100)
    assert model.class_head.out_features == 92


def test_paper_presets_keep_stem_first_layer_and_batch_norm_as_trained():
    with torch.device("meta"):
        model = detr_r50(91)
    backbone = {name for name, p in model.backbone.named_parameters() if not p.requires_grad}
    assert {name.split(".")[0] for name in backbone} == {"conv1", "layer1"}
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert any(isinstance(module, FrozenBatchNorm2d) for module in model.modules())
    # The number that the original repository's training logs print for R50.
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 41_302_368


def test_detr_tiny_freezes_nothing_and_fits_a_laptop():
    model = detr_tiny(3)
    assert all(p.requires_grad for p in model.parameters())
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert sum(p.numel() for p in model.parameters()) < 3_000_000


def test_classes_change_alone_and_those_that_stay_keep_their_rows():
    model = detr_tiny(3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.change_classes([2, None, 0])
    old, new = before["class_head.weight"], model.class_head.weight
    torch.testing.assert_close(new, torch.stack([old[2], old[:3].mean(0), old[0], old[3]]))  # the last is no-object
    after = model.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items() if not k.startswith("class_head."))


def test_learned_queries_cannot_become_more():
    model = detr_tiny(3)
    model.change_queries(60)
    with pytest.raises(UsageError, match="learned 60 queries: there cannot be 61"):
        model.change_queries(61)


def test_feature_map_is_that_of_torchvisions_resnet():
    full = resnet50(weights=None).eval()
    backbone = ResNetBackbone(resnet50)
    backbone.load_state_dict({k: v for k, v in full.state_dict().items() if not k.startswith("fc.")})
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(backbone(x), nn.Sequential(*list(full.children())[:-2])(x))


def test_tiny_backbone_has_stride_16():
    backbone = TinyBackbone(width=8)
    assert backbone(torch.zeros(2, 3, 100, 64)).shape == (2, backbone.channels, 7, 4)
