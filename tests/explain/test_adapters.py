"""Outputs of `transformers`' models, and of the dictionary of DETR and rf-detr, are explained as our own."""

import pytest
import torch
from transformers import (
    ConditionalDetrConfig,
    ConditionalDetrForObjectDetection,
    DabDetrConfig,
    DabDetrForObjectDetection,
    DeformableDetrConfig,
    DeformableDetrForObjectDetection,
    DetrConfig,
    DetrForObjectDetection,
    DFineConfig,
    DFineForObjectDetection,
    HGNetV2Config,
    LwDetrConfig,
    LwDetrForObjectDetection,
    LwDetrViTConfig,
    ResNetConfig,
    RfDetrConfig,
    RfDetrDinov2Config,
    RfDetrForObjectDetection,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrResNetConfig,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
)

from setpiece.errors import UsageError
from setpiece.explain import explain_outputs
from setpiece.explain.adapters import adapt_outputs, adapt_targets
from setpiece.setloss import SetCriterion

CLASSES = ["cat", "dog", "bird"]
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 8, 8, 16], "depths": [1, 1, 1, 1], "layer_type": "basic"}
SHALLOW = {"d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "encoder_attention_heads": 2, "num_labels": 3}
SHALLOW |= {"decoder_attention_heads": 2, "decoder_layers": 3, "num_queries": 7}
PYRAMID = {"encoder_hidden_dim": 16, "decoder_in_channels": [16] * 3, "encoder_in_channels": [8, 8, 16]}
PYRAMID |= {"num_denoising": 4}
STAGES = ["stage2", "stage3", "stage4"]
HGNET = {
    "stem_channels": [3, 8, 8],
    "stage_in_channels": [8, 8, 8, 8],
    "stage_mid_channels": [8, 8, 8, 8],
    "stage_out_channels": [8, 8, 8, 16],
    "hidden_sizes": [8, 8, 8, 16],
    "stage_num_blocks": [1, 1, 1, 1],
    "stage_numb_of_layers": [1, 1, 1, 1],
    "stage_downsample": [False, True, True, True],
    "stage_light_block": [False] * 4,
    "stage_kernel_size": [3] * 4,
}
LABELS = [
    {"class_labels": torch.tensor([1]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.2]])},
    {"class_labels": torch.tensor([0, 2]), "boxes": torch.tensor([[0.3, 0.4, 0.2, 0.2], [0.6, 0.6, 0.5, 0.3]])},
]


def detr():
    backbone = ResNetConfig(**RESNET, out_features=["stage4"])
    return DetrForObjectDetection(
        DetrConfig(backbone_config=backbone, **SHALLOW, encoder_layers=1, auxiliary_loss=True)
    )


def rt_detr():
    backbone = RTDetrResNetConfig(**RESNET, out_features=STAGES)
    return RTDetrForObjectDetection(RTDetrConfig(backbone_config=backbone, **SHALLOW, **PYRAMID))


def d_fine():
    backbone = HGNetV2Config(**HGNET, out_features=STAGES)
    return DFineForObjectDetection(DFineConfig(backbone_config=backbone, **SHALLOW, **PYRAMID))


def rt_detr_v2():
    backbone = RTDetrResNetConfig(**RESNET, out_features=STAGES)
    return RTDetrV2ForObjectDetection(RTDetrV2Config(backbone_config=backbone, **SHALLOW, **PYRAMID))


def of_the_paper(config, model, **settings):
    """A relative of DETR in `transformers`, whose layers come in training."""
    backbone = ResNetConfig(**RESNET, out_features=settings.pop("out_features", ["stage4"]))
    return model(config(backbone_config=backbone, **(SHALLOW | settings), encoder_layers=1, auxiliary_loss=True))


def deformable():
    levels = {"num_feature_levels": 3, "out_features": STAGES, "d_model": 32}
    return of_the_paper(DeformableDetrConfig, DeformableDetrForObjectDetection, **levels)


