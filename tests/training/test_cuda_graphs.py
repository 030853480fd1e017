"""Steps in CUDA graphs, as far as there is no GPU: what is captured, with which tensors, and when."""

import pytest
import torch
from accelerate import Accelerator

from setpiece.data.batching import TrainImages, collate
from setpiece.errors import NonFiniteCostError, OutOfMemoryError, UsageError
from setpiece.model.checkpoint import create
from setpiece.records import InputSize, Outputs, Targets
from setpiece.setloss import SetCriterion, active_losses, auxiliary_losses
from setpiece.training import cuda_graphs
from setpiece.training.config import resolve
from setpiece.training.cuda_graphs import (
    MOST_BUCKETS,
    WARM_UP,
    Computed,
    GraphedGradients,
    GraphedUpdate,
    require_graphs,
)
from setpiece.training.muon import Muon
from setpiece.training.start import open_data, start_training
from setpiece.training.step import Stepper

from ..setloss.fake_gpu import fake_gpu


class SameTensors:
    """Runs captured work as a graph does: its results are always in the tensors of the first time."""

    def __init__(self):
        self.captured = 0

    def __call__(self, work):
        self.captured += 1
        results = []

        def replay():
            results.append(work())
            for kept, new in zip(tensors(results[0]), tensors(results[-1]), strict=True):
                kept.copy_(new)
            return results[0]

        return replay


def tensors(computed):
    if computed is None:
        return []
    losses = computed.losses
    every = [computed.outputs.logits, computed.outputs.boxes, losses.total, losses.match, losses.fault, computed.total]
    return every + list(losses.terms.values()) + list(computed.auxiliary.values())


@pytest.fixture(scope="module")
def batches(scenes):
    """Eight batches: images of two sizes in turn, and different numbers of targets."""
    dataset, _ = open_data(scenes)
    checkpoint = create("sprint-n", dataset.classes)
    images = {side: TrainImages(dataset, InputSize(side, side)) for side in (64, 96)}
    return [
        collate([images[side][0, first + i, 1.0] for i in range(2)], checkpoint.mean, checkpoint.std)
        for first in range(0, 16, 4)
        for side in (64, 96)
    ]


def stepper_of(scenes, **settings):
    dataset, _ = open_data(scenes)
    torch.manual_seed(0)
    model = create("sprint-n", dataset.classes).model
    config = resolve(scenes, "sprint-n", precision="fp32", batch_size=2, warmup_steps=0, **settings)
    stepper = Stepper(model, config, Accelerator(cpu=True, mixed_precision="no"), batch_size=2)
    stepper.model.train()
    return stepper


def test_captured_steps_have_the_losses_and_the_weights_of_the_others(scenes, batches):
    eager, graphed, capture = stepper_of(scenes), stepper_of(scenes), SameTensors()
    graphed.use_graphs(capture)
    kept = []
    for number, batch in enumerate(batches):
        progress = number / len(batches)
        expected, got = eager.step(batch, number, progress), graphed.step(batch, number, progress)
        assert got.values == pytest.approx(expected.values, rel=1e-2)
        assert got.losses.match.shape == expected.losses.match.shape
        assert expected.values.keys() == got.values.keys()
        kept.append((got.outputs.boxes, got.outputs.boxes.clone()))
    assert capture.captured >= 3  # two sizes of images, and the update
    assert all(now.equal(then) for now, then in kept), "a later step wrote into what an earlier one returned"
    for (name, mine), theirs in zip(graphed.trained.named_parameters(), eager.trained.parameters(), strict=True):
        assert (mine - theirs).norm() <= 0.05 * theirs.norm() + 1e-3, name


def test_the_state_that_is_saved_does_not_show_that_steps_were_captured(scenes, batches):
    eager, graphed = stepper_of(scenes), stepper_of(scenes)
    graphed.use_graphs(SameTensors())
    for number, batch in enumerate(batches[:4]):
        eager.step(batch, number, 0.0)
        graphed.step(batch, number, 0.0)
    for mine, theirs in zip(graphed.state_dict()["optimisers"], eager.state_dict()["optimisers"], strict=True):
        assert mine["param_groups"] == theirs["param_groups"]


