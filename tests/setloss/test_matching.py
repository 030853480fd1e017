import pytest
import torch

from setpiece.errors import NonFiniteCostError
from setpiece.setloss import PairCosts, match, matching_weights, pair_costs

from .oracle import best_pairs, cost_of_pair
from .problems import random_problem, records


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_pair_costs_and_match_equal_the_formulas_and_the_best_permutation(form):
    counts = [3, 0, 5, 1]
    logits, boxes, targets = random_problem(2, 4, counts, 6, seed=3, dtype=torch.float64)
    outputs, padded = records(logits, boxes, targets)
    total = pair_costs(outputs, padded, form).total(matching_weights(form))
    found = match(outputs, padded, form)
    for layer in range(2):
        for image, target in enumerate(targets):
            expected = [
                [cost_of_pair(logits[layer, image, q], boxes[layer, image, q], c, box, form).item() for q in range(4)]
                for c, box in zip(target["labels"].tolist(), target["boxes"], strict=True)
            ]
            if not expected:
                assert (found[layer, image] == -1).all()
                continue
            rows = total[layer, image, : counts[image]]
            torch.testing.assert_close(rows, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=1e-6)
            pairs = [(t, q) for t, q in enumerate(found[layer, image].tolist()) if q >= 0]
            assert pairs == sorted(best_pairs(expected))


def test_total_is_the_weighted_sum_of_the_three_terms():
    terms = {"class": 1.0, "l1": 10.0, "giou": 100.0}
    costs = PairCosts({name: torch.full((1, 1, 1, 1), cost) for name, cost in terms.items()})
    assert costs.total({"class": 1.0, "l1": 2.0, "giou": 3.0}).item() == 321
    assert costs.terms["l1"].item() == 10  # the terms are left as they were


def test_weights_steer_the_match():
    """Query 0 has the right class, query 1 the right box."""
    logits = torch.tensor([[[[5.0, 0.0], [0.0, 5.0]]]])
    right, wrong = [0.5, 0.5, 0.2, 0.2], [0.6, 0.5, 0.2, 0.2]
    boxes = torch.tensor([[[wrong, right]]])
    outputs, targets = records(logits, boxes, [{"labels": torch.tensor([0]), "boxes": torch.tensor([right])}])
    assert match(outputs, targets, weights={"class": 10.0, "l1": 1.0, "giou": 0.0}).item() == 0
    assert match(outputs, targets, weights={"class": 0.0, "l1": 1.0, "giou": 1.0}).item() == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("field", ["logits", "boxes"])
def test_a_non_finite_prediction_is_named_by_layer_image_query_and_field(field, value):
    logits, boxes, targets = random_problem(3, 5, [2, 0], 4)
    with torch.no_grad():
        {"logits": logits, "boxes": boxes}[field][2, 1, 3, 0] = value  # an image without targets is looked at too
    with pytest.raises(NonFiniteCostError, match=f"Layer 2, image 1, query 3: the predicted {field}"):
        match(*records(logits, boxes, targets))


def test_finite_boxes_too_large_to_compare_are_an_error_that_shows_the_box():
    logits, boxes, targets = random_problem(1, 3, [1], 4)
    with torch.no_grad():
        boxes[0, 0, 1] = 1e30
    with pytest.raises(NonFiniteCostError, match=r"Layer 0, image 0, query 1: the cost of matching target 0"):
        match(*records(logits, boxes, targets))


def test_a_non_finite_target_box_is_an_error_that_shows_it():
    outputs, targets = records(*random_problem(1, 3, [1], 4))
    targets.boxes[0, 0, 2] = float("nan")  # later than `from_list`, which refuses it
    with pytest.raises(NonFiniteCostError, match=r"target box .*nan"):
        match(outputs, targets)
