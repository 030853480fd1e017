"""The tour in a browser: its numbers are those of the heart, and its questions are judged rightly."""

from __future__ import annotations

import itertools

import pytest
import torch

CHAPTERS = ["graph", "set", "permutations", "cost", "loss", "boxes"]
LAST = 2  # the layer that the tour looks at


@pytest.fixture(scope="module")
def payload():
    from setpiece.explain.tour import tour_payload

    return tour_payload()


@pytest.fixture(scope="module")
def facts():
    """Of both scenes, computed by `setloss`."""
    from setpiece.explain.tour import SCENES, show_scene

    return [show_scene(seed).facts for seed in SCENES]


@pytest.fixture
def open_tour(open_page, payload):
    return lambda chapter, **options: open_page(payload, chapter=chapter, **options)


def role(within, name):
    return within.locator(f'[data-role="{name}"]')


def question(page, name):
    return page.locator(f'[data-question="{name}"]')


def verdict(asked):
    role(asked, "check").click()
    return role(asked, "verdict").get_attribute("data-verdict")


def value(within, name):
    return float(role(within, name).get_attribute("data-value"))


def optimum(cost):
    from setpiece.setloss import assign

    return assign(torch.tensor(cost, dtype=torch.float64), torch.tensor(len(cost))).tolist()


def total(cost, match):
    return sum(cost[row][column] for row, column in enumerate(match))


def greedy(cost):
    match, taken = [-1] * len(cost), set()
    for _, row, column in sorted((c, t, q) for t, line in enumerate(cost) for q, c in enumerate(line)):
        if match[row] < 0 and column not in taken:
            match[row] = column
            taken.add(column)
    return match


def regret(cost):
    """How much the smallest sum rises without the last row's pair."""
    best = optimum(cost)
    forbidden = [[*line] for line in cost]
    forbidden[-1][best[-1]] = 1000
    return total(forbidden, optimum(forbidden)) - total(cost, best)


def largest_matching(example):
    cost = [[0] * len(example["jobs"]) for _ in example["workers"]]
    for worker, job in example["able"]:
        cost[worker][job] = -1
    return [(row, column) for row, column in enumerate(optimum(cost)) if cost[row][column] < 0]


# ---- giving answers with pointer and keys ----

# A point of an edge where nothing lies above it: [x, y], found from both ends towards the middle.
FREE_POINT = """edge => {
  const [a, b] = [1, 2].map(i => ["x", "y"].map(axis => Number(edge.querySelector(".ink").getAttribute(axis + i))));
  const matrix = edge.getScreenCTM();
  for (const part of [0.25, 0.3, 0.2, 0.75, 0.7, 0.8, 0.35, 0.65, 0.4, 0.6, 0.5]) {
    const point = new DOMPoint(a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])).matrixTransform(matrix);
    if (edge.contains(document.elementFromPoint(point.x, point.y))) return [point.x, point.y];
  }
  return null;
}"""


def click_edge(within, left, right):
    edge = within.locator(f'.edge[data-pair="{left}-{right}"]')
    edge.scroll_into_view_if_needed()
    point = edge.evaluate(FREE_POINT)
    assert point, f"edge {left}-{right} cannot be clicked"
    within.page.mouse.click(*point)


def choose_edges(asked, pairs):
    chosen = [edge.get_attribute("data-pair").split("-") for edge in asked.locator(".edge.chosen").all()]
    for pair in chosen:
        click_edge(asked, *pair)
    for pair in pairs:
        click_edge(asked, *pair)


def choose_cells(asked, match):
    for row, column in enumerate(match):
        cell = asked.locator(f'.cell[data-pair="{row}-{column}"]')
        if cell.get_attribute("aria-pressed") != "true":
            cell.click()


def choose_option(asked, index):
    asked.locator("input[type=radio]").nth(index).check()


def type_number(asked, number):
    asked.locator("input").fill(str(number))


def pick(asked, queries):
    for chip in role(asked, "pick").all():
        wanted = int(chip.get_attribute("data-query")) in queries
        if (chip.get_attribute("aria-pressed") == "true") != wanted:
            chip.click()


