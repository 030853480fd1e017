"""Outputs become detections in pixels, and detections become COCO results."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from setpiece.errors import NonFiniteCostError, UsageError
from setpiece.evaluation import to_coco_results
from setpiece.inference.detections import to_detections
from setpiece.records import Outputs

CLASSES = ["cat", "dog", "owl"]


def random_outputs(seed: int, *, layers: int = 2, images: int = 2, queries: int = 7, channels: int = 4) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(layers, images, queries, channels, generator=generator) * 3
    return Outputs(logits, torch.rand(layers, images, queries, 4, generator=generator))


def sizes(*height_width: tuple[int, int]) -> torch.Tensor:
    return torch.tensor(height_width)


@given(st.integers(0, 2**31), st.sampled_from(["softmax", "sigmoid"]), st.floats(0, 1), st.integers(1, 12))
def test_detections_are_sorted_inside_the_image_above_the_threshold_and_no_more_than_the_limit(
    seed: int, form: str, threshold: float, limit: int
) -> None:
    outputs = random_outputs(seed, channels=4 if form == "softmax" else 3)
    found = to_detections(outputs, sizes((48, 64), (100, 30)), CLASSES, form, threshold=threshold, limit=limit)
    for (height, width), one in zip([(48, 64), (100, 30)], found, strict=True):
        assert len(one) <= limit
        assert (one.confidence >= threshold).all()
        assert (np.diff(one.confidence) <= 0).all()
        assert (one.xyxy >= 0).all()
        assert (one.xyxy <= [width, height, width, height]).all()
        assert (one.xyxy[:, 2:] >= one.xyxy[:, :2]).all()
        assert one["class_name"].tolist() == [CLASSES[c] for c in one.class_id]


def test_softmax_form_reads_the_best_class_other_than_no_object_of_every_query() -> None:
    outputs = random_outputs(1)
    [found, _] = to_detections(outputs, sizes((10, 20), (10, 20)), CLASSES, "softmax")
    probabilities = outputs.logits[-1, 0].softmax(-1)
    assert sorted(found["query"].tolist()) == list(range(7))
    for query, class_id, confidence in zip(found["query"], found.class_id, found.confidence, strict=True):
        assert class_id == probabilities[query, :3].argmax()
        assert confidence == pytest.approx(probabilities[query, class_id].item())


def test_sigmoid_form_reads_the_best_of_all_query_and_class_pairs() -> None:
    outputs = random_outputs(2, channels=3)
    [found, _] = to_detections(outputs, sizes((10, 20), (10, 20)), CLASSES, "sigmoid", limit=5)
    scores, order = outputs.logits[-1, 0].sigmoid().flatten().topk(5)
    np.testing.assert_allclose(found.confidence, scores)
    assert (found["query"] * 3 + found.class_id).tolist() == order.tolist()


def test_boxes_are_scaled_by_the_original_width_and_height() -> None:
    outputs = Outputs(torch.tensor([[[[5.0]]]]), torch.tensor([[[[0.5, 0.25, 0.5, 0.25]]]]))
    [found] = to_detections(outputs, sizes((400, 100)), ["cat"], "sigmoid")
    np.testing.assert_allclose(found.xyxy, [[25, 50, 75, 150]])


def test_equal_scores_keep_the_order_of_their_queries() -> None:
    outputs = Outputs(torch.zeros(1, 1, 200, 1), torch.full((1, 1, 200, 4), 0.5))
    [found] = to_detections(outputs, sizes((10, 10)), ["cat"], "sigmoid")
    assert found["query"].tolist() == list(range(100))


def test_half_precision_outputs_give_single_precision_detections() -> None:
    outputs = Outputs(torch.zeros(1, 1, 2, 1).bfloat16(), torch.full((1, 1, 2, 4), 0.5).bfloat16())
    [found] = to_detections(outputs, sizes((10, 10)), ["cat"], "sigmoid")
    assert found.xyxy.dtype == np.float32


def test_an_image_without_detections_still_has_every_field() -> None:
    [found, _] = to_detections(random_outputs(0), sizes((9, 9), (9, 9)), CLASSES, "softmax", threshold=1.0)
    assert len(found) == 0
    assert found["class_name"].shape == found["query"].shape == (0,)


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_class_names_that_do_not_fit_the_logits_are_an_error_that_names_both_counts(form: str) -> None:
    with pytest.raises(UsageError, match=r"predicts \d classes .* but 2 class names"):
        to_detections(random_outputs(0), sizes((9, 9), (9, 9)), ["cat", "dog"], form)


@pytest.mark.parametrize("field", ["logits", "boxes"])
def test_nan_is_an_error_that_names_the_image_and_the_query(field: str) -> None:
    outputs = random_outputs(0)
    getattr(outputs, field)[-1, 1, 3, 0] = torch.nan
    with pytest.raises(NonFiniteCostError, match=r"^Query 3 of image 1 in the batch .*\.$") as caught:
        to_detections(outputs, sizes((9, 9), (9, 9)), CLASSES, "softmax")
    assert caught.value.index == (1, 1, 3)


def test_coco_results_have_the_data_sets_ids_and_left_top_width_height() -> None:
    found = to_detections(random_outputs(3), sizes((50, 60), (50, 60)), CLASSES, "softmax", threshold=0.2)
    results = to_coco_results(found, image_ids=[11, 7], category_ids=[90, 2, 33])
    assert len(results) == sum(map(len, found)) > 0
    assert json.loads(json.dumps(results)) == results
    first, left_top = results[0], found[0].xyxy[0, :2]
    assert first["image_id"] == 11
    assert first["category_id"] == [90, 2, 33][found[0].class_id[0]]
    np.testing.assert_allclose(first["bbox"], [*left_top, *(found[0].xyxy[0, 2:] - left_top)], rtol=1e-6)
    assert first["score"] == found[0].confidence[0]