def conditional():
    return of_the_paper(ConditionalDetrConfig, ConditionalDetrForObjectDetection)


def dab():
    return of_the_paper(DabDetrConfig, DabDetrForObjectDetection, hidden_size=16)


def of_groups(config, model, backbone):
    """LW-DETR or RF-DETR, with three groups of seven queries."""
    settings = {"num_queries": 7, "group_detr": 3, "decoder_layers": 3, "d_model": 16, "decoder_ffn_dim": 16}
    heads = {"decoder_self_attention_heads": 2, "decoder_cross_attention_heads": 2, "projector_out_channels": 16}
    scales = {"projector_scale_factors": [1.0], "num_feature_levels": 1}
    return model(config(backbone_config=backbone, num_labels=3, **settings, **heads, **scales))


VIT = {"hidden_size": 16, "num_attention_heads": 2, "image_size": 64, "out_features": ["stage2"]}
VIT |= {"num_hidden_layers": 2}


def lw_detr():
    backbone = LwDetrViTConfig(**VIT, pretrain_image_size=64, num_windows=4, window_block_indices=[0])
    return of_groups(LwDetrConfig, LwDetrForObjectDetection, backbone)


def rf_detr():
    backbone = RfDetrDinov2Config(**VIT, num_windows=2, window_block_indexes=[0], patch_size=16)
    return of_groups(RfDetrConfig, RfDetrForObjectDetection, backbone)


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(2, 3, 64, 64)


def assert_explained(adapted, form):
    """The report's match is that of the loss, and the page can be made."""
    targets, criterion = adapt_targets(LABELS), SetCriterion(form=form)
    explanation = explain_outputs(adapted.outputs, targets, CLASSES, criterion=criterion, layers=adapted.layers)
    match = criterion(adapted.outputs, targets).match
    assert [row["query"] for row in explanation.pairs if row["image"] == "image 0"] == match[:, 0, 0].tolist()
    assert "image 1" in explanation.to_html()


@pytest.mark.filterwarnings("ignore")  # of transformers, on its way
def test_detr_of_transformers_has_its_layers_in_training_and_the_last_one_elsewhere(images):
    torch.manual_seed(0)
    model = detr()
    predicted = model.train()(images, labels=LABELS)
    adapted = adapt_outputs(predicted)
    assert adapted.layers == ["layer 1", "layer 2", "layer 3"]
    assert adapted.outputs.logits.shape == (3, 2, 7, 4)
    torch.testing.assert_close(adapted.outputs.logits[-1], predicted.logits)
    torch.testing.assert_close(adapted.outputs.boxes[0], predicted.auxiliary_outputs[0]["pred_boxes"])
    assert not adapted.outputs.boxes.requires_grad
    assert_explained(adapted, "softmax")
    last = adapt_outputs(model.eval()(images))
    assert (last.outputs.boxes.shape, last.layers) == ((1, 2, 7, 4), ["last layer"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [deformable, conditional, dab])
def test_relatives_of_detr_have_their_layers_in_training(images, make):
    torch.manual_seed(0)
    predicted = make().train()(images, labels=LABELS)
    adapted = adapt_outputs(predicted)
    assert adapted.layers == ["layer 1", "layer 2", "layer 3"]
    torch.testing.assert_close(adapted.outputs.logits[-1], predicted.logits)
    assert_explained(adapted, "sigmoid")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [lw_detr, rf_detr])
def test_of_several_groups_of_queries_the_first_is_explained(images, make):
    torch.manual_seed(0)
    predicted = make().train()(images, labels=LABELS)
    assert predicted.logits.shape[1] == 3 * 7
    with pytest.raises(UsageError, match=r"say how many queries one has, adapt_outputs\(predicted, queries="):
        adapt_outputs(predicted)
    adapted = adapt_outputs(predicted, queries=7)
    assert adapted.layers == ["proposals", "layer 1", "layer 2", "layer 3"]
    torch.testing.assert_close(adapted.outputs.logits[-1], predicted.logits[:, :7])
    torch.testing.assert_close(adapted.outputs.logits[0], predicted.enc_outputs_class[:, :7])
    torch.testing.assert_close(adapted.outputs.boxes[0], predicted.enc_outputs_coord_logits[:, :7].clamp(0, 1))
    assert_explained(adapted, "sigmoid")