def slide(asked, name, steps):
    slider = role(asked, name)
    slider.focus()
    for _ in range(abs(steps)):
        slider.press("ArrowRight" if steps > 0 else "ArrowLeft")


def drag_box(asked, name, dx, dy):
    """By parts of the drawing."""
    asked.scroll_into_view_if_needed()
    drawing = asked.locator("svg.playground").bounding_box()
    place = role(asked, name).bounding_box()
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    mouse = asked.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + dx * drawing["width"], y + dy * drawing["height"], steps=3)
    mouse.up()


def key_box(asked, label, keys):
    box = asked.locator(f'.play-box[aria-label="{label}"]')
    box.focus()
    for key, times in keys:
        for _ in range(times):
            box.press(key)


def boxes_of(asked):
    """Target and prediction as they are drawn, cxcywh in parts of the drawing."""
    found = []
    for name in ("target-0", "prediction-0"):
        x, y, w, h = (float(role(asked, name).get_attribute(key)) for key in ("x", "y", "width", "height"))
        found.append([(x + w / 2) / 640, (y + h / 2) / 400, w / 640, h / 400])
    return torch.tensor(found, dtype=torch.float64)


def giou_of(asked):
    from setpiece.setloss.boxes import overlaps

    iou, giou = overlaps(*boxes_of(asked))
    return iou.item(), giou.item()


# ---- what is wrong and what is right, by `setloss` ----


def star_under(facts, weights):
    """The query that the first scene's star gets under other weights of the cost."""
    from setpiece.setloss import PAPER_WEIGHTS, assign

    cost = facts[0].costs.total({**PAPER_WEIGHTS, **weights})[LAST]
    return assign(cost, torch.tensor(len(cost)))[1].item()


def answers(payload, facts):
    """For every question: (a way to answer wrongly, a way to answer rightly)."""
    examples = payload["chapters"]
    short, trips = examples["matching"]["short"], examples["matching"]["trips"]["cost"]
    tasks = examples["permutations"]
    free = [set(range(6)) - set(one.match[LAST].tolist()) for one in facts]
    cheapest = facts[1].total[LAST, 1].argmin().item()
    swaps = [star_under(facts, w) != star_under(facts, {}) for w in ({"l1": 10.0}, {"giou": 4.0}, {"class": 4.0})]
    assert sum(swaps) == 1
    loss = facts[0].l1_loss[LAST] + facts[0].giou_loss[LAST] + facts[0].class_loss[LAST][facts[0].match[LAST]]
    worst = loss.argmax().item()
    assert star_under(facts, {"class": 4.0}) != star_under(facts, {})

    def edges(chosen):
        return lambda asked: choose_edges(asked, chosen)

    def cells(match):
        return lambda asked: choose_cells(asked, match)

    def option(index):
        return lambda asked: choose_option(asked, index)

    def number(one):
        return lambda asked: type_number(asked, one)

    def queries(chosen):
        return lambda asked: pick(asked, chosen)

    def weight(steps):
        return lambda asked: slide(asked, "weight-class", steps)

    def drag(*moves):
        return lambda asked: [drag_box(asked, *move) for move in moves]

    return {
        "largest": (edges(largest_matching(short)[:-1]), edges(largest_matching(short))),
        "cheapest": (edges(list(enumerate(greedy(trips)))), edges(list(enumerate(optimum(trips))))),
        "complete": (number(100), number(3)),
        "padding": (number(4), number(len(free[1]))),
        "shuffle": (option(0), option(1)),
        "left-over": (number(6), number("2")),
        "optimum": (cells(greedy(tasks["pick"])), cells(optimum(tasks["pick"]))),
        "greedy": (cells(optimum(tasks["greedy"])), cells(greedy(tasks["greedy"]))),
        "regret": (number(0), number(regret(tasks["regret"]))),
        "cheapest-query": (queries({(cheapest + 1) % 6}), queries({cheapest})),
        "lambda": (option(swaps.index(False)), option(swaps.index(True))),
        "weights": (weight(5), weight(25)),  # from 1.0 to 1.5, then to 4.0
        "no-object": (queries(free[0] - {2}), queries(free[0])),
        "heavier": (option(0), option(1)),
        "largest-loss": (option((worst + 1) % 3), option(worst)),
        "negative": (drag(("prediction-0", 0.02, 0.02)), drag(("prediction-0", 0.3, 0.2), ("target-0", -0.2, -0.2))),
        "overlapping": (drag(("prediction-0", 0.02, 0.02)), drag(("prediction-0", 0.1, 0.2))),
        "enlarged": (option(3), option(1)),
    }


