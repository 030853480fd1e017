"""A batch that is computed in shares."""

import copy
import json

import pytest
import torch
from accelerate import Accelerator

from setpiece.data.batching import TrainImages, collate
from setpiece.errors import OutOfMemoryError
from setpiece.model.checkpoint import create
from setpiece.records import InputSize, Outputs
from setpiece.setloss import training_criterion
from setpiece.training import step as stepping
from setpiece.training.config import resolve
from setpiece.training.display import Display
from setpiece.training.shares import Shares
from setpiece.training.start import open_data, start_training

from .distributed_run import freeze


@pytest.fixture(scope="module")
def batch(scenes):
    dataset, _ = open_data(scenes)
    images = TrainImages(dataset, InputSize(64, 64))
    checkpoint = create("detr-tiny", dataset.classes)
    return collate([images[0, index, 1.0] for index in range(6)], checkpoint.mean, checkpoint.std)


def gradients(model, batch):
    model.zero_grad()
    outputs = model(batch.images.pixels, batch.images.padding)
    module = getattr(model, "module", model)
    training_criterion(module.form)(outputs, batch.targets).total.backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("preset", ["detr-tiny", "sprint-n"])
@pytest.mark.parametrize("count", [2, 4, 6, 9])
def test_shares_have_the_gradient_of_the_whole_batch(scenes, batch, preset, count):
    torch.manual_seed(0)
    model = create(preset, open_data(scenes)[0].classes).model.train()
    freeze(model)  # batch norm takes its statistics from a share
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    whole = gradients(model, batch)
    shared = gradients(Shares(model, count), batch)
    assert whole.keys() == shared.keys()
    for name, gradient in whole.items():
        assert (shared[name] - gradient).norm() <= 1e-2 * gradient.norm() + 1e-5


def test_a_share_that_is_computed_twice_drops_the_same(scenes, batch):
    model = create("detr-tiny", open_data(scenes)[0].classes).model.train()
    freeze(model)
    dropouts = [module for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert dropouts
    for module in dropouts:
        module.p = 0.5

    class InTurn(torch.nn.Module):
        """What `Shares` stands for, with all that the backward pass needs kept."""

        module = model

        def forward(self, images, padding):
            halves = [model(images[half], padding[half]) for half in (slice(0, 3), slice(3, 6))]
            return Outputs(torch.cat([of.logits for of in halves], 1), torch.cat([of.boxes for of in halves], 1))

    torch.manual_seed(0)
    kept = gradients(InTurn(), batch)
    torch.manual_seed(0)
    again = gradients(Shares(model, 2), batch)
    assert kept.keys() == again.keys()
    for name, gradient in kept.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-3, atol=1e-5 * max(1, gradient.abs().max().item()))


def test_how_a_step_is_divided_is_saved(scenes):
    config = resolve(scenes, "detr-tiny", **SETTINGS)
    stepper = stepping.Stepper(create("detr-tiny", ["one"]).model, config, Accelerator(cpu=True), 8)
    stepper._divide(4)
    again = stepping.Stepper(create("detr-tiny", ["one"]).model, config, Accelerator(cpu=True), 8)
    again.load_state_dict(stepper.state_dict())
    assert again.shares.count == 4
    assert again.replicas is None


def test_a_share_that_is_computed_twice_counts_once_in_the_running_statistics(scenes, batch):
    model = create("sprint-n", open_data(scenes)[0].classes).model.train()
    once = copy.deepcopy(model)
    gradients(Shares(model, 2), batch)
    with torch.no_grad():
        for half in (slice(0, 3), slice(3, 6)):
            once(batch.images.pixels[half], batch.images.padding[half])
    statistics = {name: buffer for name, buffer in model.named_buffers() if "running" in name}
    assert statistics
    for name, buffer in once.named_buffers():
        if name in statistics:
            torch.testing.assert_close(statistics[name], buffer)


class Saying(Display):
    def __init__(self):
        super().__init__()
        self.said = []

    def say(self, text):
        self.said.append(text)


def short_of_memory(monkeypatch, images):
    """Memory for a forward pass of so many images."""
    forward = stepping.Shares.forward

    def limited(self, pixels, padding):
        if -(-len(pixels) // self.count) > images:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return forward(self, pixels, padding)

    monkeypatch.setattr(stepping.Shares, "forward", limited)
    monkeypatch.setattr(stepping, "replica_count", lambda *_: 1)


SETTINGS = {"size": 64, "batch_size": 8, "evaluations": 1, "precision": "fp32", "epochs": 1}


def test_a_step_that_runs_out_of_memory_is_computed_in_more_shares(scenes, tmp_path, monkeypatch):
    short_of_memory(monkeypatch, images=2)
    display = Saying()
    start_training(resolve(scenes, "detr-tiny", **SETTINGS), tmp_path / "run", display=display)
    said = [line for line in display.said if "Memory" in line]
    assert said == ["Memory ran out: each step is now computed in 4 shares, one after the other."]
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert row["step"] == 2


def test_an_image_that_does_not_fit_ends_the_run_with_what_to_do(scenes, tmp_path, monkeypatch):
    short_of_memory(monkeypatch, images=0)
    with pytest.raises(OutOfMemoryError, match="with one image at a time: take a smaller --size"):
        start_training(resolve(scenes, "detr-tiny", **SETTINGS), tmp_path / "run")


def test_another_error_of_a_step_is_not_taken_for_a_lack_of_memory(scenes, tmp_path, monkeypatch):
    def failing(*_):
        raise RuntimeError("other")

    monkeypatch.setattr(stepping.Shares, "forward", failing)
    monkeypatch.setattr(stepping, "replica_count", lambda *_: 1)
    with pytest.raises(RuntimeError, match="other"):
        start_training(resolve(scenes, "detr-tiny", **SETTINGS), tmp_path / "run")
