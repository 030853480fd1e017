from __future__ import annotations

import math

import pytest
import torch
from torchvision import tv_tensors

from setpiece.data.augmentation.canvas import RandomCanvas, random_colouring, turn_hue
from setpiece.data.resize import normalise
from setpiece.records import InputSize

from ..rectangle import scene_with_a_rectangle

SIZE = InputSize(96, 128)


def test_every_canvas_is_square_and_shows_a_small_image_whole():
    for seed in range(20):
        torch.manual_seed(seed)
        transform = RandomCanvas(SIZE, scales=(0.5, 0.8), stretch=1.0)
        image, target = transform(*scene_with_a_rectangle(120, 160, (40, 30, 100, 66)))
        assert image.shape == (3, 128, 128)
        [[left, top, right, bottom]] = target["boxes"].tolist()
        long, short = sorted((right - left, bottom - top), reverse=True)
        assert long / short == pytest.approx(60 / 36, abs=0.15)
        assert 0.45 * 60 * 128 / 160 < long < 0.85 * 60 * 128 / 160


@pytest.mark.parametrize(
    ("aspect", "shape"), [(0.56, (96, 128)), (0.75, (96, 128)), (4 / 3, (128, 96)), (3.0, (128, 64))]
)
def test_a_canvas_has_the_aspect_that_is_asked_for_and_boxes_stay_on_it(aspect, shape):
    for seed in range(10):
        torch.manual_seed(seed)
        image, target = RandomCanvas(SIZE, aspect=aspect)(*scene_with_a_rectangle(120, 160, (40, 30, 100, 66)))
        assert image.shape[1:] == shape
        assert (target["boxes"] <= torch.tensor([*shape[::-1], *shape[::-1]])).all()


def test_the_margin_has_the_colour_that_normalisation_takes_to_zero():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    transform = RandomCanvas(SIZE, scales=(0.5, 0.5), stretch=1.0, margin=mean)
    canvas, _ = transform(*scene_with_a_rectangle(100, 100, (10, 10, 90, 90)))
    assert (normalise(canvas, mean, std).abs().amax(0) < 0.01).float().mean() > 0.7  # the image covers a quarter


def test_colours_change_but_grey_stays_grey():
    for seed in range(10):
        torch.manual_seed(seed)
        colours = random_colouring()
        red, green, blue = colours(torch.full((3, 1, 1), 100, dtype=torch.uint8)).flatten().tolist()
        assert green == pytest.approx(red, abs=0.1)
        assert blue == pytest.approx(red, abs=0.1)
        assert not torch.allclose(colours.matrix, torch.eye(3), atol=0.05)


def test_a_weaker_augmentation_changes_size_and_colours_less_and_one_of_no_strength_not_at_all():
    def changes(strength):
        torch.manual_seed(0)
        sides, colours = [], []
        for _ in range(30):
            transform = RandomCanvas(InputSize(128, 128), strength=strength)
            _, target = transform(*scene_with_a_rectangle(128, 128, (54, 54, 74, 74)))
            sides += [side for box in (target["boxes"][:, 2:] - target["boxes"][:, :2]).tolist() for side in box]
            colours.append((random_colouring(strength).matrix - torch.eye(3)).abs().max().item())
        return max(abs(side - 20) for side in sides), sum(colours) / len(colours)

    (none, no_colour), (half, half_colour), (full, full_colour) = map(changes, (0.0, 0.5, 1.0))
    assert none == 0 < half < full
    assert no_colour == pytest.approx(0, abs=1e-6)
    assert 0 < half_colour < 0.8 * full_colour


def test_a_third_of_a_turn_of_hue_takes_red_to_green_and_a_whole_one_back():
    red, green = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    torch.testing.assert_close(turn_hue(2 * math.pi / 3) @ red, green, atol=1e-6, rtol=0)
    torch.testing.assert_close(turn_hue(2 * math.pi), torch.eye(3), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2000), (2000, 1), (20, 30), (700, 300)])
@pytest.mark.parametrize("count", [0, 50])
def test_boxes_stay_within_the_canvas_whatever_the_image(height, width, count):
    image = tv_tensors.Image(torch.zeros(3, height, width, dtype=torch.uint8))
    corners = torch.rand(count, 2, 2) * torch.tensor([width, height])
    boxes_xyxy = torch.cat([corners.amin(1), corners.amax(1)], 1)
    boxes = tv_tensors.BoundingBoxes(boxes_xyxy, format="XYXY", canvas_size=(height, width))
    for seed in range(5):
        torch.manual_seed(seed)
        drawn, target = RandomCanvas(SIZE)(image, {"boxes": boxes, "labels": torch.arange(count)})
        assert drawn.shape == (3, 128, 128)
        left_top, right_bottom = target["boxes"].as_subclass(torch.Tensor).view(-1, 2, 2).unbind(1)
        assert (left_top >= 0).all()
        assert (right_bottom <= 128).all()
        assert (right_bottom - left_top >= 1).all()
        assert len(target["labels"]) == len(left_top)
