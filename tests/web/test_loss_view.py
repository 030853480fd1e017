"""The Loss chapter in a browser: its numbers are SetCriterion's, also after its sliders were moved."""

from __future__ import annotations

from dataclasses import replace

import pytest

FORMS = ["softmax", "sigmoid"]


def value(locator) -> float:
    return float(locator.get_attribute("data-value"))


def role(page, name):
    return page.locator(f'[data-view="loss"] [data-role="{name}"]')


def slide(page, name, to):
    """Move a slider as a hand would: the page hears of it."""
    role(page, name).evaluate(
        "(input, to) => { input.value = to; input.dispatchEvent(new Event('input', {bubbles: true})); }", to
    )


def facts_under(facts, criterion):
    """The same predictions under another criterion."""
    from setpiece.explain.facts import image_facts
    from setpiece.records import Outputs, Targets

    outputs = Outputs(facts.scores[:, None], facts.boxes[:, None])
    target = {"labels": facts.labels, "boxes": facts.target_boxes}
    return image_facts(outputs, Targets.from_list([target]), criterion)


def compare(page, facts, layer):
    """All numbers of the chapter against Python's."""
    for term, expected in facts.layer_loss(layer).items():
        assert value(role(page, f"loss-{term}")) == pytest.approx(expected, rel=1e-4, abs=1e-6), term
    rows = role(page, "loss-row")
    assert rows.count() == len(facts.labels)
    for row in rows.all():
        target, query = int(row.get_attribute("data-target")), int(row.get_attribute("data-query"))
        assert facts.match[layer, target].item() == query
        shares = {
            "class": facts.class_loss[layer, query].item(),
            "l1": facts.l1_loss[layer, target].item(),
            "giou": facts.giou_loss[layer, target].item(),
        }
        for term, expected in {**shares, "total": sum(shares.values())}.items():
            assert value(row.locator(f'[data-role="share-{term}"]')) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_every_contribution_and_the_no_object_total_are_those_of_python_in_every_layer(open_page, make_payload, form):
    payload, (facts,) = make_payload([4], form=form)
    page = open_page(payload, chapter="loss")
    for layer in (2, 1, 0):
        compare(page, facts, layer)
        role(page, "layer").press("ArrowLeft")


def test_sliders_recompute_match_and_loss_as_python_does_in_the_softmax_form(open_page, make_payload):
    payload, (facts,) = make_payload([5], seed=11)
    page = open_page(payload, chapter="loss")
    for name, to in (
        ("no_object_weight", 0.35),
        ("lambda-class", 7.5),
        ("lambda-l1", 0.25),
        ("lambda-giou", 0),
    ):
        slide(page, name, to)
    weights = {"class": 7.5, "l1": 0.25, "giou": 0.0}
    changed = replace(facts.criterion, weights=weights, cost_weights=weights, no_object_weight=0.35)
    after = facts_under(facts, changed)
    assert (after.match[2] != facts.match[2]).any()  # or the test would show little
    compare(page, after, 2)
    count = (after.match[2] != facts.match[2]).sum().item()
    assert f"{count} of 5 targets change their query" in role(page, "changes").inner_text()
    role(page, "reset-weights").click()
    compare(page, facts, 2)


def test_sliders_recompute_match_and_loss_as_python_does_in_the_sigmoid_form(open_page, make_payload):
    payload, (facts,) = make_payload([5], form="sigmoid", seed=12)
    page = open_page(payload, chapter="loss")
    assert page.get_by_label("negative weight").count() == 1
    assert page.get_by_label("no-object weight").count() == 0
    for name, to in (("negative_weight", 1.6), ("lambda-class", 4), ("lambda-l1", 9)):
        slide(page, name, to)
    changed = replace(
        facts.criterion,
        weights={"class": 4.0, "l1": 9.0, "giou": 2.0},
        cost_weights={"class": 8.0, "l1": 9.0, "giou": 2.0},  # the cost's λ keeps its ratio of 2
        negative_weight=1.6,
    )
    compare(page, facts_under(facts, changed), 2)


