"""The Matching chapter in a browser: its numbers are Python's, and image, matrix and table look at the same pair."""

from __future__ import annotations

import itertools

import numpy as np
import pytest


def value(locator) -> float:
    """The whole number behind the rounded one."""
    return float(locator.get_attribute("data-value"))


def role(page, name):
    return page.locator(f'[data-view="matching"] [data-role="{name}"]')


def row(page, target):
    return page.locator(f'[data-role="pair-row"][data-target="{target}"]')


def cell(page, target, query):
    return page.locator(f'[data-role="cell"][data-target="{target}"][data-query="{query}"]')


@pytest.fixture
def five(open_page, make_payload):
    """An image with five targets, and its facts."""
    payload, (facts,) = make_payload([5], seed=3)
    return open_page(payload, chapter="matching"), facts


def test_the_table_has_every_pair_with_the_costs_of_the_heart_in_every_layer(five):
    page, facts = five
    for layer in (2, 1, 0):
        assert page.locator('[data-role="pair-row"]').count() == 5
        for target, query in enumerate(facts.match[layer].tolist()):
            numbers = row(page, target)
            assert numbers.get_attribute("data-query") == str(query)
            for name in ("class", "l1", "giou"):
                expected = facts.costs.terms[name][layer, target, query].item()
                assert value(numbers.locator(f'[data-role="{name}"]')) == pytest.approx(expected, rel=1e-4, abs=1e-6)
            expected = facts.total[layer, target, query].item()
            assert value(numbers.locator('[data-role="total"]')) == pytest.approx(expected, rel=1e-4, abs=1e-6)
            assert value(numbers.locator('[data-role="runner-up"]')) == facts.runner_up[layer, target].item()
            expected = facts.regret[layer, target].item()
            assert value(numbers.locator('[data-role="regret"]')) == pytest.approx(expected, rel=1e-4, abs=1e-5)
        role(page, "layer").press("ArrowLeft")


def test_every_cell_of_the_matrix_is_the_cost_of_its_pair_and_the_match_is_ringed(five):
    page, facts = five
    cells = page.locator('[data-role="cell"]').evaluate_all(
        "(cells) => cells.map((c) => [+c.dataset.target, +c.dataset.query, +c.dataset.value, c.matches('.matched')])"
    )
    assert len(cells) >= 5 * 8
    for target, query, total, matched in cells:
        assert total == pytest.approx(facts.total[2, target, query].item(), rel=1e-4, abs=1e-6)
        assert matched == (facts.match[2, target].item() == query)


def test_the_columns_can_be_those_that_are_cheapest_for_the_held_target(five):
    page, facts = five
    row(page, 2).click()
    role(page, "columns-target").click()
    shown = page.locator('[data-role="cell"][data-target="2"]').evaluate_all(
        "(all) => all.map((c) => +c.dataset.query)"
    )
    assert shown == facts.total[2, 2].argsort().tolist()[: len(shown)]


def marked(page):
    """The pair that image, matrix and table each show as the one looked at."""
    return page.evaluate(
        """() => {
          const chosen = document.querySelector('[data-view="matching"] .picture .target.chosen');
          const cell = document.querySelector(".matrix .cell.current");
          const row = document.querySelector('[data-role="pair-row"].current');
          return [chosen?.dataset.target, cell?.dataset.target, row?.dataset.target, cell?.dataset.query].map(
            (text) => (text === undefined ? null : Number(text)));
        }"""
    )


def test_hovering_links_image_matrix_and_table_both_ways(five):
    page, facts = five
    query = facts.match[2, 3].item()
    everywhere = [3, 3, 3, query]
    row(page, 3).hover()
    assert marked(page) == everywhere
    page.locator("h1").hover()
    assert marked(page) == [None] * 4
    cell(page, 3, query).hover()
    assert marked(page) == everywhere
    page.locator("h1").hover()
    box = page.locator('.picture [data-role="target-box"][data-target="3"] rect.box').first.bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    target = marked(page)[0]
    assert marked(page) == [target, target, target, facts.match[2, target].item()]


def test_a_click_holds_on_to_a_pair_and_escape_lets_go(five):
    page, facts = five
    row(page, 1).click()
    row(page, 4).hover()
    assert marked(page)[:3] == [1, 1, 1]
    page.keyboard.press("Escape")
    row(page, 2).hover()
    assert marked(page)[:3] == [2, 2, 2]
    assert facts.match[2, 2].item() == marked(page)[3]


def test_a_held_target_is_followed_from_layer_to_layer(open_page, make_payload):
    payload, (facts,) = make_payload([8], seed=9)
    target = (facts.match[2] != facts.match[1]).nonzero()[0].item()
    page = open_page(payload, chapter="matching")
    row(page, target).click()
    role(page, "layer").press("ArrowLeft")
    assert marked(page) == [target, target, target, facts.match[1, target].item()]


def test_the_matrix_works_by_arrow_keys(five):
    page, facts = five
    page.locator('[data-role="matrix"]').focus()
    page.keyboard.press("ArrowRight")
    first = facts.match[2, 0].item()
    assert marked(page) == [0, 0, 0, first]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    target, query = marked(page)[1], marked(page)[3]
    assert (target, query) == (1, facts.match[2, 1].item())
    assert page.locator('[data-role="matrix"]').get_attribute("aria-activedescendant").endswith(f"-1-{query}")


