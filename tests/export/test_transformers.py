"""A folder for `transformers`: it computes there what it computes here, and nothing is fetched or left half-written."""

import json
import sys
from functools import partial

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torchvision.models import resnet50
from transformers import AutoImageProcessor, AutoModelForObjectDetection, DetrForObjectDetection, DetrImageProcessor

from setpiece.errors import ExportError, UsageError
from setpiece.export import export as export_module
from setpiece.export.export import describe, export, torch_backend
from setpiece.export.transformers import is_transformers_export, transformers_backend, write_transformers
from setpiece.inference.model_info import KEY, ModelInfo
from setpiece.model.backbones.single_scale import ResNetBackbone
from setpiece.model.checkpoint import Checkpoint, create, load, save
from setpiece.model.detr import Detr
from setpiece.model.layers.transformer import Decoder, Encoder
from setpiece.records import InputSize

from ..command import run_command

CLASSES = ("ace", "Dame", "König")
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)  # none of them ImageNet's
PICTURES = [(f"noise {s}", np.random.default_rng(s).integers(0, 255, (50 + s, 80, 3), np.uint8)) for s in range(2)]


def small_detr(*, dilation=False):
    """The paper's model with a transformer in small numbers, all different from the defaults and from each other."""
    torch.manual_seed(0)
    model = Detr(
        backbone=ResNetBackbone(resnet50, dilation=dilation),
        encoder=Encoder(layers=1, width=32, heads=4, hidden=48, dropout=0.2),
        decoder=Decoder(layers=2, width=32, heads=4, hidden=48, dropout=0.2),
        classes=len(CLASSES),
        queries=7,
    )
    with torch.no_grad():
        model.queries.weight.mul_(16)  # so that what they find differs
        model.class_head.weight.mul_(3)
        model.box_head[-1].weight.mul_(10)
    preset = "detr-r50-dc5" if dilation else "detr-r50"
    return Checkpoint(model.eval(), preset, CLASSES, MEAN, STD, InputSize(64, 96))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "dc5"])
def exported(request, tmp_path_factory):
    """A small checkpoint, and the folder that was written of it."""
    checkpoint = small_detr(dilation=request.param)
    folder = tmp_path_factory.mktemp("transformers") / "model"
    write_transformers(checkpoint, describe(checkpoint, metrics={"AP": 0.5}, licence="mit"), folder)
    return checkpoint, folder


def test_transformers_computes_the_same_logits_and_boxes(exported):
    checkpoint, folder = exported
    theirs, report = DetrForObjectDetection.from_pretrained(folder, output_loading_info=True, local_files_only=True)
    assert not any(report.values())
    generator = torch.Generator().manual_seed(1)
    padding = torch.zeros(2, 64, 96, dtype=torch.bool)
    padding[1, :, 50:] = True
    images = torch.randn(2, 3, 64, 96, generator=generator).masked_fill(padding[:, None], 0.0)
    with torch.no_grad():
        ours, found = checkpoint.model(images, padding), theirs.eval()(images, (~padding).long())
    torch.testing.assert_close(found.logits, ours.logits[-1], atol=1e-4, rtol=0)
    torch.testing.assert_close(found.pred_boxes, ours.boxes[-1], atol=1e-4, rtol=0)
    assert ours.logits[-1].std(dim=1).median() > 1e-2  # queries differ by more than the tolerance
    assert ours.boxes[-1].std(dim=1).median() > 1e-2


def test_the_config_says_what_the_model_is(exported):
    checkpoint, folder = exported
    model = AutoModelForObjectDetection.from_pretrained(folder, local_files_only=True)
    config = model.config
    assert isinstance(model, DetrForObjectDetection)
    assert config.id2label == dict(enumerate(CLASSES))
    assert config.label2id == {name: index for index, name in enumerate(CLASSES)}
    assert model.class_labels_classifier.out_features == len(CLASSES) + 1  # no-object is last
    assert (config.num_queries, config.d_model, config.encoder_layers, config.decoder_layers) == (7, 32, 1, 2)
    assert (config.dropout, config.attention_dropout, config.activation_dropout) == (0.2, 0.2, 0.2)
    assert config.backbone_config.backbone == "resnet50"
    assert config.backbone_config.use_pretrained_backbone is False
    assert config.dilation == checkpoint.preset.endswith("dc5")