def names_in(page, chapter):
    return [one.get_attribute("data-question") for one in page.locator(f"#chapter-{chapter} [data-question]").all()]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_wrong_answers_are_refused_and_right_ones_accepted_with_a_reason(open_tour, payload, facts, chapter):
    page = open_tour(chapter)
    known = answers(payload, facts)
    names = names_in(page, chapter)
    assert 2 <= len(names) <= 3
    for done, name in enumerate(names, start=1):
        wrong, right = known[name]
        asked = question(page, name)
        assert verdict(asked) == "open", name  # nothing was chosen yet
        wrong(asked)
        assert verdict(asked) == "wrong", name
        assert len(role(asked, "verdict").inner_text()) > 30
        right(asked)
        assert role(asked, "verdict").inner_text() == ""  # another answer, no verdict yet
        assert verdict(asked) == "right", name
        assert len(role(asked, "verdict").inner_text()) > 60
        assert value(page, "progress") == done


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_answer_that_is_shown_is_right(open_tour, payload, facts, chapter):
    page = open_tour(chapter)
    known = answers(payload, facts)
    for name in names_in(page, chapter):
        asked = question(page, name)
        assert not role(asked, "reveal").is_visible()
        known[name][0](asked)
        verdict(asked)
        role(asked, "reveal").click()
        assert role(asked, "verdict").get_attribute("data-verdict") == "shown", name
        assert verdict(asked) == "right", name
    assert value(page, "progress") == 0  # shown is not solved


def test_every_question_is_answered_by_some_test(open_tour, payload, facts):
    page = open_tour("graph")
    marks = page.locator("[data-mark-of]").all()
    assert [mark.get_attribute("data-mark-of") for mark in marks] == list(answers(payload, facts))


def test_the_verdict_on_boxes_is_that_of_giou(open_tour):
    page = open_tour("boxes")
    asked = question(page, "negative")
    for keys in ([("ArrowRight", 9)], [("ArrowRight", 9)], [("ArrowDown", 12)], [("Shift+ArrowRight", 8)]):
        key_box(asked, "prediction", keys)
        iou, giou = giou_of(asked)
        assert verdict(asked) == ("right" if giou < 0 else "wrong")
        assert f"{abs(giou):.3f}" in role(asked, "verdict").inner_text()
    asked = question(page, "overlapping")
    key_box(asked, "prediction", [("ArrowRight", 15), ("ArrowDown", 27)])
    iou, giou = giou_of(asked)
    assert iou > 0 > giou
    assert verdict(asked) == "right"
    key_box(asked, "prediction", [("ArrowRight", 20)])
    assert giou_of(asked)[0] == 0
    assert verdict(asked) == "wrong"


def test_an_augmenting_path_makes_the_matching_larger_by_one(open_tour):
    page = open_tour("graph")
    figure = role(page, "cardinality")
    assert value(figure, "matching-status") == 3
    role(figure, "show-path").click()
    assert figure.locator(".edge.added").count() == 4
    assert figure.locator(".edge.removed").count() == 3
    role(figure, "swap-path").click()
    assert value(figure, "matching-status") == 4
    assert not role(figure, "show-path").is_enabled()  # it is a maximum
    click_edge(figure, 0, 0)
    assert "Not a matching" in role(figure, "matching-status").inner_text()


