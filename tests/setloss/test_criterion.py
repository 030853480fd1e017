import pytest
import torch
from transformers import DetrConfig
from transformers.loss.loss_for_object_detection import ForObjectDetectionLoss

from setpiece.errors import DataError, NonFiniteCostError
from setpiece.records import Outputs, Targets
from setpiece.setloss import PAPER_WEIGHTS, SetCriterion, training_criterion

from .oracle import hungarian_loss
from .problems import random_problem, records


def gradients(total, *leaves):
    return torch.autograd.grad(total, leaves)


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
@pytest.mark.parametrize("counts", [[3, 0, 2], [0, 0], [6, 1], [1]])
def test_loss_and_gradients_equal_the_papers_formulas(form, counts):
    logits, boxes, targets = random_problem(2, 4, counts, 5, seed=1, dtype=torch.float64)
    losses = SetCriterion(form=form)(*records(logits, boxes, targets))
    expected = hungarian_loss(logits, boxes, targets, form)
    torch.testing.assert_close(losses.total, expected, rtol=1e-6, atol=1e-7)  # targets are float32
    got = torch.autograd.grad(losses.total, (logits, boxes), allow_unused=True)
    want = torch.autograd.grad(expected, (logits, boxes), allow_unused=True)
    for ours, oracle in zip(got, want, strict=True):
        zero = torch.zeros(())
        torch.testing.assert_close(
            ours if ours is not None else zero.expand_as(logits),
            (oracle if oracle is not None else torch.zeros_like(ours)).to(ours.dtype),
            rtol=1e-5,
            atol=1e-7,
        )


