import json

import pytest

from setpiece.errors import UsageError
from setpiece.model.checkpoint import create
from setpiece.training.config import TrainConfig, resolve


def test_what_is_not_given_comes_from_the_recipe_and_fifty_epochs():
    config = resolve("cells", "detr-r50", batch_size=None, learning_rate=3e-4)
    assert (config.epochs, config.minutes, config.learning_rate) == (50, None, 3e-4)
    assert (config.weight_decay, config.clip_norm) == (1e-4, 0.1)


def test_the_cnn_s_learning_rate_keeps_its_share_unless_it_is_given():
    assert resolve("cells", "detr-r50").backbone_learning_rate == 1e-5
    assert resolve("cells", "detr-r50", learning_rate="3e-4").backbone_learning_rate == pytest.approx(3e-5)
    assert resolve("cells", "sprint-n", learning_rate=1e-3).backbone_learning_rate == pytest.approx(1e-3)
    assert resolve("cells", "sprint-n", learning_rate=1e-3, backbone_learning_rate=0).backbone_learning_rate == 0


def test_a_configuration_survives_its_file():
    config = resolve("cells", "detr-tiny", minutes=2.5)
    assert TrainConfig.model_validate_json(json.dumps(config.to_dict())) == config


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 1, "minutes": 1}, "give either epochs or minutes"),
        ({"epochs": 0}, "--epochs: Input should be greater than 0"),
        ({"minutes": -1}, "--minutes: Input should be greater than 0"),
        ({"precision": "fp8"}, "--precision: Input should be 'auto', 'bf16' or 'fp32'"),
        ({"batchsize": 3}, "--batchsize: Extra inputs are not permitted"),
        ({"seed": -1}, "--seed: Input should be greater than or equal to 0"),
    ],
)
def test_a_setting_out_of_range_is_named_as_the_option_it_is(given, message):
    with pytest.raises(UsageError, match=message):
        resolve("cells", "detr-tiny", **given)


@pytest.mark.parametrize("model", [{"model": "sprint-n", "backbone": "timm/resnet10t"}, {"model": "sprint-s"}])
def test_a_cnn_with_published_weights_is_fine_tuned_from_them_or_trained_from_scratch(model):
    pretrained = resolve("cells", **model)
    scratch = resolve("cells", **model, pretrained="false")
    assert pretrained.backbone_learning_rate < pretrained.learning_rate
    assert scratch.backbone_learning_rate == scratch.learning_rate


def test_a_checkpoint_on_a_named_backbone_keeps_the_lower_rate_of_its_cnn():
    config = resolve("cells", "runs/cells", create("sprint-n", ["a"], backbone="timm/resnet10t"))
    assert config.backbone_learning_rate < config.learning_rate


def test_a_checkpoint_is_not_trained_from_scratch():
    with pytest.raises(UsageError, match="runs/cells has trained weights: --from-scratch goes with a preset"):
        resolve("cells", "runs/cells", create("sprint-n", ["a"]), pretrained=False)


def test_sprint_has_a_recipe_for_each_of_its_origins():
    fine_tuned, scratch = resolve("cells", "sprint-n"), resolve("cells", "sprint-n", pretrained=False)
    assert fine_tuned.augmentation_strength < scratch.augmentation_strength
    own = resolve("cells", "run", create("sprint-n", ["a"]))
    assert own.augmentation_strength == fine_tuned.augmentation_strength


def test_a_model_without_a_checkpoint_is_a_preset():
    with pytest.raises(UsageError, match="no preset 'detr-huge': choose one of detr-r50, "):
        resolve("cells", "detr-huge")


def test_what_the_user_decides_is_written_before_the_recipe():
    settings = list(resolve("cells", "detr-tiny").to_dict())
    assert settings[:2] == ["data", "model"]
    assert settings.index("pretrained") < settings.index("batch_size")
