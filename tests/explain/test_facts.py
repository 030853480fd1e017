"""Facts against the definitions: the criterion itself, one layer at a time, and every permutation tried."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from setpiece.errors import DataError, NonFiniteCostError
from setpiece.explain.facts import image_facts, of_pairs
from setpiece.explain.pairs import pair, pair_rows
from setpiece.records import TERMS, Outputs, Targets
from setpiece.setloss import SetCriterion, match, pair_costs

FORMS = ("softmax", "sigmoid")
L1_ALONE = {"class": 0.0, "l1": 1.0, "giou": 0.0}


def problem(T, Q, L=3, C=3, form="softmax", seed=0):
    """Random predictions of one image and its targets, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(L, 1, Q, C + (form == "softmax"), generator=generator, dtype=torch.float64)
    boxes = torch.rand(L, 1, Q, 4, generator=generator, dtype=torch.float64) * 0.5 + 0.2
    labels = torch.randint(C, (T,), generator=generator)
    one = {"labels": labels, "boxes": torch.rand(T, 4, generator=generator) * 0.5 + 0.2}
    targets = Targets.from_list([one])
    return Outputs(logits, boxes), Targets(targets.labels, targets.boxes.double(), targets.count)


anything = settings(max_examples=50)
problems = st.fixed_dictionaries(
    {"T": st.integers(0, 5), "Q": st.integers(1, 5), "form": st.sampled_from(FORMS), "seed": st.integers(0, 2**31)}
)


@anything
@given(problems)
def test_costs_and_match_are_those_of_the_heart(given):
    (outputs, targets), criterion = problem(**given), SetCriterion(form=given["form"])
    facts = image_facts(outputs, targets, criterion)
    costs = pair_costs(outputs, targets, criterion.form)
    for term in TERMS:
        torch.testing.assert_close(facts.costs.terms[term], costs.terms[term][:, 0])
    assert facts.match.equal(match(outputs, targets, criterion.form)[:, 0])


@anything
@given(problems)
def test_losses_and_gradients_are_those_of_the_criterion_on_each_layer_alone(given):
    (outputs, targets), criterion = problem(**given), SetCriterion(form=given["form"])
    facts = image_facts(outputs, targets, criterion)
    for layer in range(3):
        boxes = outputs.boxes[layer : layer + 1].clone().requires_grad_()
        losses = criterion(Outputs(outputs.logits[layer : layer + 1], boxes), targets)
        (gradient,) = torch.autograd.grad(losses.total, boxes)
        torch.testing.assert_close(facts.gradient[layer], gradient[0, 0])
        shown, weights = facts.layer_loss(layer), criterion.weights
        assert shown["total"] == pytest.approx(losses.total.item(), rel=1e-6)
        assert shown["class"] + shown["no_object"] == pytest.approx(
            weights["class"] * losses.terms["class"].item(), rel=1e-6
        )
        assert shown["l1"] == pytest.approx(weights["l1"] * losses.terms["l1"].item())
        assert shown["giou"] == pytest.approx(weights["giou"] * losses.terms["giou"].item())


def cheapest(cost, forbidden):
    """The least total of a set of min(T, Q) pairs without the forbidden one, None if there is no such set."""
    T, Q = cost.shape
    rows = range(T)
    if T <= Q:
        sets = ([*zip(rows, columns, strict=True)] for columns in itertools.permutations(range(Q), T))
    else:
        sets = ([*zip(chosen, range(Q), strict=True)] for chosen in itertools.permutations(rows, Q))
    totals = [sum(cost[pair].item() for pair in pairs) for pairs in sets if forbidden not in pairs]
    return min(totals, default=None)


@anything
@given(problems)
def test_regret_is_what_the_best_match_without_the_pair_costs_more(given):
    (outputs, targets), criterion = problem(**given), SetCriterion(form=given["form"])
    facts = image_facts(outputs, targets, criterion)
    for layer, target in itertools.product(range(3), range(facts.match.shape[1])):
        cost, query = facts.total[layer], int(facts.match[layer, target])
        least = cheapest(cost, (target, query)) if query >= 0 else None
        found = pair(facts, layer, target)
        if least is None:
            assert found["regret"] is None
            assert found["runner_up"] == -1
        else:
            optimum = of_pairs(cost[None], facts.match[layer][None]).sum().item()
            assert found["regret"] == pytest.approx(least - optimum, abs=1e-9)
            assert found["runner_up"] != query


@pytest.mark.parametrize("form", FORMS)
def test_hundreds_of_queries_have_the_regret_of_solving_with_all_of_them(form):
    outputs, targets = problem(12, 90, form=form)
    facts = image_facts(outputs, targets, SetCriterion(form=form))
    for target, query in enumerate(facts.match[-1].tolist()):
        changed = facts.total[-1].clone()
        changed[target, query] = 1e6
        rows, columns = linear_sum_assignment(changed.numpy())
        again = changed.numpy()[rows, columns].sum()
        optimum = of_pairs(facts.total, facts.match)[-1].sum().item()
        assert facts.regret[-1, target].item() == pytest.approx(again - optimum, abs=1e-9)
        assert facts.runner_up[-1, target] == columns[target]


