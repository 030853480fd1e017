"""Which cells become queries."""

import torch

from setpiece.model.layers.query_selection import TopKQuerySelection

INSIDE, OUTSIDE = [0.5, 0.5, 0.1, 0.1], [1.5, 0.5, 0.1, 0.1]


def test_the_most_confident_cells_inside_the_image_come_first_and_padding_follows_in_its_order():
    logits = torch.tensor([[[0.0], [3.0], [-900.0], [9.0], [9.0], [9.0]]])
    reference = torch.tensor([[INSIDE, INSIDE, INSIDE, OUTSIDE, OUTSIDE, OUTSIDE]])
    assert TopKQuerySelection(2)(logits, reference).tolist() == [[1, 0]]
    assert TopKQuerySelection(5)(logits, reference).tolist() == [[1, 0, 2, 3, 4]]
    assert TopKQuerySelection(9)(logits, reference).tolist() == [[1, 0, 2, 3, 4, 5]]
