import pytest
import torch

from setpiece.records import Outputs, Targets
from setpiece.setloss import AuxiliaryLoss, SetCriterion, active_losses, auxiliary_losses, one_to_many_box_loss
from setpiece.setloss.auxiliary import MIN_IOU, one_to_many_targets
from setpiece.setloss.boxes import l1, overlaps

WEIGHTS = {"class": 2.0, "l1": 5.0, "giou": 2.0}


def crowd(counts=(3, 0, 5), layers=2, queries=40, noise=0.03, classes=2):
    """Targets, and predictions that lie around them."""
    generator = torch.Generator().manual_seed(0)
    objects = [
        {
            "labels": torch.randint(0, classes, (n,), generator=generator),
            "boxes": torch.rand(n, 4, generator=generator) * 0.4 + 0.2,
        }
        for n in counts
    ]
    boxes = torch.rand(layers, len(counts), queries, 4, generator=generator) * 0.4 + 0.2
    for b, one in enumerate(objects):
        for q in range(0, queries, 2):
            if len(one["boxes"]):
                around = one["boxes"][q // 2 % len(one["boxes"])]
                boxes[:, b, q] = around + noise * torch.rand(layers, 4, generator=generator)
    logits = torch.randn(layers, len(counts), queries, classes, generator=generator)
    return Outputs(logits, boxes.requires_grad_()), Targets.from_list(objects)


def matched_and_near(outputs, targets):
    return SetCriterion(form="sigmoid")(outputs, targets).match


def test_it_is_its_formula_written_with_loops():
    outputs, targets = crowd()
    match = matched_and_near(outputs, targets)
    count = int(targets.count.sum())
    total, trained = torch.tensor(0.0), 0
    for layer in range(2):
        losses = []
        for b, n in enumerate(targets.count.tolist()):
            for q in range(outputs.boxes.shape[2]):
                if q in match[layer, b, :n].tolist() or n == 0:
                    continue
                box = outputs.boxes[layer, b, q]
                ious = [overlaps(box, t)[0].item() for t in targets.boxes[b, :n]]
                nearest = max(range(n), key=ious.__getitem__)
                if ious[nearest] > MIN_IOU:
                    wanted = targets.boxes[b, nearest]
                    losses.append(5 * l1(box, wanted) + 2 * (1 - overlaps(box, wanted)[1]))
        total = total + sum(losses) / max(count, len(losses))
        trained += len(losses)
    assert trained > count  # the case where the near queries outnumber the targets, and their mean counts
    torch.testing.assert_close(one_to_many_box_loss(outputs, targets, match, WEIGHTS), total)


def test_only_queries_near_a_target_and_without_one_are_trained():
    outputs, targets = crowd()
    match = matched_and_near(outputs, targets)
    one_to_many_box_loss(outputs, targets, match, WEIGHTS).backward()
    trained = outputs.boxes.grad.ne(0).any(-1)
    assert trained.any()
    assert not trained[:, 1].any()  # the image without an object
    for layer, b, t in targets.present.expand_as(match).nonzero().tolist():
        assert not trained[layer, b, match[layer, b, t]]
    far = one_to_many_targets(outputs, targets, match) < 0
    assert not trained[far].any()


@pytest.mark.parametrize("counts", [(0, 0), (2, 0)])
def test_without_a_near_query_it_is_nought_with_finite_gradients(counts):
    outputs, targets = crowd(counts, noise=0.0, queries=4)
    match = matched_and_near(outputs, targets)
    loss = one_to_many_box_loss(Outputs(outputs.logits, outputs.boxes * 1e-3), targets, match, WEIGHTS)
    loss.backward()
    assert loss == 0
    assert outputs.boxes.grad.eq(0).all()


def test_padding_targets_change_nothing():
    outputs, targets = crowd()
    match = matched_and_near(outputs, targets)
    padded = Targets(
        torch.nn.functional.pad(targets.labels, (0, 4)),
        torch.nn.functional.pad(targets.boxes, (0, 0, 0, 4), value=0.5),
        targets.count,
    )
    more = torch.nn.functional.pad(match, (0, 4), value=-1)
    expected = one_to_many_box_loss(outputs, targets, match, WEIGHTS)
    torch.testing.assert_close(one_to_many_box_loss(outputs, padded, more, WEIGHTS), expected)


@pytest.mark.parametrize("counts", [(3, 1, 5, 2), (0, 1, 0, 0)])
def test_the_mean_of_gradients_over_processes_is_the_gradient_on_the_global_batch(counts):
    outputs, targets = crowd(counts)
    match = matched_and_near(outputs, targets)
    one_to_many_box_loss(outputs, targets, match, WEIGHTS).backward()
    whole, outputs.boxes.grad = outputs.boxes.grad, None
    parts = [slice(i, i + 1) for i in range(4)]

    def of(part, mean):
        own = Targets(targets.labels[part], targets.boxes[part], targets.count[part])
        return one_to_many_box_loss(
            Outputs(outputs.logits[:, part], outputs.boxes[:, part]), own, match[:, part], WEIGHTS, mean
        )

    seen = []
    for part in parts:
        of(part, lambda x: seen.append(x) or x)
    mean = torch.stack(seen).mean(0)
    (sum(of(part, lambda _: mean) for part in parts) / len(parts)).backward()
    assert whole.ne(0).any()
    torch.testing.assert_close(outputs.boxes.grad, whole)


def test_auxiliary_losses_are_summed_by_their_weights_while_they_are_on():
    outputs, targets = crowd()
    match = matched_and_near(outputs, targets)
    auxiliary = [
        AuxiliaryLoss("early", 0.5, until=0.25, loss=lambda *_: torch.tensor(8.0)),
        AuxiliaryLoss("late", 2.0, until=0.75, loss=lambda *_: torch.tensor(3.0)),
    ]
    for progress, total, names in ((0.0, 10, {"early", "late"}), (0.25, 6, {"late"}), (0.75, 0, set())):
        added, losses = active_losses(auxiliary, progress, outputs, targets, match, WEIGHTS)
        assert added == total
        assert losses.keys() == names


def test_the_recipe_has_the_one_to_many_box_loss_unless_its_weight_is_nought():
    outputs, targets = crowd()
    match = matched_and_near(outputs, targets)
    added, losses = active_losses(auxiliary_losses(0.5), 0.7, outputs, targets, match, WEIGHTS)
    expected = one_to_many_box_loss(outputs, targets, match, WEIGHTS)
    assert losses == {"one_to_many": expected}
    assert added == 0.5 * expected
    assert auxiliary_losses(0.0) == ()
