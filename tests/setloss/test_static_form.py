"""The criterion where it may not read values: on a GPU, which is not here, or compiled."""

import pytest
import torch

from setpiece.errors import DataError, NonFiniteCostError
from setpiece.records import Outputs, Targets
from setpiece.setloss import SetCriterion, active_losses, assign, auxiliary_losses, criterion, matching
from setpiece.setloss.assignment import NO_FAULT, assign_padded

from .fake_gpu import fake_gpu
from .problems import random_problem, records

FORMS = pytest.mark.parametrize("form", ["softmax", "sigmoid"])


@pytest.fixture
def static(monkeypatch):
    """`static(...)` computes the losses on the CPU in the form that they have on a GPU."""

    def losses_of(form, outputs, targets):
        with monkeypatch.context() as patch:
            patch.setattr(matching, "may_read", lambda _: False)
            patch.setattr(criterion, "may_read", lambda _: False)
            return SetCriterion(form=form)(outputs, targets)

    return losses_of


def padded_to(targets, T):
    more = T - targets.labels.shape[1]
    return Targets(
        torch.nn.functional.pad(targets.labels, (0, more), value=10**6),  # nothing may be looked up by it
        torch.nn.functional.pad(targets.boxes, (0, 0, 0, more), value=float("nan")),
        targets.count,
    )


@FORMS
@pytest.mark.parametrize("counts", [[3, 0, 2], [0, 0], [9, 1], [1], [4, 4]])
def test_values_and_gradients_are_those_of_the_ragged_form(static, form, counts):
    logits, boxes, targets = random_problem(3, 6, counts, 5, seed=4)
    outputs, targets = records(logits, boxes, targets)
    expected, got = SetCriterion(form=form)(outputs, targets), static(form, outputs, targets)
    assert got.match.equal(expected.match)
    assert got.fault.item() == expected.fault.item() == NO_FAULT
    torch.testing.assert_close((got.total, got.terms), (expected.total, expected.terms))
    wanted = torch.autograd.grad(expected.total, (logits, boxes))
    torch.testing.assert_close(torch.autograd.grad(got.total, (logits, boxes)), wanted)


@FORMS
def test_the_number_of_padded_targets_changes_nothing(static, form):
    logits, boxes, targets = random_problem(2, 6, [3, 0, 2], 5, seed=5)
    outputs, targets = records(logits, boxes, targets)
    expected = static(form, outputs, targets)
    more = Targets(*(torch.cat([x, torch.zeros_like(x)], 1) for x in (targets.labels, targets.boxes)), targets.count)
    got = static(form, outputs, more)
    assert got.match[..., :3].equal(expected.match)
    torch.testing.assert_close(got.total, expected.total)


@FORMS
def test_what_is_in_the_padding_is_not_looked_at_by_the_matching(static, form):
    logits, boxes, targets = random_problem(2, 6, [3, 0, 2], 5, seed=5)
    outputs, targets = records(logits, boxes, targets)
    got = static(form, outputs, padded_to(targets, 5))
    assert got.fault.item() == NO_FAULT
    assert got.match[..., :3].equal(SetCriterion(form=form)(outputs, targets).match)


@FORMS
def test_on_a_gpu_nothing_is_read_or_copied_and_no_shape_depends_on_values(form):
    with fake_gpu():
        logits, boxes = (torch.rand(3, 2, 10, width, device="cuda") for width in (5, 4))
        labels, count = (torch.zeros(shape, dtype=torch.int64, device="cuda") for shape in ((2, 4), (2,)))
        outputs, targets = Outputs(logits, boxes), Targets(labels, torch.rand(2, 4, 4, device="cuda"), count)
        found = SetCriterion(form=form)(outputs, targets)
        weights = SetCriterion(form=form).weights
        active_losses(auxiliary_losses(1.0), 0.0, outputs, targets, found.match, weights)
        assert found.match.device.type == found.total.device.type == "cuda"