def test_the_permutations_and_their_costs_are_all_there(open_tour, payload):
    page = open_tour("permutations")
    for name in ("worked", "three"):
        cost = payload["chapters"]["permutations"][name]
        figure = role(page, name)
        listed = [
            (float(number.get_attribute("data-value")), tuple(map(int, button.get_attribute("data-match").split(","))))
            for button in role(figure, "permutation").all()
            for number in role(button, "permutation-total").all()
        ]
        expected = sorted((total(cost, match), match) for match in itertools.permutations(range(len(cost))))
        assert [one for one, _ in listed] == [one for one, _ in expected]
        assert sorted(listed) == expected
        assert list(listed[0][1]) == optimum(cost)
        assert "optimum" in role(figure, "permutation").first.inner_text()
        marked = role(figure, "permutation").filter(has_text="greedy")
        assert marked.get_attribute("data-match") == ",".join(map(str, greedy(cost)))


def test_each_step_of_the_algorithm_is_the_optimum_of_the_objects_so_far(open_tour, payload):
    page = open_tour("permutations")
    cost = payload["chapters"]["permutations"]["three"]
    figure = role(page, "algorithm")
    for entered in range(1, len(cost) + 1):
        role(figure, "step-next").click()
        match = optimum(cost[:entered])
        edges = figure.locator(".edge.chosen")
        assert sorted(edge.get_attribute("data-pair") for edge in edges.all()) == [
            f"{row}-{column}" for row, column in enumerate(match)
        ]
        assert f"costs {total(cost, match)}." in role(figure, "step-status").inner_text()
    assert value(figure, "proof") == total(cost, optimum(cost))
    role(figure, "step-reduced").click()
    reduced = {
        cell.get_attribute("data-pair"): float(cell.get_attribute("data-value")) for cell in role(figure, "cell").all()
    }
    assert min(reduced.values()) == 0
    assert all(reduced[f"{row}-{column}"] == 0 for row, column in enumerate(optimum(cost)))


def test_shuffling_the_queries_changes_the_match_and_neither_cost_nor_loss(open_tour, facts):
    page = open_tour("set")
    figure = role(page, "set")
    match = facts[0].match[LAST].tolist()
    cost, loss = facts[0].total[LAST, range(3), match].sum().item(), facts[0].layer_loss(LAST)["total"]
    seen = set()
    for _ in range(4):
        assert value(figure, "set-cost") == pytest.approx(cost, rel=1e-5)
        assert value(figure, "set-loss") == pytest.approx(loss, rel=1e-5)
        seen.add(role(figure, "set-status").get_attribute("data-match"))
        role(figure, "shuffle").click()
    assert ",".join(map(str, match)) in seen
    assert len(seen) > 1


def test_the_terms_of_every_pair_are_those_of_setloss(open_tour, facts):
    page = open_tour("cost")
    figure = role(page, "calculator")
    for target, query in itertools.product(range(3), range(6)):
        role(figure, f"target-{target}").click()
        role(figure, f"query-{query}").click()
        for term in ("class", "l1", "giou"):
            expected = facts[0].costs.terms[term][LAST, target, query].item()
            assert value(figure, f"value-{term}") == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert value(figure, "cost-total") == pytest.approx(facts[0].total[LAST, target, query].item(), rel=1e-4)


