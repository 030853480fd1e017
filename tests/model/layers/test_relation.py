import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from setpiece.model.layers.relation import distances, relation_bias, relation_features
from setpiece.model.sprint import sprint_n

centre, side = st.floats(0.1, 0.9), st.floats(0.02, 0.5)
box = st.tuples(centre, centre, side, side)


@settings(max_examples=50, deadline=None)
@given(st.lists(box, min_size=1, max_size=4))
def test_bias_and_features_are_what_their_formulas_say(boxes):
    of_boxes = distances(torch.tensor([boxes]))
    bias, features = relation_bias(of_boxes, heads=6)[0], relation_features(of_boxes)[0]
    nearest = [math.inf] * len(boxes)
    for i, (xi, yi, wi, hi) in enumerate(boxes):
        for j, (xj, yj, wj, hj) in enumerate(boxes):
            distance = math.log(1 + abs(xi - xj) / wi) + math.log(1 + abs(yi - yj) / hi)
            distance += abs(math.log(wi / wj)) + abs(math.log(hi / hj))
            better = 3.0 if j < i else 0.0
            nearest[i] = min(nearest[i], distance) if j < i else nearest[i]
            expected = [0.0, better, -2 * distance, better - 2 * distance, -4 * distance, better - 4 * distance]
            torch.testing.assert_close(bias[:, i, j], torch.tensor(expected), atol=1e-3, rtol=1e-4)
    for i, least in enumerate(nearest):
        expected = [math.exp(-slope * least) for slope in (1, 2, 4, 8)]
        torch.testing.assert_close(features[i], torch.tensor(expected), atol=1e-3, rtol=1e-3)


@given(st.lists(box, min_size=1, max_size=4), st.floats(0.25, 1.0))
def test_distances_do_not_depend_on_how_much_padding_there_is(boxes, extent):
    alone = torch.tensor([boxes])
    padded = alone * torch.tensor([extent, 1.0, extent, 1.0])
    torch.testing.assert_close(distances(padded), distances(alone), atol=1e-3, rtol=1e-3)


def test_boxes_without_extent_give_finite_numbers():
    boxes = torch.tensor([[[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 1.0, 1.0], [0.1, 0.5, 0.0, 0.2]]])
    assert relation_bias(distances(boxes), heads=8).isfinite().all()
    assert relation_features(distances(boxes)).isfinite().all()


def test_two_queries_with_one_content_and_box_are_told_apart_by_their_rank():
    """So that two queries on one object can come to differ."""
    torch.manual_seed(0)
    layer = sprint_n(1).layers[0].eval()
    maps = [torch.zeros(1, 96, n, n) for n in (4, 2, 1)]
    twins = torch.randn(1, 1, 96).expand(1, 2, -1)
    stranger = torch.randn(1, 1, 96)
    boxes = torch.tensor([[[0.3, 0.3, 0.2, 0.2], [0.3, 0.3, 0.2, 0.2], [0.8, 0.3, 0.2, 0.2]]])

    def step(content: Tensor) -> Tensor:
        with torch.inference_mode():
            return layer(content, torch.zeros_like(content), boxes, maps)[0]

    first, second, _ = step(torch.cat([twins, stranger], 1))
    assert (first - second).abs().max() > 0.1