@FORMS
def test_nor_in_the_backward_pass(form):
    """On tensors without values again, but of a device that PyTorch differentiates on everywhere."""
    logits, boxes = (torch.rand(3, 2, 10, width, device="meta").requires_grad_() for width in (5, 4))
    labels, count = (torch.zeros(shape, dtype=torch.int64, device="meta") for shape in ((2, 4), (2,)))
    targets = Targets(labels, torch.rand(2, 4, 4, device="meta"), count)
    SetCriterion(form=form)(Outputs(logits, boxes), targets).total.backward()
    assert logits.grad.shape == logits.shape
    assert boxes.grad.shape == boxes.shape


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("field", ["logits", "boxes"])
@pytest.mark.parametrize("image", [0, 1])
def test_a_prediction_that_is_not_finite_makes_the_loss_nan_and_is_an_error_when_it_is_read(
    static, field, value, image
):
    logits, boxes, targets = random_problem(3, 5, [2, 0], 4)
    with torch.no_grad():
        {"logits": logits, "boxes": boxes}[field][2, image, 3, 0] = value  # an image without targets is looked at too
    outputs, targets = records(logits, boxes, targets)
    losses = static("softmax", outputs, targets)
    assert losses.total.isnan()
    assert losses.fault.item() == (2 * 2 + image) * 5 + 3
    with pytest.raises(NonFiniteCostError, match=f"Layer 2, image {image}, query 3: the predicted {field}"):
        SetCriterion().require_no_fault(outputs, targets, losses)


def test_boxes_too_large_to_compare_and_target_boxes_that_are_not_finite_are_errors_when_the_loss_is_read(static):
    logits, boxes, targets = random_problem(1, 3, [1], 4)
    outputs, targets = records(logits, boxes, targets)
    with torch.no_grad():
        boxes[0, 0, 1] = 1e30
    losses = static("softmax", outputs, targets)
    with pytest.raises(NonFiniteCostError, match=r"Layer 0, image 0, query 1: the cost of matching target 0"):
        SetCriterion().require_no_fault(outputs, targets, losses)
    with torch.no_grad():
        boxes[0, 0, 1] = 0.5
    targets.boxes[0, 0, 2] = float("nan")
    losses = static("softmax", outputs, targets)
    with pytest.raises(NonFiniteCostError, match=r"target box .*nan"):
        SetCriterion().require_no_fault(outputs, targets, losses)


@FORMS
@pytest.mark.parametrize("label", [-1, 5])
def test_a_class_that_the_model_does_not_have_is_an_error_when_the_loss_is_read(static, form, label):
    logits, boxes, targets = random_problem(1, 6, [2, 3], 5)
    outputs, targets = records(logits, boxes, targets)
    targets.labels[1, 2] = label
    losses = static(form, outputs, targets)
    assert losses.total.isnan()
    with pytest.raises(DataError, match=rf"Target 2 of image 1 .* class {label}"):
        SetCriterion(form=form).require_no_fault(outputs, targets, losses)


def test_no_fault_is_no_error(static):
    outputs, targets = records(*random_problem(1, 3, [1], 4))
    for losses in (static("softmax", outputs, targets), SetCriterion()(outputs, targets)):
        SetCriterion().require_no_fault(outputs, targets, losses)


def test_the_operator_matches_as_assign_does_and_reports_the_first_cost_that_is_not_finite():
    cost, count = torch.rand(6, 4, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([4, 0, 2])
    match, fault = assign_padded(cost, count)
    assert match.equal(assign(cost, count.repeat(2)))
    assert fault.item() == NO_FAULT
    cost[2, 3] = cost[5, 1, 4] = float("inf")  # the first is padding
    match, fault = assign_padded(cost, count)
    assert fault.item() == 5 * 5 + 4
    assert match[5].tolist()[1:] == [-1, -1, -1]
    assert match[:5].equal(assign(cost[:5], torch.tensor([4, 0, 2, 4, 0])))


def test_the_operator_is_one_that_pytorch_can_trace():
    torch.library.opcheck(assign_padded, (torch.rand(6, 4, 5), torch.tensor([4, 0, 2])))