def test_the_figures_of_the_last_chapter_are_those_of_setloss(open_tour, payload):
    from setpiece.setloss.boxes import l1, overlaps

    page = open_tour("boxes")
    pair = torch.tensor(payload["chapters"]["boxes"]["pair"], dtype=torch.float64)
    figure = role(page, "scale")
    for steps, factor in ((0, 1.0), (10, 2.0)):
        slide(figure, "scale", steps)
        assert value(figure, "scale-l1") == pytest.approx(l1(*(pair * factor)).item(), rel=1e-6)
        assert value(figure, "scale-giou") == pytest.approx(overlaps(*pair)[1].item(), rel=1e-6)
    figure = role(page, "apart")
    slide(figure, "apart", 15)
    squares = torch.tensor([[0.2, 0.2, 0.2, 0.2], [0.45, 0.2, 0.2, 0.2]], dtype=torch.float64)
    iou, giou = overlaps(*squares)
    assert value(figure, "apart-iou") == iou.item() == 0
    assert value(figure, "apart-giou") == pytest.approx(giou.item(), rel=1e-6)
    assert value(figure, "apart-l1") == pytest.approx(0.25)
    for name, measure in {"iou": 0, "giou": 1}.items():
        points = figure.locator(f"polyline.of-{name}").get_attribute("points").split()
        for step in (0, 20, 40, 80, 120):  # of 120, to a shift of 0.6
            squares[1, 0] = 0.2 + 0.6 * step / 120
            y = float(points[step].split(",")[1])
            assert 1 - (y - 14) / 68 == pytest.approx(overlaps(*squares)[measure].item(), abs=1e-6)


def test_the_share_of_no_object_follows_the_sliders(open_tour):
    page = open_tour("loss")
    figure = role(page, "balance")
    assert value(figure, "none-weight") == pytest.approx(0.1 * 95)
    slide(figure, "balance-weight", 18)
    assert value(figure, "none-share") == pytest.approx(95.0)


def test_the_views_of_the_report_are_part_of_the_tour(open_tour, facts):
    page = open_tour("cost")
    cells = page.locator('[data-view="matching"] [data-role="cell"][data-target="3"]')
    for cell in cells.all():
        query = int(cell.get_attribute("data-query"))
        assert float(cell.get_attribute("data-value")) == pytest.approx(facts[1].total[LAST, 3, query].item(), rel=1e-4)
    assert cells.count() >= 4
    page.locator("#tab-loss").click()
    assert page.locator('[data-view="loss"] svg').first.is_visible()
    page.locator("#tab-boxes").click()
    assert page.locator('[data-view="playground"] .play-box').count() == 2


def test_a_question_can_be_answered_by_keyboard_alone(open_tour, payload):
    page = open_tour("graph")
    asked = question(page, "cheapest")
    trips = payload["chapters"]["matching"]["trips"]["cost"]
    page.locator('[data-mark-of="cheapest"]').focus()
    page.keyboard.press("Enter")  # goes to the question
    for row, column in itertools.product(range(3), repeat=2):
        page.keyboard.press("Tab")
        if optimum(trips)[row] == column:
            page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert role(asked, "verdict").get_attribute("data-verdict") == "right"
    page.keyboard.press("Control+Home")
    page.locator("#tab-graph").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#chapter-set").is_visible()
    assert not page.locator("#chapter-graph").is_visible()


def test_the_matrix_is_walked_with_the_arrow_keys(open_tour, payload):
    page = open_tour("permutations")
    asked = question(page, "optimum")
    asked.locator('.cell[data-pair="0-0"]').focus()
    at = 0
    for row, column in enumerate(optimum(payload["chapters"]["permutations"]["pick"])):
        for _ in range(abs(column - at)):
            page.keyboard.press("ArrowRight" if column > at else "ArrowLeft")
        page.keyboard.press("Enter")
        at = column
        if row < 2:
            page.keyboard.press("ArrowDown")
    assert verdict(asked) == "right"


def test_answers_are_kept_while_one_goes_through_the_chapters_and_nowhere_else(open_tour):
    page = open_tour("graph")
    asked = question(page, "complete")
    type_number(asked, 3)
    assert verdict(asked) == "right"
    role(page.locator("#chapter-graph"), "next").click()
    assert page.locator("#chapter-set").is_visible()
    assert value(page, "progress") == 1
    page.locator("#tab-graph").click()
    assert role(asked, "verdict").get_attribute("data-verdict") == "right"
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    page.reload()
    assert value(page, "progress") == 0


@pytest.mark.parametrize("width", [390, 1280])
def test_no_chapter_is_wider_than_the_screen(open_tour, width):
    page = open_tour("graph", width=width)
    for chapter in CHAPTERS:
        page.locator(f"#tab-{chapter}").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, chapter
