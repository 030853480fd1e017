import sys

import pytest
import torch
from torchvision.models import get_model

from setpiece.errors import UsageError, WeightsError
from setpiece.model.backbones.named import named_pyramid, synchronise_norms
from setpiece.model.checkpoint import create, load, save

NETWORKS = [
    "torchvision/mobilenet_v3_small",
    "torchvision/resnet18",
    "timm/resnet10t",
    "timm/mobilenetv3_small_050",
    "timm/mambaout_femto",  # keeps channels last
]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_maps_have_strides_8_16_and_32_and_the_channels_that_are_said(name):
    backbone = named_pyramid(name)
    maps = backbone(torch.randn(2, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [
        (2, c, 64 // stride, 96 // stride) for c, stride in zip(backbone.channels, (8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_takes_part_so_that_several_processes_need_not_look_for_idle_ones(name):
    backbone = named_pyramid(name)
    sum(m.square().mean() for m in backbone(torch.randn(2, 3, 64, 96))).backward()
    assert [name for name, parameter in backbone.named_parameters() if parameter.grad is None] == []


@pytest.mark.filterwarnings("ignore:The default weight initialization")
@pytest.mark.parametrize("name", ["torchvision/mobilenet_v3_small", "timm/tf_efficientnet_lite0"])
def test_norms_of_all_processes_compute_what_each_did_alone(name):
    torch.manual_seed(0)
    model = create("sprint-n", ["a"], backbone=name).model.eval()
    arguments = torch.randn(1, 3, 64, 64), torch.zeros(1, 64, 64, dtype=torch.bool)
    expected = model(*arguments).boxes
    together = synchronise_norms(model)
    norms = [part for part in together.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(isinstance(norm, torch.nn.SyncBatchNorm) for norm in norms)
    torch.testing.assert_close(together(*arguments).boxes, expected)


@pytest.mark.parametrize("name", ["torchvision/mobilenet_v3_small", "timm/resnet10t", "timm/resnetblur18"])
def test_a_checkpoint_with_a_named_backbone_comes_back_the_same(tmp_path, name):
    torch.manual_seed(0)
    checkpoint = create("sprint-n", ["a"], backbone=name)
    save(checkpoint, tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert again.backbone == name
    arguments = torch.randn(1, 3, 64, 64), torch.zeros(1, 64, 64, dtype=torch.bool)
    expected = checkpoint.model.eval()(*arguments)
    torch.testing.assert_close(again.model.eval()(*arguments).boxes, expected.boxes)


@pytest.mark.filterwarnings("ignore:The default weight initialization")
@pytest.mark.parametrize("name", ["timm/tf_efficientnet_lite0", "torchvision/googlenet"])
def test_images_are_normalised_as_the_network_s_weights_expect(tmp_path, name):
    checkpoint = create("sprint-n", ["a"], backbone=name)
    save(checkpoint, tmp_path / "saved")
    assert load(tmp_path / "saved").mean == checkpoint.mean == (0.5, 0.5, 0.5)
    assert load(tmp_path / "saved").std == checkpoint.std == (0.5, 0.5, 0.5)


def test_published_weights_are_those_of_the_network(monkeypatch):
    full = get_model("mobilenet_v3_small").state_dict()
    monkeypatch.setattr("torchvision.models.MobileNet_V3_Small_Weights.get_state_dict", lambda *_, **__: full)
    backbone = create("sprint-n", ["a"], backbone=NETWORKS[0], pretrained_backbone=True).model.backbone
    for name, tensor in backbone.body.state_dict().items():
        torch.testing.assert_close(tensor, full[name])


def test_published_weights_of_other_names_are_one_sentence(monkeypatch):
    monkeypatch.setattr("torchvision.models.MobileNet_V3_Small_Weights.get_state_dict", lambda *_, **__: {})
    with pytest.raises(WeightsError, match=r"mobilenet_v3_small have other names"):
        create("sprint-n", ["a"], backbone=NETWORKS[0], pretrained_backbone=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet18", "torchvision/NAME or timm/NAME"),
        ("torchvision/resnet19", "torchvision has no network 'resnet19'"),
        ("torchvision/ssd300_vgg16", "torchvision has no network 'ssd300_vgg16'"),
        ("timm/resnet19", "timm has no network 'resnet19'"),
        ("torchvision/vit_b_16", "vit_b_16 has no feature maps"),
        ("timm/swin_tiny_patch4_window7_224", "swin_tiny_patch4_window7_224 has no feature maps .* of any size"),
        ("timm/vit_tiny_patch16_224", "vit_tiny_patch16_224 has no feature maps"),
    ],
)
def test_a_network_that_will_not_do_is_one_sentence(name, words):
    with pytest.raises(UsageError, match=words):
        named_pyramid(name)


def test_without_timm_its_networks_are_one_sentence_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"pip install 'setpiece\[timm\]'"):
        named_pyramid("timm/resnet10t")


def test_timms_weights_out_of_reach_are_one_sentence(monkeypatch):
    import timm

    real = timm.create_model

    def offline(*arguments, pretrained=False, **options):
        if pretrained:
            raise OSError("no route to host")
        return real(*arguments, **options)

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(WeightsError, match=r"resnet10t could not be fetched .*no route to host.*--from-scratch\.$"):
        create("sprint-n", ["a"], backbone="timm/resnet10t", pretrained_backbone=True)


def test_the_papers_presets_keep_their_own_cnn():
    with pytest.raises(UsageError, match="only the sprint presets"):
        create("detr-tiny", ["a"], backbone="timm/resnet10t")