def test_a_prediction_that_is_not_finite_is_said_of_a_captured_step_too(scenes, batches):
    stepper = stepper_of(scenes)
    stepper.use_graphs(SameTensors())
    for number in range(WARM_UP + 1):
        stepper.step(batches[0], number, 0.0)
    with torch.no_grad():
        stepper.trained.class_heads[0].bias[0] = float("nan")
    with pytest.raises(NonFiniteCostError, match="Layer 0, image 0"):
        stepper.step(batches[0], WARM_UP + 1, 0.0)


def test_memory_that_runs_out_is_an_error_as_a_graph_cannot_be_divided(scenes, batches, monkeypatch):
    stepper = stepper_of(scenes)
    stepper.use_graphs(SameTensors())

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(stepper, "compute", full)
    with pytest.raises(OutOfMemoryError, match="train without --cuda-graphs"):
        stepper.step(batches[0], 0, 0.0)


def test_a_run_whose_steps_were_divided_is_not_resumed_with_graphs(scenes):
    divided, graphed = stepper_of(scenes), stepper_of(scenes)
    graphed.use_graphs(SameTensors())
    with pytest.raises(UsageError, match="divided each step into 2 shares"):
        graphed.load_state_dict(divided.state_dict() | {"shares": 2})


def graphed(compute, active=lambda _: ()):
    capture = SameTensors()
    return GraphedGradients(compute, active, capture), capture


def of_targets(batch):
    """Losses that are numbers of the batch."""
    total = batch.images.pixels.sum() + batch.targets.present.sum()
    match = torch.where(batch.targets.present, batch.targets.labels, -1)[None]
    outputs = Outputs(total.view(1, 1, 1, 1), total.repeat(1, 1, 1, 4))
    losses = SetCriterion()(Outputs(torch.zeros(1, 1, 9, 4), torch.rand(1, 1, 9, 4)), Targets.none(1))
    return Computed(outputs, type(losses)(total, {"l1": total[None]}, match, losses.fault), total, {})


def test_numbers_of_targets_up_to_the_next_power_of_two_share_a_graph(batches):
    computed, capture = graphed(lambda batch, _: of_targets(batch))
    for batch in batches * 3:
        got, expected = computed(batch, 0.0), of_targets(batch)
        assert got.total.item() == pytest.approx(expected.total.item(), rel=1e-5)
        assert got.losses.match.equal(expected.losses.match)
    assert capture.captured == len(computed.buckets) == 2


def test_a_loss_that_is_switched_off_takes_another_graph(batches):
    seen = []

    def compute(batch, progress):
        seen.append(progress)
        return of_targets(batch)

    computed, capture = graphed(compute, active=lambda progress: ("one_to_many",) if progress < 0.5 else ())
    for progress in (0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8):
        computed(batches[0], progress)
    assert capture.captured == 2
    assert len(seen) == 7


def test_a_size_beyond_the_most_takes_the_place_of_the_one_that_was_not_in_use_for_longest(batches):
    computed, capture = graphed(lambda batch, _: of_targets(batch))
    for batch in batches[:2] * (WARM_UP + 1):  # two sizes
        computed(batch, 0.0)
    first, second = computed.buckets
    computed.buckets |= dict.fromkeys(range(MOST_BUCKETS - 2))
    computed(batches[0], 0.0)
    computed.active = lambda _: ("another",)
    for _ in range(WARM_UP + 1):
        computed(batches[0], 0.0)
    assert capture.captured == 3
    assert len(computed.buckets) == MOST_BUCKETS
    assert first in computed.buckets
    assert second not in computed.buckets


def test_before_its_graph_a_batch_is_computed_with_the_shapes_and_tensors_of_the_graph(batches):
    seen = []

    def compute(batch, _):
        seen.append(batch)
        return of_targets(batch)

    computed, _ = graphed(compute)
    for _ in range(WARM_UP + 1):
        computed(batches[0], 0.0)
    assert len(seen) == WARM_UP + 1
    assert all(batch is seen[0] for batch in seen)
    assert seen[0].targets.labels.shape[1] >= batches[0].targets.labels.shape[1]