def test_the_image_processor_normalises_and_reads_detections_as_we_do(exported):
    checkpoint, folder = exported
    info = describe(checkpoint)
    canvases = np.random.default_rng(0).integers(0, 255, (2, 64, 96, 3), np.uint8)
    canvases[1, :, 50:] = 0
    sizes = np.array([[64, 96], [64, 50]])
    ours, theirs = (
        each.run(canvases, sizes) for each in (torch_backend(checkpoint, info), transformers_backend(folder, info))
    )
    for found, expected in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_image_processor_resizes_to_the_size_of_the_checkpoint(exported):
    checkpoint, folder = exported
    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    assert isinstance(processor, DetrImageProcessor)
    for height, width in ((100, 200), (480, 640), (300, 301)):
        pixels = processor(images=np.zeros((height, width, 3), np.uint8), return_tensors="pt")["pixel_values"]
        for side, expected in zip(pixels.shape[-2:], checkpoint.size.fit(height, width), strict=True):
            assert abs(side - expected) <= 1  # it rounds otherwise


def test_the_weights_say_what_an_export_says_of_itself(exported):
    _, folder = exported
    assert is_transformers_export(folder)
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    with safe_open(folder / "model.safetensors", "pt") as weights:
        info = ModelInfo.read(weights.metadata()[KEY], folder)
    assert (info.classes, info.size, info.licence, info.metrics) == (CLASSES, InputSize(64, 96), "mit", {"AP": 0.5})


def test_an_export_is_verified_by_what_it_detects(tmp_path):
    checkpoint = small_detr()
    found = export(checkpoint, describe(checkpoint), "transformers", tmp_path / "model", pictures=PICTURES)
    assert "detections in 2 images" in found
    assert is_transformers_export(tmp_path / "model")


def test_a_folder_that_detects_something_else_fails_the_export_and_is_not_left(monkeypatch, tmp_path):
    checkpoint = small_detr()

    def write_another(checkpoint, info, folder):
        write_transformers(checkpoint, info.model_copy(update={"mean": (0.0, 0.0, 0.0)}), folder)

    monkeypatch.setattr(export_module, "write_transformers", write_another)
    with pytest.raises(ExportError, match="does not detect what PyTorch detects"):
        export(checkpoint, describe(checkpoint), "transformers", tmp_path / "model", pictures=PICTURES)
    assert [file.name for file in tmp_path.iterdir()] == ["model.disagreement.png"]


def test_without_verifying_neither_transformers_nor_timm_is_needed(monkeypatch, tmp_path):
    checkpoint = small_detr()
    for package in ("transformers", "timm"):
        monkeypatch.setitem(sys.modules, package, None)
    assert export(checkpoint, describe(checkpoint), "transformers", tmp_path / "a") == "Not verified."
    assert is_transformers_export(tmp_path / "a")
    with pytest.raises(UsageError, match=r"pip install transformers timm, or give --no-verify"):
        export(checkpoint, describe(checkpoint), "transformers", tmp_path / "b", pictures=PICTURES)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("preset", ["sprint-n", "detr-tiny"])
def test_a_model_that_transformers_does_not_have_is_refused(preset, tmp_path):
    checkpoint = create(preset, CLASSES, shortest=64)
    with pytest.raises(UsageError, match=f"transformers has no model like {preset}"):
        export(checkpoint, describe(checkpoint), "transformers", tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("asked", [{"size": 64}, {"batch": 1}, {"precision": "fp16"}, {"precision": "int8"}])
def test_what_its_folders_do_not_hold_is_refused(asked, tmp_path):
    checkpoint = small_detr()
    with pytest.raises(UsageError, match="leave out --size, --batch, --half and --int8"):
        export(checkpoint, describe(checkpoint, **asked), "transformers", tmp_path / "model")


@pytest.fixture
def setpiece(monkeypatch, capsys, tmp_path):
    """Run the command in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run_command, monkeypatch, capsys)


def test_the_command_writes_a_preset_replaces_its_own_folder_and_no_other(setpiece, tmp_path):
    torch.manual_seed(0)
    save(create("detr-r50", CLASSES, shortest=64), tmp_path / "checkpoint")
    for _ in range(2):
        written = setpiece("export", "checkpoint", "--format", "transformers", "--no-verify")
        assert (written.code, written.err) == (0, "")
    config = json.loads((tmp_path / "checkpoint_transformers" / "config.json").read_text())
    assert (config["model_type"], config["num_queries"], config["d_model"]) == ("detr", 100, 256)
    again = load(tmp_path / "checkpoint_transformers")
    assert (again.preset, again.classes) == ("detr-r50", CLASSES)

    refused = setpiece("export", "checkpoint", "--format", "transformers", "--output", "checkpoint")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert load(tmp_path / "checkpoint").size == InputSize(64, 107)


def test_the_command_refuses_a_preset_without_such_a_form_in_one_sentence(setpiece, tmp_path):
    save(create("detr-tiny", CLASSES, shortest=64), tmp_path / "tiny")
    refused = setpiece("export", "tiny", "--format", "transformers")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("Error: transformers has no model like detr-tiny")
    assert refused.err.count("\n") == 1
