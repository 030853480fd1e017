"""The same numbers as `transformers`' DETR, with weights carried over both ways as files."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import DetrConfig, DetrForObjectDetection

from setpiece.model.checkpoint import create, load
from setpiece.model.formats.published import to_transformers

# (depth in transformers' words, DC5, our preset)
VARIANTS = [("resnet50", False, "detr-r50"), ("resnet50", True, "detr-r50-dc5"), ("resnet101", False, "detr-r101")]


@pytest.fixture
def batch():
    """Three images of different sizes, padded to 64 × 96 pixels."""
    generator = torch.Generator().manual_seed(0)
    padding = torch.ones(3, 64, 96, dtype=torch.bool)
    for b, (height, width) in enumerate([(64, 96), (40, 96), (64, 33)]):
        padding[b, :height, :width] = False
    images = torch.randn(3, 3, 64, 96, generator=generator).masked_fill(padding[:, None], 0.0)
    return images, padding


@torch.no_grad()
def randomise(model):
    """Make nothing trivially zero or one: statistics, norms, biases and heads included."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.ndim == 1:
            tensor.normal_(0, 0.1, generator=generator)
        elif tensor.ndim == 2:
            tensor.normal_(0, _gain(name) * tensor.shape[1] ** -0.5, generator=generator)
    return model.eval()


def _gain(name):
    if name.endswith(("queries.weight", "query_position_embeddings.weight")):
        return 16.0  # the object queries stand apart
    if name.endswith((".query.weight", ".key.weight", ".q_proj.weight", ".k_proj.weight")):
        return 4.0  # attention is sharp, so that what they find stays apart
    return 1.0


@torch.no_grad()
def predict_with_transformers(model, images, padding):
    """Their logits and boxes of every decoder layer, through the shared norm and heads as in the paper."""
    states = []
    hooks = [
        layer.register_forward_hook(lambda _module, _inputs, output: states.append(output))
        for layer in model.model.decoder.layers
    ]
    # (Their `auxiliary_loss` is no oracle: it feeds each layer's normed output on to the next layer.)
    outputs = model(pixel_values=images, pixel_mask=(~padding).long())
    for hook in hooks:
        hook.remove()
    normed = model.model.decoder.layernorm(torch.stack(states))
    logits, boxes = model.class_labels_classifier(normed), model.bbox_predictor(normed).sigmoid()
    torch.testing.assert_close(logits[-1], outputs.logits)
    torch.testing.assert_close(boxes[-1], outputs.pred_boxes)
    return logits, boxes


def assert_same_predictions(ours, theirs, batch):
    with torch.no_grad():
        outputs = ours(*batch)
    logits, boxes = predict_with_transformers(theirs, *batch)
    assert outputs.logits.shape == logits.shape == (6, 3, 100, 6)
    torch.testing.assert_close(outputs.logits, logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(outputs.boxes, boxes, atol=1e-4, rtol=0)
    # Queries differ by more than ten times the tolerance, and so do images: more than biases is compared.
    for predictions in (logits, boxes):
        assert predictions.std(dim=2).median() > 1e-3
        assert predictions.std(dim=1).median() > 1e-3


@pytest.mark.parametrize(("depth", "dilation", "preset"), VARIANTS)
def test_their_checkpoint_predicts_the_same_here(depth, dilation, preset, batch, tmp_path):
    theirs = randomise(DetrForObjectDetection(DetrConfig(backbone=depth, dilation=dilation, num_labels=5)))
    theirs.save_pretrained(tmp_path)
    checkpoint = load(tmp_path)
    assert checkpoint.preset == preset
    assert checkpoint.classes == tuple(f"LABEL_{i}" for i in range(5))
    assert_same_predictions(checkpoint.model.eval(), theirs, batch)


@pytest.mark.parametrize(("depth", "dilation", "preset"), VARIANTS)
def test_our_checkpoint_predicts_the_same_there(depth, dilation, preset, batch, tmp_path):
    ours = randomise(create(preset, ["a", "b", "c", "d", "e"]).model)
    save_file(to_transformers(ours.state_dict()), tmp_path / "model.safetensors", metadata={"format": "pt"})
    DetrConfig(backbone=depth, dilation=dilation, num_labels=5).save_pretrained(tmp_path)
    theirs, report = DetrForObjectDetection.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert_same_predictions(ours, theirs.eval(), batch)


def test_a_checkpoint_goes_there_and_back_unchanged(tmp_path):
    theirs = randomise(DetrForObjectDetection(DetrConfig(num_labels=5)))
    theirs.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    back = to_transformers(load(tmp_path).model.state_dict())
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in state.items())