@pytest.mark.parametrize(
    ("device", "processes", "shares", "said"),
    [("cpu", 1, 1, "needs an NVIDIA GPU"), ("cuda", 2, 1, "one process"), ("cuda", 1, 2, "without --accumulate")],
)
def test_where_steps_cannot_be_captured_a_sentence_says_so(monkeypatch, device, processes, shares, said):
    monkeypatch.setattr(cuda_graphs, "has_kernel", lambda: True)
    with pytest.raises(UsageError, match=said):
        require_graphs(torch.device(device), processes, shares)


def test_graphs_are_refused_without_the_kernel(monkeypatch):
    monkeypatch.setattr(cuda_graphs, "has_kernel", lambda: False)
    with pytest.raises(UsageError, match="a C compiler and Python's headers"):
        require_graphs(torch.device("cuda"), 1, 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="There is a GPU.")
def test_a_run_with_graphs_is_refused_without_a_gpu_and_leaves_nothing(scenes, tmp_path):
    with pytest.raises(UsageError, match="--cuda-graphs needs an NVIDIA GPU"):
        start_training(resolve(scenes, "sprint-n", cuda_graphs=True, size=64, epochs=1), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_captured_update_follows_the_learning_rate():
    """With the rates that the groups had when the update was captured, as in a graph."""
    eager, graphed = (Muon([torch.nn.Parameter(torch.ones(40, 60))], lr=0.1, weight_decay=0.1) for _ in range(2))

    def capture(work):
        kept = graphed.param_groups[0]["lr"]

        def replay():
            now = graphed.param_groups[0]["lr"]
            graphed.param_groups[0]["lr"] = kept
            work()
            graphed.param_groups[0]["lr"] = now

        return replay

    update = GraphedUpdate(graphed.step, [graphed], capture)
    for rate in (0.1, 0.2, 0.0, 0.05):
        gradient = torch.randn(40, 60, generator=torch.Generator().manual_seed(int(100 * rate)))
        for optimiser in (eager, graphed):
            optimiser.param_groups[0]["lr"] = rate
            optimiser.param_groups[0]["params"][0].grad = gradient
        eager.step()
        update()
        mine, theirs = (optimiser.param_groups[0]["params"][0] for optimiser in (graphed, eager))
        torch.testing.assert_close(mine, theirs)
        assert graphed.param_groups[0]["lr"] == rate


@pytest.mark.parametrize("preset", ["sprint-n", "detr-tiny"])
def test_a_forward_pass_and_its_losses_copy_nothing_to_or_from_a_gpu(preset):
    model = create(preset, ["a", "b"]).model.train()
    with fake_gpu():
        weights = [*model.named_parameters(), *model.named_buffers()]
        weights = {name: torch.empty(weight.shape, dtype=weight.dtype, device="cuda") for name, weight in weights}
        pixels = torch.rand(2, 3, 64, 64, device="cuda")
        padding = torch.zeros(2, 64, 64, dtype=torch.bool, device="cuda")
        outputs = torch.func.functional_call(model, weights, (pixels, padding))
        labels, count = (torch.zeros(shape, dtype=torch.int64, device="cuda") for shape in ((2, 8), (2,)))
        targets = Targets(labels, torch.rand(2, 8, 4, device="cuda"), count)
        criterion = SetCriterion(form=model.form)
        losses = criterion(outputs, targets)
        active_losses(auxiliary_losses(1.0), 0.0, outputs, targets, losses.match, criterion.weights)


def test_nor_does_an_update_of_the_weights_whose_rates_are_tensors():
    with fake_gpu():
        shapes = (40, 60), (60, 40), (16, 8, 3, 3)
        weights = [torch.nn.Parameter(torch.empty(shape, device="cuda")) for shape in shapes]
        for weight in weights:
            weight.grad = torch.empty(weight.shape, device="cuda")
        optimiser = Muon(weights, lr=0.1)
        optimiser.param_groups[0]["lr"] = torch.zeros((), device="cuda")
        optimiser.step()
