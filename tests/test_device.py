"""Training, resuming, predicting and explaining on SETPIECE_DEVICE: a small run of each kind of model."""

import numpy as np
import pytest
import torch

from setpiece import Detector
from setpiece.explain.explanation import explain_outputs
from setpiece.inference.predictor import Predictor
from setpiece.records import Outputs, Targets
from setpiece.runs.layout import RunFolder
from setpiece.setloss import training_criterion
from setpiece.training import loop
from setpiece.training.config import resolve
from setpiece.training.loop import Trainer
from setpiece.training.muon import polar
from setpiece.training.start import start_training

SETTINGS = {"size": 64, "batch_size": 4, "evaluations": 1, "epochs": 2, "workers": 1, "pretrained": False}
MODELS = ["sprint-n", "detr-tiny"]


@pytest.fixture(scope="module")
def runs(scenes, tmp_path_factory):
    """The folder and the result of a run of each model, in the precision of the device."""

    def run(model):
        folder = tmp_path_factory.mktemp("runs") / model
        return folder, start_training(resolve(scenes, model, **SETTINGS), folder)

    return {model: run(model) for model in MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_a_run_ends_with_finite_weights_on_the_cpu_and_a_whole_recording(runs, model):
    folder, result = runs[model]
    parameters = list(result.checkpoint.model.parameters())
    assert all(parameter.isfinite().all() for parameter in parameters)
    assert {parameter.device.type for parameter in parameters} == {"cpu"}
    rows = RunFolder(folder).metrics_rows()
    assert [row["step"] for row in rows] == [4, 8]
    assert all(np.isfinite(row["loss"]) for row in rows)
    assert len(list((folder / "recording").iterdir())) >= 4


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("model", MODELS)
def test_a_step_trains_on_the_device_in_either_precision(scenes, device, tmp_path, model, precision, monkeypatch):
    seen = []
    step = loop.Stepper.step

    def watched(self, batch, *args):
        seen.append((batch.images.pixels.device.type, step(self, batch, *args)))
        return seen[-1][1]

    monkeypatch.setattr(loop.Stepper, "step", watched)
    start_training(resolve(scenes, model, **SETTINGS | {"epochs": 1, "precision": precision}), tmp_path / "run")
    assert {where for where, _ in seen} == {device.type}
    assert {one.outputs.boxes.device.type for _, one in seen} == {device.type}
    assert all(np.isfinite(list(one.values.values())).all() for _, one in seen)


class StopError(Exception):
    """Ends a run as a kill would."""


def test_a_run_that_stops_and_goes_on_ends_near_the_uninterrupted_one(scenes, runs, tmp_path, monkeypatch):
    config = resolve(scenes, "sprint-n", **SETTINGS)

    def show(self):
        if self.position.step == 5:
            self._save_state()
            raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_show", show)
        with pytest.raises(StopError):
            start_training(config, tmp_path / "run")
    start_training(config, tmp_path / "run", resume=True)
    whole, resumed = (RunFolder(folder).metrics_rows()[-1] for folder in (runs["sprint-n"][0], tmp_path / "run"))
    assert resumed["step"] == whole["step"]
    assert resumed["loss"] == pytest.approx(whole["loss"], rel=0.05)


@pytest.mark.parametrize("model", MODELS)
def test_predictions_on_the_device_are_those_on_a_cpu(runs, device, model):
    checkpoint = runs[model][1].checkpoint
    pictures = [np.random.default_rng(seed).integers(0, 255, (60, 80, 3), np.uint8) for seed in range(2)]
    predictor = Predictor(checkpoint, precision="fp32")
    images = predictor.preprocess(pictures)
    expected = predictor.outputs(images)
    checkpoint.model.to(device)
    try:
        got = predictor.outputs(images)
        assert got.boxes.device.type == device.type
        torch.testing.assert_close(got.logits.cpu(), expected.logits, rtol=1e-2, atol=1e-2)
        found = Detector(model, checkpoint).predict(pictures, threshold=0.0)
        assert len(found) == 2
    finally:
        checkpoint.model.to("cpu")


def test_predictions_on_the_device_can_be_explained(device):
    generator = torch.Generator().manual_seed(0)
    outputs = Outputs(torch.randn(2, 1, 9, 3, generator=generator), torch.rand(2, 1, 9, 4, generator=generator))
    targets = Targets.from_list([{"labels": [1, 0], "boxes": [[0.5, 0.5, 0.2, 0.4], [0.2, 0.2, 0.1, 0.1]]}])
    on_device = Outputs(outputs.logits.to(device), outputs.boxes.to(device))
    criterion = training_criterion("softmax")
    got = explain_outputs(on_device, targets.to(device), ["cat", "dog"], criterion=criterion)
    assert got.pairs == explain_outputs(outputs, targets, ["cat", "dog"], criterion=criterion).pairs


def test_orthogonal_directions_are_computed_in_float32_on_the_device(device):
    """TF32 would be too coarse; PyTorch uses it for matrix products only where it is asked to."""
    matrices = torch.randn(3, 96, 128, generator=torch.Generator().manual_seed(0))
    exact = polar(matrices.double())
    torch.testing.assert_close(polar(matrices.to(device)).cpu().double(), exact, atol=1e-3, rtol=0)


def test_captured_steps_have_the_losses_of_the_others(scenes, device, tmp_path):
    if device.type != "cuda":
        pytest.skip("CUDA graphs need a GPU: tests/training/test_cuda_graphs.py has what does not.")
    losses = []
    for graphs in (False, True):
        settings = SETTINGS | {"epochs": 25, "precision": "fp32", "cuda_graphs": graphs, "first_scale": 1.0}
        start_training(resolve(scenes, "sprint-n", **settings), tmp_path / str(graphs))
        losses.append([row["loss"] for row in RunFolder(tmp_path / str(graphs)).metrics_rows()])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
