from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import tv_tensors

from setpiece.data import InputSize, eval_transform, normalise, train_transform
from setpiece.data.transforms import _turn_hue, canvas_transform, random_colour

SIZE = InputSize(96, 128)


def scene_with_a_rectangle(height: int, width: int, box_xyxy: tuple[int, int, int, int]):
    """A blue image with a red rectangle, and the box around it."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[2] = 255
    left, top, right, bottom = box_xyxy
    image[0, top:bottom, left:right] = 255
    image[2, top:bottom, left:right] = 0
    boxes_xyxy = torch.tensor([box_xyxy], dtype=torch.float32)
    boxes = tv_tensors.BoundingBoxes(boxes_xyxy, format="XYXY", canvas_size=(height, width))
    return tv_tensors.Image(image), {"boxes": boxes, "labels": torch.tensor([7])}


AUGMENTATIONS = {
    "resize": train_transform(SIZE, crop=0.0, photometric=False),
    "crop": train_transform(SIZE, crop=1.0, photometric=False),
    "colour": train_transform(SIZE, crop=1.0),
    "canvas": canvas_transform(SIZE, turns=False),
    "canvas with turns": canvas_transform(SIZE),
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


def test_every_canvas_is_square_and_shows_a_small_image_whole():
    for seed in range(20):
        torch.manual_seed(seed)
        transform = canvas_transform(SIZE, scales=(0.5, 0.8), stretch=1.0)
        image, target = transform(*scene_with_a_rectangle(120, 160, (40, 30, 100, 66)))
        assert image.shape == (3, 128, 128)
        [[left, top, right, bottom]] = target["boxes"].tolist()
        long, short = sorted((right - left, bottom - top), reverse=True)
        assert long / short == pytest.approx(60 / 36, abs=0.15)
        assert 0.45 * 60 * 128 / 160 < long < 0.85 * 60 * 128 / 160


def test_a_canvas_is_turned_in_all_eight_ways_and_without_turns_in_two():
    image, target = scene_with_a_rectangle(128, 128, (16, 8, 64, 40))
    for turns, ways in ((True, 8), (False, 2)):
        transform = canvas_transform(SIZE, scales=(1.0, 1.0), stretch=1.0, turns=turns)
        seen = set()
        for seed in range(60):
            torch.manual_seed(seed)
            seen.add(tuple(transform(image, target)[1]["boxes"][0].tolist()))
        assert len(seen) == ways
        assert (16, 8, 64, 40) in seen
        assert (64, 8, 112, 40) in seen
        assert ((8, 16, 40, 64) in seen) == turns


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


def test_evaluation_resizes_boxes_with_the_image():
    image, target = eval_transform(InputSize(60, 60))(*scene_with_a_rectangle(120, 160, (40, 32, 100, 64)))
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


def test_colours_change_but_grey_stays_grey():
    for seed in range(10):
        torch.manual_seed(seed)
        matrix, offset = random_colour()
        red, green, blue = matrix @ torch.full((3,), 100.0) + offset
        assert red.item() == pytest.approx(green.item(), abs=0.1)
        assert red.item() == pytest.approx(blue.item(), abs=0.1)
        assert not torch.allclose(matrix, torch.eye(3), atol=0.05)


def test_a_third_of_a_turn_of_hue_takes_red_to_green_and_a_whole_one_back():
    red, green = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    torch.testing.assert_close(_turn_hue(2 * math.pi / 3) @ red, green, atol=1e-6, rtol=0)
    torch.testing.assert_close(_turn_hue(2 * math.pi), torch.eye(3), atol=1e-6, rtol=0)
