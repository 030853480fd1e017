"""Runs that diverge: what they say, and what they leave to look at."""

import re

import pytest
import torch

from setpiece import Detector
from setpiece.errors import NonFiniteCostError, NonFiniteError, UsageError, WeightsError
from setpiece.explain.captured import explain_capture
from setpiece.records import Batch, Images, Outputs, Targets
from setpiece.runs.capture import is_capture, read_capture
from setpiece.runs.layout import RunFolder
from setpiece.setloss import auxiliary
from setpiece.training import train
from setpiece.training.config import resolve
from setpiece.training.finite import likely_cause, require_finite, usual_learning_rate
from setpiece.training.replay import replay
from setpiece.training.start import open_data, start_training, starting_checkpoint
from setpiece.training.step import Stepper

SETTINGS = {"size": 64, "batch_size": 4, "evaluations": 1, "precision": "fp32", "epochs": 2}


@pytest.mark.parametrize("model", ["detr-tiny", "sprint-n"])
def test_a_run_that_diverges_is_captured_and_computed_again_to_the_same_number(scenes, tmp_path, model):
    config = resolve(scenes, model, learning_rate=1e12, warmup_steps=0, **SETTINGS)
    with pytest.raises(NonFiniteError, match=r"^Training diverged at step \d+ on ") as diverged:
        start_training(config, tmp_path / "run")
    said, folder = str(diverged.value), tmp_path / "run" / "capture"
    assert str(RunFolder(tmp_path / "run").ended()).startswith("diverged at step ")
    with pytest.raises(WeightsError, match=r"The run .*run has no checkpoint yet: it diverged at step \d"):
        Detector.load(tmp_path / "run")
    assert f"setpiece train --replay {folder} computes it again" in said
    assert "train with a lower --learning-rate" in said
    done = replay(folder)
    assert done.now == done.then
    assert done.then in said
    assert not done.differs
    capture, _ = read_capture(folder)
    assert f"at step {capture.step} " in said
    assert len(capture.files) == 4


def test_a_gradient_that_is_infinite_stops_a_run_before_it_changes_a_weight(scenes, tmp_path, monkeypatch):
    backward = Stepper._backward

    def overflowing(self, *args):
        computed = backward(self, *args)
        self.trained.class_head.weight.grad[0, 0] = float("inf")
        return computed

    monkeypatch.setattr(Stepper, "_backward", overflowing)
    said = r"diverged at step 0 on a batch of .*The gradient of class_head\.weight is inf \(in 1 of \d+ tensors\)"
    with pytest.raises(NonFiniteError, match=said):
        start_training(resolve(scenes, "detr-tiny", **SETTINGS), tmp_path / "run")
    weights = Detector.load(tmp_path / "run" / "capture").checkpoint.model.parameters()
    assert all(weight.isfinite().all() for weight in weights)
    done = replay(tmp_path / "run" / "capture")
    assert done.now == done.then


def test_a_loss_that_is_infinite_is_named_with_its_term(scenes, tmp_path, monkeypatch):
    loss = auxiliary.AuxiliaryLoss("overflowing", 1.0, until=1.0, loss=lambda outputs, *_: outputs.boxes.sum() / 0)
    monkeypatch.setattr("setpiece.training.step.auxiliary_losses", lambda _: (loss,))
    with pytest.raises(NonFiniteError, match=r"The overflowing loss is inf\."):
        start_training(resolve(scenes, "detr-tiny", **SETTINGS), tmp_path / "run")


def test_a_capture_is_explained_with_the_images_of_its_batch(scenes, tmp_path):
    config = resolve(scenes, "detr-tiny", **SETTINGS)
    dataset, valid = open_data(scenes)
    checkpoint = starting_checkpoint(config, dataset.classes)
    with torch.no_grad():
        checkpoint.model.class_head.bias[0] = float("nan")
    with pytest.raises(NonFiniteCostError, match="The weights themselves are not finite"):
        train.train(checkpoint, dataset, valid, config, tmp_path / "run")
    capture, _ = read_capture(tmp_path / "run" / "capture")
    explanation = explain_capture(tmp_path / "run" / "capture")
    assert [image.name for image in explanation.images] == list(capture.files)
    assert all(image.note.startswith(capture.error) for image in explanation.images)
    assert all("180 predictions of this image are not finite" in image.note for image in explanation.images)
    assert capture.files[0] in explanation.to_html()


def test_what_is_no_capture_or_a_damaged_one_is_said(tmp_path):
    assert not is_capture(tmp_path)
    with pytest.raises(UsageError, match="is no capture: name the folder that a run wrote when it diverged"):
        replay(tmp_path)
    (tmp_path / "capture.pt").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"capture\.pt is damaged"):
        replay(tmp_path)


def test_a_tensor_that_is_not_finite_is_named_with_its_value_and_how_many_are():
    tensors = [("a", torch.ones(3)), ("b", torch.tensor([1, float("-inf")])), ("c", torch.tensor([float("nan")]))]
    with pytest.raises(NonFiniteError, match=re.escape("The weight of b is -inf (in 2 of 3 tensors).")):
        require_finite("weight", tensors)


class OnlyInFloat32(torch.nn.Linear):
    """Predicts NaN under autocast."""

    def forward(self, images, _):
        wrong = float("nan") if torch.is_autocast_enabled("cpu") else 0.0
        return Outputs(torch.full((1, len(images), 1, 2), wrong), torch.full((1, len(images), 1, 4), wrong))


@pytest.mark.parametrize(
    ("bf16", "weight", "pixel", "rate", "said"),
    [
        (True, 0.1, 0.0, 5e-4, "--precision fp32"),
        (False, 0.1, 0.0, 5e-4, "A lower --learning-rate usually helps"),
        (False, 0.1, 0.0, 5e-2, "100 times that of the recipe"),
        (False, 1e6, 0.0, 5e-4, "Weights have grown to 1e+06"),
        (False, float("nan"), 0.0, 5e-4, "The weights themselves are not finite"),
        (False, 0.1, float("nan"), 5e-4, "The pixels of the batch are not finite"),
    ],
)
def test_the_likely_cause_is_what_can_be_seen(bf16, weight, pixel, rate, said):
    model = OnlyInFloat32(1, 1)
    torch.nn.init.constant_(model.weight, weight)
    images = Images(torch.full((1, 3, 8, 8), pixel), torch.zeros(1, 8, 8, dtype=torch.bool), torch.tensor([[8, 8]]))
    batch = Batch(images, Targets.none(1), torch.tensor([1]))
    assert said in likely_cause(model, batch, rate, 5e-4, bf16=bf16)


@pytest.mark.parametrize(
    ("model", "settings", "usual"),
    [
        ("sprint-n", {}, 2.5e-3),
        ("sprint-s", {}, 1.4e-3),
        ("sprint-s", {"pretrained": False}, 2.5e-3),
        ("detr-tiny", {"learning_rate": 1.0}, 5e-4),
    ],
)
def test_the_usual_learning_rate_is_that_of_the_recipe(model, settings, usual):
    assert usual_learning_rate(resolve("data", model, **settings), model) == usual


def test_a_run_that_diverged_at_once_keeps_its_folder_for_the_capture(scenes, tmp_path):
    config = resolve(scenes, "detr-tiny", learning_rate=1e30, warmup_steps=0, **SETTINGS)
    with pytest.raises(NonFiniteError):
        start_training(config, tmp_path / "run")
    assert is_capture(RunFolder(tmp_path / "run").capture(0))