@pytest.mark.parametrize("most_queries", [6, 12])
def test_changed_weights_say_among_which_queries_the_match_was_solved_where_some_were_left_out(
    open_page, make_payload, most_queries
):
    payload, _ = make_payload([3], Q=12, most_queries=most_queries)
    kept, dropped = payload["images"][0]["boxes"]["shape"][1], payload["images"][0]["dropped"]["count"]
    assert (dropped > 0) == (most_queries < 12)
    page = open_page(payload, chapter="loss")
    assert "Solved among" not in role(page, "changes").inner_text()
    slide(page, "lambda-l1", 0.25)
    said = f"Solved among the {kept} of 12 queries that this page keeps."
    assert (said in role(page, "changes").inner_text()) == (dropped > 0)
    role(page, "reset-weights").click()
    assert "Solved among" not in role(page, "changes").inner_text()


def test_changed_weights_are_told_in_the_matching_chapter_which_follows_them(open_page, make_payload):
    payload, (facts,) = make_payload([5], seed=11)
    page = open_page(payload, chapter="loss")
    notice = page.locator('[data-role="changed-weights"]')
    slide(page, "lambda-l1", 0)
    page.locator('[data-role="tab-matching"]').click()
    assert notice.is_visible()
    from setpiece.setloss import PAPER_WEIGHTS

    weights = {**PAPER_WEIGHTS, "l1": 0.0}
    after = facts_under(facts, replace(facts.criterion, weights=weights, cost_weights=weights))
    for target, query in enumerate(after.match[2].tolist()):
        row = page.locator(f'[data-role="pair-row"][data-target="{target}"]')
        assert row.get_attribute("data-query") == str(query)
        total = row.locator('[data-role="total"]')
        assert value(total) == pytest.approx(after.total[2, target, query].item(), rel=1e-4, abs=1e-6)
    page.locator('[data-role="own-weights"]').click()
    assert notice.is_hidden()
    for target, query in enumerate(facts.match[2].tolist()):
        row = page.locator(f'[data-role="pair-row"][data-target="{target}"]')
        assert row.get_attribute("data-query") == str(query)


@pytest.mark.parametrize("form", FORMS)
def test_arrows_show_how_the_negative_gradient_moves_each_edge(open_page, make_payload, form):
    payload, (facts,) = make_payload([3], form=form)
    page = open_page(payload, chapter="loss")
    for target, query in enumerate(facts.match[2].tolist()):
        x, y, w, h = (-facts.gradient[2, query]).tolist()
        expected = {"left": x - w / 2, "right": x + w / 2, "top": y - h / 2, "bottom": y + h / 2}
        arrows = page.locator(f'[data-role="arrows"][data-target="{target}"] [data-role="arrow"]')
        pushes = {arrow.get_attribute("data-edge"): value(arrow) for arrow in arrows.all()}
        assert pushes == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_an_arrow_points_into_the_direction_of_its_number(open_page, make_payload):
    payload, _ = make_payload([3])
    page = open_page(payload, chapter="loss")
    drawn = page.locator('[data-role="arrow"]:has(line)').evaluate_all(
        """(arrows) => arrows.map((arrow) => {
          const [line, head] = [arrow.querySelector("line"), arrow.querySelector("path").getAttribute("d")];
          const [tipX, tipY] = head.slice(1).split("L")[0].split(" ").map(Number);
          const across = arrow.dataset.edge === "left" || arrow.dataset.edge === "right";
          const from = Number(line.getAttribute(across ? "x1" : "y1"));
          return [Number(arrow.dataset.value), (across ? tipX : tipY) - from];
        })"""
    )
    assert drawn
    assert all(number * moved > 0 for number, moved in drawn)


def test_layers_are_compared_and_a_press_goes_to_one(open_page, make_payload):
    payload, (facts,) = make_payload([3])
    page = open_page(payload, chapter="loss")
    totals = [value(one) for one in role(page, "layer-loss").all()]
    assert totals == pytest.approx([facts.layer_loss(layer)["total"] for layer in range(3)], rel=1e-4)
    page.get_by_role("button", name="layer 1").click()
    compare(page, facts, 0)


def test_the_costliest_queries_without_a_target_are_listed(open_page, make_payload):
    payload, (facts,) = make_payload([3])
    page = open_page(payload, chapter="loss")
    losses = facts.class_loss[2].clone()
    losses[facts.match[2]] = 0
    listed = [value(one) for one in role(page, "unmatched-loss").all()]
    assert listed == pytest.approx(losses.sort(descending=True).values[: len(listed)].tolist(), rel=1e-4)
