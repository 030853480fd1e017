from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import tv_tensors

from setpiece.data.augmentation.canvas import RandomCanvas
from setpiece.data.augmentation.paper import train_transform
from setpiece.data.resize import FitSize, normalise
from setpiece.records import STRIDE, InputSize

from ..rectangle import scene_with_a_rectangle

SIZE = InputSize(96, 128)


AUGMENTATIONS = {
    "resize": train_transform(SIZE, crop=0.0, photometric=False),
    "crop": train_transform(SIZE, crop=1.0, photometric=False),
    "colour": train_transform(SIZE, crop=1.0),
    "canvas": RandomCanvas(SIZE),
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("seed", range(25))
def test_boxes_move_with_pixels(name, seed):
    torch.manual_seed(seed)
    image, target = AUGMENTATIONS[name](*scene_with_a_rectangle(120, 160, (40, 30, 100, 66)))
    # The margin of a canvas is a little more red than blue.
    red = image[0].int() > image[2].int() + 25
    if len(target["boxes"]) == 0:
        assert int(red.sum()) < 160
        return
    rows, columns = red.any(1).nonzero(), red.any(0).nonzero()
    drawn_xyxy = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], 1).float()
    torch.testing.assert_close(target["boxes"].as_subclass(torch.Tensor), drawn_xyxy, atol=1.5, rtol=0)
    assert target["labels"].tolist() == [7]


@pytest.mark.parametrize("seed", range(20))
def test_augmented_images_stay_within_the_input_size_and_boxes_within_the_image(seed):
    torch.manual_seed(seed)
    height, width = (int(side) for side in torch.randint(20, 300, (2,)))
    boxes_xyxy = torch.rand(50, 4) * torch.tensor([width, height, width, height])
    boxes_xyxy = torch.cat([boxes_xyxy.view(-1, 2, 2).amin(1), boxes_xyxy.view(-1, 2, 2).amax(1)], 1)
    boxes = tv_tensors.BoundingBoxes(boxes_xyxy, format="XYXY", canvas_size=(height, width))
    image = tv_tensors.Image(torch.zeros(3, height, width, dtype=torch.uint8))
    image, target = train_transform(SIZE)(image, {"boxes": boxes, "labels": torch.zeros(50, dtype=torch.int64)})
    height, width = image.shape[-2:]
    assert min(height, width) <= SIZE.shortest
    assert max(height, width) <= SIZE.longest
    left, top, right, bottom = target["boxes"].as_subclass(torch.Tensor).T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (right <= width).all()
    assert (bottom <= height).all()
    assert (right - left >= 1).all()
    assert (bottom - top >= 1).all()
    assert len(target["labels"]) == len(left)


def test_an_image_without_boxes_can_be_augmented():
    image = tv_tensors.Image(torch.zeros(3, 50, 60, dtype=torch.uint8))
    boxes = tv_tensors.BoundingBoxes(torch.zeros(0, 4), format="XYXY", canvas_size=(50, 60))
    for _ in range(10):
        _, target = train_transform(SIZE)(image, {"boxes": boxes, "labels": torch.zeros(0, dtype=torch.int64)})
        assert target["boxes"].shape == (0, 4)


@given(st.integers(1, 2000), st.integers(0, 600), st.floats(0.01, 1))
def test_a_scaled_size_is_in_whole_strides_unless_it_is_the_size_itself(shortest, more, factor):
    size = InputSize(shortest, shortest + more)
    scaled = size.scaled(factor)
    for limit, new in ((size.shortest, scaled.shortest), (size.longest, scaled.longest)):
        assert new == limit or (new % STRIDE == 0 and 2 * STRIDE <= new < limit)
        assert new == limit or abs(new - limit * factor) <= STRIDE / 2 or new == 2 * STRIDE
    assert size.scaled(1.0) == size


def test_evaluation_resizes_boxes_with_the_image():
    image, target = FitSize(InputSize(60, 60))(*scene_with_a_rectangle(120, 160, (40, 32, 100, 64)))
    assert image.shape == (3, 45, 60)
    assert target["boxes"].tolist() == [[15.0, 12.0, 37.5, 24.0]]


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(32, 800), st.integers(0, 600))
def test_a_fitted_image_touches_one_limit_and_passes_none(height, width, shortest, more):
    size = InputSize(shortest, shortest + more)
    fitted = size.fit(height, width)
    assert min(fitted) <= size.shortest
    assert max(fitted) <= size.longest
    assert min(fitted) == size.shortest or max(fitted) == size.longest


@given(st.integers(0, 255), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_normalise_is_its_formula_on_images_and_batches(value, mean, std):
    image = torch.full((3, 2, 2), value, dtype=torch.uint8)
    expected = torch.full((3, 2, 2), (value / 255 - mean) / std)
    torch.testing.assert_close(normalise(image, (mean,) * 3, (std,) * 3), expected, atol=1e-5, rtol=1e-5)
    assert normalise(image[None], (mean,) * 3, (std,) * 3).shape == (1, 3, 2, 2)
