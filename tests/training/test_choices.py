from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from setpiece.data.dataset import Dataset, Example
from setpiece.data.defects import Defects
from setpiece.model.checkpoint import create
from setpiece.training.choices import choose_orientations, choose_queries, choose_weights, common_aspect, fit_to_data
from setpiece.training.config import resolve


def example(labels, sides=(10, 10), size=(100, 100)):
    """An image with objects of given labels, all of one width and height."""
    count = len(labels)
    boxes_xyxy = np.tile(np.array([0, 0, *sides], np.float32), (count, 1))
    crowd, areas = np.zeros(count, bool), np.ones(count, np.float32)
    return Example(1, Path("a.jpg"), *size, boxes_xyxy, np.array(labels, np.int64), crowd, areas)


def dataset(examples, classes=("cell", "platelet")):
    ids = tuple(range(1, len(classes) + 1))
    return Dataset(Path("data"), "train", tuple(classes), ids, tuple(examples), Defects())


def lying_and_standing(wide, high):
    """Images whose objects are wide in some and high in others, never quite alike."""
    return [example([0], (20 + i % 3, 10)) for i in range(wide)] + [example([0], (10, 20 + i % 3)) for i in range(high)]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (("6", "9"), "upright"),
        (("a", "b", "c"), "upright"),
        (("turn_left", "stop"), "upright"),
        (("do not turn R", "stop"), "upright"),
        (("leftover", "cup"), "all"),
        (("6", "cup"), "all"),
    ],
)
def test_names_of_classes_say_whether_turning_changes_them(classes, expected):
    assert choose_orientations(dataset(lying_and_standing(5, 5), classes))[0] == expected


@pytest.mark.parametrize(
    ("wide", "high", "expected"), [(9, 1, "mirrored"), (1, 9, "mirrored"), (5, 5, "all"), (0, 0, "all")]
)
def test_objects_that_lie_or_stand_are_mirrored_and_not_turned(wide, high, expected):
    assert choose_orientations(dataset(lying_and_standing(wide, high)))[0] == expected


@pytest.mark.parametrize(("objects", "expected"), [(0, 100), (60, 100), (67, 150), (200, 300)])
def test_there_are_queries_for_the_densest_image_and_half_as_many_more(objects, expected):
    assert choose_queries(dataset([example([]), example([0] * objects)]), 100)[0] == expected


def test_an_image_with_a_rare_class_is_drawn_more_often_but_not_without_end():
    common, rare = example([0, 0]), example([0, 1])
    assert choose_weights(dataset([common] * 9 + [rare])).tolist() == [1.0] * 10
    weights = choose_weights(dataset([common] * 39 + [rare]))
    assert weights.tolist() == [1.0] * 39 + [pytest.approx((0.1 * 40) ** 0.5)]
    assert choose_weights(dataset([common] * 999 + [rare])).max() == 4
    assert choose_weights(dataset([example([])])).tolist() == [1.0]


def test_images_of_one_shape_get_a_canvas_of_it_unless_they_are_turned():
    alike = dataset([example([0], size=(90, 160)), example([0], size=(180, 321))])
    assert common_aspect(alike, "mirrored") == pytest.approx(0.5625, abs=0.01)
    assert common_aspect(alike, "all") == 1
    assert common_aspect(replace(alike, examples=(*alike.examples, example([0]))), "mirrored") == 1


def test_what_the_user_leaves_open_is_decided_and_said_and_nothing_else():
    data = dataset([example([0] * 80)] + [example([0])] * 60 + [example([1])], ("6", "9"))
    start = create("sprint-n", data.classes)
    config, fitted, weighted, [sentence] = fit_to_data(resolve("d", "sprint-n"), start, data)
    assert (config.orientations, config.queries, fitted.model.num_queries) == ("upright", 150, 150)
    assert start.model.num_queries == 100
    assert weighted.weights is not None
    assert sentence.startswith(
        "Chosen by the data: orientations upright (turning may change classes such as 6, 9), 150"
    )
    given = resolve("d", "sprint-n", orientations="all", queries=120, balance=False)
    config, fitted, weighted, sentences = fit_to_data(given, start, data)
    assert (config, fitted.model.num_queries, weighted.weights, sentences) == (given, 120, None, [])


def test_learned_queries_are_left_alone_and_it_is_said_where_they_are_too_few():
    data = dataset([example([0] * 80)])
    config, fitted, _, sentences = fit_to_data(resolve("d", "detr-tiny"), create("detr-tiny", data.classes), data)
    assert (config.queries, fitted.model.num_queries) == (None, 60)
    assert sentences == [
        "There are up to 80 objects in an image, and 60 queries, each of which finds one: the others of such an image "
        "are not learned."
    ]
    few = dataset([example([0] * 60)])
    assert fit_to_data(resolve("d", "detr-tiny"), create("detr-tiny", few.classes), few)[3] == []