def test_weights_of_the_cost_and_of_the_loss_are_the_criterions():
    outputs, targets = problem(3, 6)
    criterion = SetCriterion(
        weights={"class": 2.0, "l1": 1.0, "giou": 3.0}, cost_weights=L1_ALONE, no_object_weight=0.5
    )
    facts = image_facts(outputs, targets, criterion)
    torch.testing.assert_close(facts.total, facts.costs.terms["l1"])
    total = sum(facts.layer_loss(layer)["total"] for layer in range(3))
    assert total == pytest.approx(criterion(outputs, targets).total.item(), rel=1e-6)


def test_padding_of_the_targets_changes_nothing():
    outputs, targets = problem(2, 5)
    none = torch.zeros(1, 3, dtype=torch.int64), torch.zeros(1, 3, 4, dtype=torch.float64)
    padded = Targets(torch.cat([targets.labels, none[0]], 1), torch.cat([targets.boxes, none[1]], 1), targets.count)
    once, twice = (image_facts(outputs, t, SetCriterion()) for t in (targets, padded))
    assert once.match.equal(twice.match)
    assert once.layer_loss(0) == twice.layer_loss(0)


def test_greedy_takes_the_cheapest_pair_first():
    # Targets at 0.4 and 0.5, queries at 0.48 and 0.9: 0.02 is the cheapest pair, and leaves 0.5 for the other target.
    box = lambda x: [x, 0.5, 0.1, 0.1]  # noqa: E731
    outputs = Outputs(torch.zeros(1, 1, 2, 2), torch.tensor([[[box(0.48), box(0.9)]]]))
    targets = Targets.from_list([{"labels": torch.tensor([0, 0]), "boxes": torch.tensor([box(0.4), box(0.5)])}])
    facts = image_facts(outputs, targets, SetCriterion(cost_weights=L1_ALONE))
    torch.testing.assert_close(facts.total[0], torch.tensor([[0.08, 0.5], [0.02, 0.4]]).double())
    assert facts.greedy.tolist() == [[1, 0]]  # 0.02 + 0.5
    assert facts.match.tolist() == [[0, 1]]  # 0.08 + 0.4


def duplicated(score=4.0, shift=0.02):
    """Two queries on one target; the second a little beside it."""
    logits = torch.tensor([[[[6.0, 0.0, 0.0], [score, 0.0, 0.0], [0.0, 0.0, 6.0]]]])
    boxes = torch.tensor([[[[0.5, 0.5, 0.2, 0.2], [0.5 + shift, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]]]])
    target = {"labels": torch.tensor([0]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.2]])}
    return image_facts(Outputs(logits, boxes), Targets.from_list([target]), SetCriterion())


def test_a_confident_prediction_over_a_matched_one_is_a_duplicate_with_its_reason():
    facts = duplicated()
    [found] = facts.duplicates
    assert (found.layer, found.target, found.query, found.matched_query) == (0, 0, 1, 0)
    assert found.iou == pytest.approx(0.18 / 0.22, rel=1e-5)
    more = (facts.total[0, 0, 1] - facts.total[0, 0, 0]).item()
    assert sum(found.gap.values()) == pytest.approx(more)
    assert found.reason.startswith(f"It would cost {more:.2f} more than query 0: GIoU +")


@pytest.mark.parametrize("other", [{"score": 0.0}, {"shift": 0.15}])
def test_an_unsure_or_distant_prediction_is_no_duplicate(other):
    assert duplicated(**other).duplicates == ()


def test_an_image_without_targets_has_a_loss_and_no_pairs():
    outputs, targets = problem(0, 4, form="sigmoid")
    facts = image_facts(outputs, targets, SetCriterion(form="sigmoid"))
    shown = facts.layer_loss(2)
    assert facts.match.shape == (3, 0)
    assert shown["no_object"] == shown["total"] > 0
    assert pair_rows(facts, "a.jpg", ["x"], ["1", "2", "3"]) == []


def test_what_was_predicted_in_inference_mode_can_be_differentiated():
    outputs, targets = problem(2, 4)
    with torch.inference_mode():
        made = Outputs(outputs.logits * 1, outputs.boxes * 1)
        inside = image_facts(made, targets, SetCriterion())
    assert image_facts(made, targets, SetCriterion()).gradient.equal(inside.gradient)


def test_a_table_has_a_row_per_layer_and_target_with_numbers_and_names_only():
    outputs, targets = problem(4, 3)  # one target has no query
    rows = pair_rows(image_facts(outputs, targets, SetCriterion()), "a.jpg", ["x", "y", "z"], ["1", "2", "3"])
    assert [(row["layer"], row["target"]) for row in rows] == [(str(i + 1), t) for i in range(3) for t in range(4)]
    assert all(row.keys() == rows[0].keys() for row in rows)
    assert {type(value) for row in rows for value in row.values()} == {str, int, float, type(None)}
    assert sum(row["query"] == -1 and row["iou"] is None and row["loss_l1"] is None for row in rows) == 3


def test_what_is_not_finite_or_unknown_is_refused():
    outputs, targets = problem(2, 4)
    outputs.boxes[1, 0, 2] = torch.nan
    with pytest.raises(NonFiniteCostError, match="Layer 1, image 0, query 2"):
        image_facts(outputs, targets, SetCriterion())
    outputs, targets = problem(2, 4, C=1)
    with pytest.raises(DataError, match="class 7"):
        image_facts(outputs, Targets(targets.labels + 7, targets.boxes, targets.count), SetCriterion())