@pytest.mark.parametrize("shape", [(6, 100, [7, 3, 0, 12], 92), (3, 20, [25, 4], 11), (1, 10, [1], 2)])
def test_loss_and_gradients_equal_transformers_with_auxiliary_layers(shape):
    L, Q, counts, K = shape
    logits, boxes, targets = random_problem(L, Q, counts, K, seed=2)
    losses = SetCriterion()(*records(logits, boxes, targets))
    config = DetrConfig(num_labels=K - 1, auxiliary_loss=True)
    labels = [{"class_labels": t["labels"], "boxes": t["boxes"]} for t in targets]
    theirs, terms, _ = ForObjectDetectionLoss(logits[-1], labels, logits.device, boxes[-1], config, logits, boxes)

    torch.testing.assert_close(losses.total, theirs, rtol=1e-5, atol=0)
    for ours, name in (("class", "loss_ce"), ("l1", "loss_bbox"), ("giou", "loss_giou")):
        layers = [terms[f"{name}_{layer}"] for layer in range(L - 1)] + [terms[name]]
        torch.testing.assert_close(losses.terms[ours], torch.stack(layers), rtol=1e-5, atol=1e-7)
    for a, b in zip(gradients(losses.total, logits, boxes), gradients(theirs, logits, boxes), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_a_batch_without_any_object_trains_only_the_class_term(form):
    logits, boxes, targets = random_problem(2, 4, [0, 0], 5)
    losses = SetCriterion(form=form)(*records(logits, boxes, targets))
    losses.total.backward()
    assert losses.terms["l1"].tolist() == losses.terms["giou"].tolist() == [0, 0]
    assert (losses.terms["class"] > 0).all()
    assert logits.grad.abs().sum() > 0
    assert boxes.grad.abs().sum() == 0


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_padding_targets_change_nothing(form):
    logits, boxes, targets = random_problem(2, 6, [2, 3], 5)
    outputs, padded = records(logits, boxes, targets)
    junk = Targets(
        torch.cat([padded.labels, torch.ones(2, 4, dtype=torch.int64)], 1),
        torch.cat([padded.boxes, torch.rand(2, 4, 4)], 1),
        padded.count,
    )
    criterion = SetCriterion(form=form)
    plain, more = criterion(outputs, padded), criterion(outputs, junk)
    torch.testing.assert_close(more.total, plain.total)
    assert torch.equal(more.match[..., :3], plain.match)
    for a, b in zip(gradients(more.total, logits, boxes), gradients(plain.total, logits, boxes), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_predicted_boxes_without_area_have_finite_loss_and_gradients(form):
    logits, boxes, targets = random_problem(1, 3, [2], 4)
    with torch.no_grad():
        boxes[..., 2:] = 0
    losses = SetCriterion(form=form)(*records(logits, boxes, targets))
    assert losses.total.isfinite()
    assert all(g.isfinite().all() for g in gradients(losses.total, logits, boxes))


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_extreme_logits_have_finite_loss_and_gradients(form):
    logits, boxes, targets = random_problem(1, 3, [2], 4)
    with torch.no_grad():
        logits.copy_(torch.where(logits > 0, 1e4, -1e4))
    losses = SetCriterion(form=form)(*records(logits, boxes, targets))
    assert losses.total.isfinite()
    assert all(g.isfinite().all() for g in gradients(losses.total, logits, boxes))


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_the_mean_of_gradients_over_processes_is_the_gradient_on_the_global_batch(form):
    """Two processes hold 1 and 3 images; each is told the means that both would agree on."""
    logits, boxes, targets = random_problem(2, 6, [5, 0, 2, 8], 5)
    criterion = SetCriterion(form=form)
    whole = gradients(criterion(*records(logits, boxes, targets)).total, logits, boxes)

    def part(images, mean_over_processes):
        outputs = Outputs(logits[:, images], boxes[:, images])
        return criterion(outputs, Targets.from_list(targets[images]), mean_over_processes).total

    slices, seen = (slice(0, 1), slice(1, 4)), []
    for images in slices:
        normalisers = []
        part(images, lambda x, n=normalisers: n.append(x) or x)
        seen.append(normalisers)
    means = [(a + b) / 2 for a, b in zip(*seen, strict=True)]
    totals = []
    for images in slices:
        agreed = iter(means)
        totals.append(part(images, lambda _, a=agreed: next(a)))
    for a, b in zip(gradients((totals[0] + totals[1]) / 2, logits, boxes), whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_the_total_is_the_weighted_sum_of_the_terms_over_layers():
    logits, boxes, targets = random_problem(3, 6, [2, 4], 5)
    criterion = SetCriterion(weights={"class": 3.0, "l1": 7.0, "giou": 11.0}, cost_weights=PAPER_WEIGHTS)
    losses = criterion(*records(logits, boxes, targets))
    by_hand = 3 * losses.terms["class"].sum() + 7 * losses.terms["l1"].sum() + 11 * losses.terms["giou"].sum()
    torch.testing.assert_close(losses.total, by_hand)


def test_no_object_weight_down_weights_the_unmatched():
    logits, boxes, targets = random_problem(1, 50, [1], 5)
    with torch.no_grad():
        logits[..., -1] = -10  # every unmatched query is wrong
    light, heavy = (
        SetCriterion(no_object_weight=w)(*records(logits, boxes, targets)).terms["class"].item() for w in (0.0, 1.0)
    )
    assert light < 5 < heavy


@pytest.mark.parametrize(("form", "classes"), [("softmax", 4), ("sigmoid", 5)])
def test_a_class_that_the_model_does_not_have_is_an_error_that_names_the_target(form, classes):
    logits, boxes, targets = random_problem(1, 6, [2, 3], 5)
    targets[1]["labels"][2] = classes
    with pytest.raises(DataError, match=rf"Target 2 of image 1 .* class {classes}, .* 0 to {classes - 1}"):
        SetCriterion(form=form)(*records(logits, boxes, targets))


def test_nan_is_never_trained_on():
    logits, boxes, targets = random_problem(1, 3, [2], 4)
    with torch.no_grad():
        logits[0, 0, 0, 0] = float("nan")
    with pytest.raises(NonFiniteCostError, match="Layer 0, image 0, query 0"):
        SetCriterion()(*records(logits, boxes, targets))


def test_models_are_trained_by_the_papers_loss_or_in_the_sigmoid_form_with_the_class_term_counted_twice():
    assert training_criterion("softmax") == SetCriterion()
    assert training_criterion("sigmoid") == SetCriterion(form="sigmoid", weights={"class": 2.0, "l1": 5.0, "giou": 2.0})