LAYERS = {
    (rt_detr_v2, True): ["proposals", "layer 1", "layer 2", "layer 3"],
    (rt_detr, True): ["proposals", "layer 1", "layer 2", "layer 3"],
    (rt_detr, False): ["proposals", "layer 1", "layer 2", "layer 3"],
    (d_fine, True): ["proposals", "layer 1, not refined", "layer 1", "layer 2", "layer 3"],
    (d_fine, False): ["proposals", "last layer"],  # it computes the boxes of the last one alone
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("make", "training"), LAYERS)
def test_rt_detr_and_d_fine_have_proposals_and_layers_and_no_denoising_queries(images, make, training):
    torch.manual_seed(0)
    model = make().train(training)
    with torch.no_grad():
        predicted = model(images, labels=LABELS if training else None)
    assert predicted.logits.shape[1] == 7 + training * 8  # with those of denoising
    adapted = adapt_outputs(predicted)
    assert adapted.layers == LAYERS[make, training]
    assert adapted.outputs.boxes.shape == (len(adapted.layers), 2, 7, 4)
    torch.testing.assert_close(adapted.outputs.logits[-1], predicted.logits[:, -7:])
    torch.testing.assert_close(adapted.outputs.boxes[-1], predicted.pred_boxes[:, -7:].clamp(0, 1))
    torch.testing.assert_close(adapted.outputs.logits[0], predicted.enc_topk_logits)
    boxes = predicted.intermediate_reference_points[:, :, -7:].transpose(0, 1).clamp(0, 1)
    torch.testing.assert_close(adapted.outputs.boxes[1:], boxes)
    assert_explained(adapted, "sigmoid")


def dictionary(queries=7, fill=0.0):
    return {"pred_logits": torch.full((2, queries, 3), fill), "pred_boxes": torch.full((2, queries, 4), 0.5)}


def test_the_dictionary_of_rf_detr_is_read_with_its_proposals():
    predicted = dictionary() | {
        "aux_outputs": [dictionary(fill=1.0), dictionary(fill=2.0)],
        "enc_outputs": dictionary(fill=-1.0),
    }
    adapted = adapt_outputs(predicted)
    assert adapted.layers == ["proposals", "layer 1", "layer 2", "layer 3"]
    assert adapted.outputs.logits[:, 0, 0, 0].tolist() == [-1.0, 1.0, 2.0, 0.0]
    assert_explained(adapted, "sigmoid")


def test_a_dictionary_without_layers_or_with_other_proposals_is_read_too():
    assert adapt_outputs(dictionary()).layers == ["layer 1"]
    assert adapt_outputs(dictionary() | {"enc_outputs": dictionary(queries=20)}).layers == ["layer 1"]


def test_labels_under_either_name_are_targets():
    ours = [{"labels": image["class_labels"], "boxes": image["boxes"]} for image in LABELS]
    assert adapt_targets(ours).labels.tolist() == adapt_targets(LABELS).labels.tolist() == [[1, 0], [0, 2]]
    assert adapt_targets(
        [{"labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4)}]
    ).count.tolist() == [0]


def test_what_is_no_prediction_is_refused():
    with pytest.raises(
        UsageError, match=r"^dict has no predictions of a DETR: give what a model of transformers returns"
    ):
        adapt_outputs({"boxes": torch.zeros(1, 4)})
    with pytest.raises(UsageError, match="different shapes"):
        adapt_outputs(dictionary() | {"aux_outputs": [dictionary(queries=5)]})
