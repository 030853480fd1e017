"""The set prediction loss on SETPIECE_DEVICE beside the one on a CPU. On a GPU, what only a GPU can show as well."""

import contextlib

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from setpiece.errors import DataError, NonFiniteCostError
from setpiece.records import Outputs, Targets
from setpiece.setloss import SetCriterion, active_losses, assign, auxiliary_losses, match, pair_costs

from .problems import random_problem, records

FORMS = pytest.mark.parametrize("form", ["softmax", "sigmoid"])


@pytest.fixture
def nothing_waits(device):
    """A context in which waiting for the device is an error."""

    @contextlib.contextmanager
    def context():
        if device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            if device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")

    return context


def on(device, outputs, targets):
    """Leaves that need gradients, and the targets."""
    leaves = [x.detach().to(device).requires_grad_() for x in (outputs.logits, outputs.boxes)]
    return leaves, targets.to(device)


def loss_of(form, leaves, targets):
    outputs = Outputs(*leaves)
    criterion = SetCriterion(form=form)
    losses = criterion(outputs, targets)
    added, _ = active_losses(auxiliary_losses(1.0), 0.0, outputs, targets, losses.match, criterion.weights)
    return losses, losses.total + added


@FORMS
@pytest.mark.parametrize("counts", [[3, 0, 2], [0, 0], [30, 9], [1], [4, 4]])
def test_values_and_gradients_are_those_of_a_cpu_and_nothing_waits(device, nothing_waits, form, counts):
    outputs, targets = records(*random_problem(3, 20, counts, 5, seed=4))
    here, there = on("cpu", outputs, targets)[0], on(device, outputs, targets)
    expected, expected_total = loss_of(form, here, targets)
    loss_of(form, *there)  # compiles the kernel, and reads files
    with nothing_waits():
        losses, got = loss_of(form, *there)
        gradients = torch.autograd.grad(got, there[0])
    assert losses.match.cpu().equal(expected.match)
    torch.testing.assert_close(got.cpu(), expected_total, rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(gradients, torch.autograd.grad(expected_total, here), strict=True):
        torch.testing.assert_close(mine.cpu(), theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(("T", "Q"), [(12, 20), (40, 17), (100, 300), (3, 900)])
@pytest.mark.parametrize("ties", [False, True])
def test_assignments_have_scipys_total_cost(device, T, Q, ties, dtype):
    generator = torch.Generator().manual_seed(T * Q)
    cost = torch.randint(0, 4, (8, T, Q), generator=generator) if ties else torch.randn(8, T, Q, generator=generator)
    cost, count = cost.to(dtype), torch.randint(0, T + 1, (8,), generator=generator)
    chosen = assign(cost.to(device), count.to(device)).cpu()
    for rows, n, queries in zip(cost.double(), count.tolist(), chosen, strict=True):
        matched = queries >= 0
        assert queries[matched].unique().numel() == matched.sum() == min(n, Q)
        total = rows[matched.nonzero()[:, 0], queries[matched]].sum().item()
        best = rows[:n].numpy()[linear_sum_assignment(rows[:n].numpy())].sum()
        assert total == pytest.approx(best, rel=1e-5, abs=1e-4)


def test_what_is_wrong_is_an_error_when_the_losses_are_read(device):
    outputs, targets = records(*random_problem(3, 5, [2, 0], 4))
    leaves, targets = on(device, outputs, targets)
    wrong = [leaf.detach().clone() for leaf in leaves]
    wrong[0][2, 1, 3, 0] = float("nan")

    def read(outputs, targets):
        criterion = SetCriterion()
        criterion.require_no_fault(outputs, targets, criterion(outputs, targets))

    read(Outputs(*leaves), targets)
    with pytest.raises(NonFiniteCostError, match="Layer 2, image 1, query 3: the predicted logits"):
        read(Outputs(*wrong), targets)
    unknown = Targets(targets.labels + 9, targets.boxes, targets.count)
    with pytest.raises(DataError, match="Target 0 of image 0"):
        read(Outputs(*leaves), unknown)


@pytest.mark.parametrize("look", [match, pair_costs])
def test_what_looks_at_a_match_raises_at_once(device, look):
    outputs, targets = records(*random_problem(3, 5, [2, 1], 4))
    (logits, boxes), targets = on(device, outputs, targets)
    look(Outputs(logits.detach(), boxes.detach()), targets)
    with torch.no_grad():
        boxes[1, 0, 2, 3] = float("inf")
    with pytest.raises(NonFiniteCostError, match="Layer 1, image 0, query 2: the predicted boxes"):
        look(Outputs(logits.detach(), boxes.detach()), targets)


@FORMS
def test_a_captured_loss_is_that_of_the_targets_it_is_replayed_with(device, form):
    if device.type != "cuda":
        pytest.skip("CUDA graphs need a GPU: tests/training/test_cuda_graphs.py has what does not.")
    outputs, targets = records(*random_problem(3, 20, [8, 5], 5, seed=4))
    leaves, targets = on(device, outputs, targets)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            torch.autograd.grad(loss_of(form, leaves, targets)[1], leaves)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        losses, total = loss_of(form, leaves, targets)
        gradients = torch.autograd.grad(total, leaves)
    for seed, counts in enumerate(([3, 0], [8, 8], [0, 0], [1, 7])):
        new, _ = records(*random_problem(3, 20, counts, 5, seed=seed))
        _, other = records(*random_problem(3, 20, [8, 8], 5, seed=seed))
        with torch.no_grad():
            for leaf, values in zip(leaves, (new.logits, new.boxes), strict=True):
                leaf.copy_(values)
        other = Targets(other.labels, other.boxes, torch.tensor(counts))
        for kept, values in zip((targets.labels, targets.boxes, targets.count), vars(other).values(), strict=True):
            kept.copy_(values)
        graph.replay()
        here = [leaf.detach().cpu().requires_grad_() for leaf in leaves]
        expected, expected_total = loss_of(form, here, other)
        assert losses.match.cpu().equal(expected.match)
        torch.testing.assert_close(total.cpu(), expected_total, rtol=1e-5, atol=1e-6)
        for mine, theirs in zip(gradients, torch.autograd.grad(expected_total, here), strict=True):
            torch.testing.assert_close(mine.cpu(), theirs, rtol=1e-4, atol=1e-6)
