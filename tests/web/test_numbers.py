"""The page's own computation against Python's, driven through the page: geometry, assignment, costs, loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

CASES = 1000
FORMS = ["softmax", "sigmoid"]

# Settings of the sliders, as the page takes them.
OVERRIDES = [
    {},
    {"weights": {"class": 0.3, "l1": 9.0, "giou": 0.0}, "cost_weights": {"l1": 0.5}},
    {"cost_weights": {"class": 6.0, "l1": 0.0, "giou": 0.4}, "no_object_weight": 0.7, "negative_weight": 2.0},
    {"weights": {"giou": 7.5}, "no_object_weight": 0.0, "negative_weight": 0.0},
]


# Lets the questions reach the modules, which are the page's own.
EXPOSE = "".join(
    f'globalThis.{name.capitalize()} = modules["base/{name}.js"];\n' for name in ("assignment", "boxes", "loss")
)


@pytest.fixture(scope="module")
def core(browser, make_payload):
    """A page of its own for all questions that only ask what its functions return."""
    from setpiece.web import render

    page = browser.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    before, after = render(make_payload([2])[0]).rsplit("</script>", 1)
    page.set_content(f"{before}{EXPOSE}</script>{after}")
    yield page
    page.close()
    assert not wrong


def costs_to_solve(rng):
    """Rectangular either way, with ties, with negative costs, without rows, with one of each."""
    for case in range(CASES):
        T, Q = int(rng.integers(0, 9)), int(rng.integers(1, 13))
        if case % 3 == 0:
            cost = rng.integers(-2, 3, (T, Q)).astype(float)
        else:
            cost = rng.normal(size=(T, Q)) * 10.0 ** rng.integers(-3, 4)
        yield cost


def test_assignment_finds_the_optimum_that_scipy_finds(core):
    costs = list(costs_to_solve(np.random.default_rng(0)))
    solved = core.evaluate("(costs) => costs.map((c) => Assignment.solve(c))", [c.tolist() for c in costs])
    for cost, answer in zip(costs, solved, strict=True):
        rows, columns = linear_sum_assignment(cost)
        match = np.array(answer["match"], dtype=int)
        given = match[match >= 0]
        assert len(match) == len(cost)
        assert len(given) == len(set(given)) == min(cost.shape)
        assert answer["total"] == pytest.approx(cost[rows, columns].sum(), rel=1e-9, abs=1e-9)
        assert answer["total"] == pytest.approx(sum(cost[t, q] for t, q in enumerate(match) if q >= 0), abs=1e-9)


def test_regret_is_the_rise_of_the_optimum_when_the_pair_is_forbidden(core):
    costs = list(costs_to_solve(np.random.default_rng(1)))[: CASES // 4]
    answers = core.evaluate(
        "(costs) => costs.map((c) => ({match: Assignment.solve(c).match, regrets: Assignment.regrets(c)}))",
        [c.tolist() for c in costs],
    )
    for cost, answer in zip(costs, answers, strict=True):
        optimum = cost[linear_sum_assignment(cost)].sum()
        for target, (query, other) in enumerate(zip(answer["match"], answer["regrets"], strict=True)):
            if query < 0:
                assert np.isnan(other["regret"])
                continue
            forbidden = cost.copy()
            forbidden[target, query] = 1e7
            rows, columns = linear_sum_assignment(forbidden)
            rise = forbidden[rows, columns].sum() - optimum
            assert other["regret"] == (np.inf if rise > 1e6 else pytest.approx(rise, rel=1e-9, abs=1e-9))


def test_every_step_of_the_algorithm_keeps_reduced_costs_at_zero_for_pairs_and_never_below(core):
    costs = [c for c in costs_to_solve(np.random.default_rng(2)) if 0 < len(c) <= c.shape[1]][: CASES // 4]
    for cost, steps in zip(
        costs,
        core.evaluate("(costs) => costs.map((c) => Assignment.steps(c))", [c.tolist() for c in costs]),
        strict=True,
    ):
        scale = np.abs(cost).max() + 1
        assert [step["row"] for step in steps] == list(range(len(cost)))
        for count, step in enumerate(steps, 1):
            match = np.array(step["match"])
            entered = cost[:count] - np.array(step["u"])[:count, None] - np.array(step["v"])
            assert (match[:count] >= 0).all()
            assert (match[count:] < 0).all()
            assert entered.min() >= -1e-9 * scale
            assert np.abs(entered[np.arange(count), match[:count]]).max() <= 1e-9 * scale
            assert all(match[row] == column for row, column in step["path"])
            assert step["path"][0][0] == step["row"]


def test_permutations_are_all_of_them_and_the_first_is_the_optimum(core):
    rng = np.random.default_rng(3)
    for T, Q, count in [(1, 1, 1), (2, 3, 6), (3, 3, 6), (4, 4, 24), (4, 8, 1680)]:
        cost = rng.normal(size=(T, Q))
        listed = core.evaluate("(c) => Assignment.permutations(c)", cost.tolist())
        assert len({tuple(p["match"]) for p in listed}) == len(listed) == count
        assert [p["total"] for p in listed] == sorted(p["total"] for p in listed)
        assert listed[0]["total"] == pytest.approx(cost[linear_sum_assignment(cost)].sum())


def test_greedy_takes_the_cheapest_pair_first(core):
    greedy = core.evaluate("() => Assignment.greedy([[1, 2], [2, 4]])")
    assert greedy == {"match": [0, 1], "total": 5}
    assert core.evaluate("() => Assignment.solve([[1, 2], [2, 4]])") == {"match": [1, 0], "total": 4}


def pairs_of_boxes(rng):
    """Apart, overlapping, nested, equal, touching, without area."""
    a = rng.uniform(0, 1, (CASES, 4))
    b = rng.uniform(0, 1, (CASES, 4))
    b[::5] = a[::5]
    b[1::5, :2] = a[1::5, :2]  # concentric
    a[2::10, 2:] = 0
    b[2::20, 3] = 0
    b[3::10, 0] = a[3::10, 0] + (a[3::10, 2] + b[3::10, 2]) / 2  # side by side
    return torch.from_numpy(a), torch.from_numpy(b)


def test_overlaps_and_l1_are_those_of_the_heart(core):
    from setpiece.setloss.boxes import l1, overlaps

    a, b = pairs_of_boxes(np.random.default_rng(4))
    ask = "(pairs) => pairs.map(([a, b]) => [Boxes.overlaps(a, b), Boxes.l1(a, b)])"
    answers = core.evaluate(ask, list(zip(a.tolist(), b.tolist(), strict=True)))
    iou, giou = overlaps(a, b)
    assert [answer[0]["iou"] for answer in answers] == pytest.approx(iou.tolist(), abs=1e-9)
    assert [answer[0]["giou"] for answer in answers] == pytest.approx(giou.tolist(), abs=1e-9)
    assert [answer[1] for answer in answers] == pytest.approx(l1(a, b).tolist(), abs=1e-12)


def test_gradients_of_giou_and_l1_are_those_of_autograd(core):
    from setpiece.setloss.boxes import l1, overlaps

    rng = np.random.default_rng(5)  # without touching or equal edges, where neither is smooth
    a, b = (torch.from_numpy(rng.uniform(0.05, 1, (CASES, 4))) for _ in "ab")
    a.requires_grad_()
    by_giou = torch.autograd.grad(overlaps(a, b)[1].sum(), a)[0]
    by_l1 = torch.autograd.grad(l1(a, b).sum(), a)[0]
    ask = "(pairs) => pairs.map(([a, b]) => [Boxes.giouGradient(a, b), Boxes.l1Gradient(a, b)])"
    answers = np.array(core.evaluate(ask, list(zip(a.tolist(), b.tolist(), strict=True))))
    np.testing.assert_allclose(answers[:, 0], by_giou, atol=1e-6, rtol=1e-6)
    np.testing.assert_array_equal(answers[:, 1], by_l1)


ASK_LOSS = """([payload, overrides]) => payload.images.map((image) => payload.layers.map((_, layer) => {
  const criterion = Loss.criterion(payload.criterion, overrides);
  const match = Loss.match(image, layer, criterion);
  return {match, costs: Loss.costs(image, layer, criterion), loss: Loss.of(image, layer, criterion, match)};
}))"""


def changed_criterion(criterion, overrides):
    """SetCriterion with what the sliders changed."""
    from dataclasses import replace

    from setpiece.setloss import matching_weights

    weights = {**criterion.weights, **overrides.get("weights", {})}
    cost_weights = {**matching_weights(criterion.form), **overrides.get("cost_weights", {})}
    rest = {k: v for k, v in overrides.items() if k not in ("weights", "cost_weights")}
    return replace(criterion, weights=weights, cost_weights=cost_weights, **rest)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("overrides", OVERRIDES)
def test_costs_match_and_loss_are_those_of_setcriterion_under_any_weights(core, make_payload, form, overrides):
    from setpiece.explain.facts import image_facts
    from setpiece.records import Outputs, Targets

    payload, facts = make_payload([0, 1, 3, 8, 14], form=form, seed=7)  # 14 targets for 12 queries
    answers = core.evaluate(ASK_LOSS, [payload, overrides])
    for before, layers in zip(facts, answers, strict=True):
        outputs = Outputs(before.scores[:, None], before.boxes[:, None])  # log-probabilities are logits, too
        target = {"labels": before.labels, "boxes": before.target_boxes}
        after = image_facts(outputs, Targets.from_list([target]), changed_criterion(before.criterion, overrides))
        for layer, answer in enumerate(layers):
            compare_layer(after, layer, answer, nothing=len(before.labels) == 0)


def compare_layer(facts, layer, answer, nothing):
    """What the page says of one layer against the facts of Python."""
    for term, costs in answer["costs"].items():
        expected = facts.total if term == "total" else facts.costs.terms[term]
        assert np.array(costs).ravel() == pytest.approx(expected[layer].numpy().ravel(), rel=1e-4, abs=1e-6)
    assert answer["match"] == facts.match[layer].tolist()
    for term, value in facts.layer_loss(layer).items():
        if nothing and facts.criterion.no_object_weight == 0 and facts.criterion.form == "softmax":
            continue  # 0 / 0: no query has weight
        assert answer["loss"][term] == pytest.approx(value, rel=1e-4, abs=1e-6), term
    for target, pair in enumerate(answer["loss"]["pairs"]):
        query = pair["query"]
        if query < 0:
            assert pair["loss"] is None
            continue
        assert pair["iou"] == pytest.approx(facts.iou[layer, target, query].item(), abs=1e-5)
        assert pair["gradient"] == pytest.approx(facts.gradient[layer, query].tolist(), rel=1e-3, abs=1e-5)
        assert pair["loss"]["class"] == pytest.approx(facts.class_loss[layer, query].item(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_the_loss_stays_exact_where_queries_are_left_out(core, make_payload, form):
    payload, facts = make_payload([3], form=form, Q=60, most_queries=10)
    assert payload["images"][0]["dropped"]["count"] > 0
    for layer, answer in enumerate(core.evaluate(ASK_LOSS, [payload, {}])[0]):
        assert answer["loss"]["total"] == pytest.approx(facts[0].layer_loss(layer)["total"], rel=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_the_sum_over_layers_is_the_total_that_training_differentiates(core, make_payload, form):
    from setpiece.records import Outputs, Targets
    from setpiece.setloss import SetCriterion

    payload, (facts,) = make_payload([4], form=form)
    answer = core.evaluate(ASK_LOSS, [payload, {}])[0]
    outputs = Outputs(facts.scores[:, None].float(), facts.boxes[:, None].float())
    target = {"labels": facts.labels, "boxes": facts.target_boxes.float()}
    losses = SetCriterion(form=form)(outputs, Targets.from_list([target]))
    assert sum(layer["loss"]["total"] for layer in answer) == pytest.approx(losses.total.item(), rel=1e-4)
