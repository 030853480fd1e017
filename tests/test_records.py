"""The records that a user fills: what is meant is taken, and what cannot be meant is named."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from setpiece.errors import DataError
from setpiece.records import InputSize, Outputs, Targets
from setpiece.setloss import SetCriterion, match, pair_costs

BOX = [[0.5, 0.5, 0.2, 0.2]]
ONE = {"labels": torch.tensor([1]), "boxes": torch.tensor(BOX)}
NONE = {"labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4)}


def predictions(images=2, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, images, 5, 4), (2, images, 5, 4))
    logits, boxes = (torch.rand(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes)
    return Outputs(logits, boxes)


@pytest.mark.parametrize(
    "image",
    [
        {"labels": torch.tensor([1.0]), "boxes": torch.tensor(BOX, dtype=torch.float64)},
        {"labels": np.array([1], np.int32), "boxes": np.array(BOX)},
        {"labels": [1], "boxes": BOX},
    ],
)
def test_targets_are_read_from_tensors_arrays_and_lists(image):
    of_image, of_one = Targets.from_list([image]), Targets.from_list([ONE])
    assert of_image.labels.equal(of_one.labels)
    assert of_image.boxes.equal(of_one.boxes)


@pytest.mark.parametrize("empty", [torch.tensor([]), torch.zeros(0, 4), torch.zeros(1, 0), []])
def test_an_image_without_objects_may_be_empty_in_any_shape(empty):
    targets = Targets.from_list([ONE, {"labels": torch.tensor([]), "boxes": empty}])
    assert targets.count.tolist() == [1, 0]
    assert SetCriterion(form="sigmoid")(predictions(), targets).total.isfinite()


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([], "no targets: give one"),
        ([ONE, {"labels": torch.tensor([1, 2]), "boxes": torch.tensor(BOX)}], r"image 1 have the shapes \(2,\) and"),
        ([{"labels": torch.tensor([1]), "boxes": torch.tensor(BOX[0])}], r"image 0 have the shapes \(1,\) and \(4,\)"),
        ([{"class_labels": [1], "boxes": BOX}], "image 0 have no 'labels': they have class_labels, boxes"),
        ([NONE, {"labels": [1], "boxes": [[50, 40, 20, 10]]}], r"Target 0 of image 1 has the box .* are these pixels"),
        ([{"labels": [1, 1], "boxes": [*BOX, [0.5, 0.5, -0.2, 0.2]]}], "Target 1 of image 0 .* that is no box"),
        ([{"labels": [1], "boxes": [[0.5, float("nan"), 0.2, 0.2]]}], "Target 0 of image 0 .* that is no box"),
        ([{"labels": [1.5], "boxes": BOX}], r"labels of image 0 are \[1\.5\]: a label is the index of a class"),
    ],
)
def test_what_cannot_be_targets_is_named(images, sentence):
    with pytest.raises(DataError, match=sentence):
        Targets.from_list(images)


@given(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4))
def test_every_box_in_the_unit_square_is_taken(box):
    assert Targets.from_list([{"labels": [0], "boxes": [box]}]).boxes[0, 0].tolist() == pytest.approx(box)


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_loss_of_predictions_in_half_precision_is_computed_in_float32(form, dtype):
    half, targets = predictions(dtype=dtype), Targets.from_list([ONE, NONE])
    full = Outputs(*(x.detach().float().requires_grad_() for x in (half.logits, half.boxes)))
    of_half, of_full = (SetCriterion(form=form)(outputs, targets) for outputs in (half, full))
    assert of_half.total.equal(of_full.total)
    assert match(half, targets, form).equal(match(full, targets, form))
    assert pair_costs(half, targets, form).terms["l1"].equal(pair_costs(full, targets, form).terms["l1"])
    of_half.total.backward()
    of_full.total.backward()
    assert half.boxes.grad.equal(full.boxes.grad.to(dtype))


@pytest.mark.parametrize("of", [SetCriterion(), match, pair_costs])
def test_predictions_and_targets_of_different_images_are_refused(of):
    with pytest.raises(DataError, match="predictions of 2 images and targets of 1"):
        of(predictions(), Targets.from_list([ONE]))


@given(st.integers(1, 700), st.integers(1, 700))
def test_an_image_is_padded_to_multiples_of_the_stride_and_no_further(height, width):
    size = InputSize(352, 352)
    for fitted, padded in zip(size.fit(height, width), size.padded(height, width), strict=True):
        assert padded % 32 == 0
        assert fitted <= padded < fitted + 32