def test_a_pair_that_is_not_matched_says_by_how_much_the_best_total_would_be_higher(five):
    page, facts = five
    cost = facts.total[2].numpy()
    query = facts.match[2, 1].item()  # somebody else's
    cell(page, 0, query).hover()
    others = [q for q in range(cost.shape[1]) if q != query]
    forced = min(
        sum(cost[t, q] for t, q in enumerate(rest, start=1)) for rest in itertools.permutations(others, len(cost) - 1)
    )
    rise = cost[0, query] + forced - sum(cost[t, q] for t, q in enumerate(facts.match[2].tolist()))
    assert value(role(page, "pair-rise")) == pytest.approx(rise, rel=1e-4, abs=1e-5)


def test_every_permutation_of_up_to_four_objects_is_listed_by_cost_with_the_optimum_marked(open_page, make_payload):
    payload, (facts,) = make_payload([3], seed=1)
    page = open_page(payload, chapter="matching")
    columns = page.locator('[aria-label="Queries to choose from"] [aria-pressed="true"]').evaluate_all(
        "(chips) => chips.map((chip) => Number(chip.dataset.value))"
    )
    if role(page, "all-permutations").count():
        role(page, "all-permutations").click()
    totals = role(page, "permutation").evaluate_all("(rows) => rows.map((row) => Number(row.dataset.value))")
    cost = facts.total[2].numpy()
    expected = sorted(sum(cost[range(3), order]) for order in itertools.permutations(columns, 3))
    np.testing.assert_allclose(totals, expected, rtol=1e-4, atol=1e-6)
    optimum = role(page, "permutation").first
    assert "optimum" in optimum.inner_text()
    assert page.locator("tr.optimum").count() == 1


def test_the_animation_goes_path_by_path_to_the_optimum(open_page, make_payload):
    payload, (facts,) = make_payload([4], seed=2)
    page = open_page(payload, chapter="matching")
    role(page, "step-play").click()  # from the start, since it stood at the end
    assert role(page, "step-text").inner_text() == "No target has a query yet."
    role(page, "step-play").click()
    pairs = []
    while role(page, "step-next").is_enabled():
        role(page, "step-next").click()
        pairs.append(page.locator(".bipartite .edge.matched").count())
        text = role(page, "step-text").inner_text()
    assert pairs[-1] == 4
    assert "this is the optimum" in text
    total = facts.total[2].gather(1, facts.match[2][:, None]).sum().item()
    assert f"{abs(total):.3f}" in text
    role(page, "step-back").click()
    assert page.locator(".bipartite .edge.entering").count() >= 1


def test_another_sub_matrix_can_be_chosen(open_page, make_payload):
    payload, _ = make_payload([6], seed=4)
    page = open_page(payload, chapter="matching")
    assert page.locator("table.sub tbody tr").count() == 4 + 1  # and the queries' prices
    unpressed = page.locator('[aria-label="Targets to solve for"] [aria-pressed="false"]:not([disabled])')
    unpressed.first.click()
    assert page.locator("table.sub tbody tr").count() == 5 + 1
    assert role(page, "permutation").count() == 0  # five targets: too many to list


def test_greedy_stands_beside_optimal_where_they_differ(open_page, make_payload):
    payload, facts = make_payload([6] * 12, Q=8, seed=5)
    differing = [i for i, one in enumerate(facts) if (one.greedy[2] != one.match[2]).any()]
    same = next(i for i in range(12) if i not in differing)
    page = open_page(payload, chapter="matching")
    for index in (differing[0], same):
        page.locator(f'[data-role="thumbnail"][data-image="{index}"]').click()
        one = facts[index]
        rows = role(page, "greedy-row")
        assert rows.count() == (one.greedy[2] != one.match[2]).sum().item()
        for name, match in (("optimal", one.match[2]), ("greedy", one.greedy[2])):
            if rows.count():
                expected = one.total[2].gather(1, match[:, None]).sum().item()
                assert value(role(page, f"total-{name}")) == pytest.approx(expected, rel=1e-4)
    assert "finds the same match" in role(page, "greedy-summary").inner_text()


def test_queries_without_a_target_can_be_shown(five):
    page, _ = five
    idle = page.locator('.picture [data-role="idle-box"]')
    assert idle.count() == 0
    role(page, "idle-all").click()
    assert idle.count() == 12 - 5
    role(page, "idle-none").click()
    assert idle.count() == 0


def test_more_targets_than_queries_leave_some_without_one(open_page, make_payload):
    payload, (facts,) = make_payload([9], Q=6, seed=6)
    page = open_page(payload, chapter="matching")
    left_over = (facts.match[2] < 0).nonzero().flatten().tolist()
    assert len(left_over) == 3
    for target in left_over:
        assert "no query is left" in row(page, target).inner_text()
        row(page, target).hover()
        assert "none is left" in role(page, "pair").inner_text()


def test_a_duplicate_says_why_it_lost_and_shows_itself(open_page, make_payload):
    payload, _ = make_payload([2], seed=8)
    image = payload["images"][0]
    found = {
        "layer": 2,
        "target": 1,
        "query": 11,
        "matched_query": 0,
        "score": 0.9,
        "iou": 0.8,
        "reason": "It costs more.",
    }
    image["duplicates"] = [found, {**found, "layer": 0}]
    page = open_page(payload, chapter="matching")
    assert role(page, "duplicate").count() == 1
    assert "It costs more." in role(page, "duplicate").inner_text()
    role(page, "duplicate").click()
    assert page.locator('.picture [data-role="idle-box"][data-query="11"]').count() == 1
