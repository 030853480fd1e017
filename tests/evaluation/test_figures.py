"""The pictures and the numbers beside the page of an evaluation."""

import json

import numpy as np
import pytest
from PIL import Image

from setpiece.evaluation import figures
from setpiece.evaluation.analysis import analyse

BOX = [10, 10, 50, 50]


def truth(count):
    categories = [{"id": c, "name": f"class {c}"} for c in range(1, count + 1)]
    annotations = [{"id": c, "image_id": 1, "category_id": c, "bbox": [c * 60, 0, 50, 50]} for c in range(1, count + 1)]
    return {"images": [{"id": 1}], "annotations": annotations, "categories": categories}


def detection(category, place, score):
    return {"image_id": 1, "category_id": category, "bbox": [place * 60, 0, 50, 50], "score": score}


@pytest.fixture
def analysis():
    """The first class is found and once seen where nothing is; the second is taken for the first."""
    return analyse(truth(3), [detection(1, 1, 0.75), detection(1, 9, 0.5), detection(1, 2, 0.25)])


def test_pictures_and_numbers_are_written_beside_the_page(analysis, tmp_path):
    files = figures.write_beside(analysis, tmp_path / "cells.html")
    assert files == figures.beside(tmp_path / "cells.html")
    pictures = ["precision-recall", "f1", "confusion", "calibration", "errors"]
    assert [file.name for file in files] == [
        f"cells-{name}" for name in (*(f"{p}.png" for p in pictures), "numbers.json")
    ]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    for file in files[:-1]:
        with Image.open(file) as picture:
            assert min(picture.size) > 300
    assert json.loads(files[-1].read_text()) == analysis.to_dict()


def test_the_curves_are_those_of_the_analysis(analysis):
    first = analysis.curves[0]
    (axes,) = figures.precision_over_recall(analysis).axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.stack([first.recall, first.precision], 1))
    assert axes.lines[1].get_xydata().tolist() == [[1.0, 1.0]]  # at the best threshold
    (axes,) = figures.f1_over_threshold(analysis).axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.stack([first.thresholds, first.f1], 1))
    assert axes.lines[0].get_drawstyle() == "steps-post"  # a confidence holds down to the next lower one
    assert axes.lines[1].get_xydata().tolist() == [[first.best, 1.0]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["class 1", "class 2", "class 3"]


def test_the_matrix_has_its_counts(analysis):
    (axes,) = figures.confusion(analysis).axes
    counts = [text.get_text() for text in axes.texts]
    assert counts == [str(count) for count in analysis.confusion.ravel().tolist()][:-1]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["class 1", "class 2", "class 3", "nothing"]


@pytest.mark.parametrize("classes", [0, 30])
def test_no_classes_and_many_classes_are_pictures_too(classes, tmp_path):
    assert len(figures.write_beside(analyse(truth(classes), []), tmp_path / "page.html")) == 6


def test_class_names_are_shown_as_they_are_written(tmp_path):
    names = [r"$\bad$", "\u732b", "_name"]
    of = truth(3)
    of["categories"] = [{"id": c, "name": name} for c, name in enumerate(names, 1)]
    analysis = analyse(of, [detection(1, 1, 0.75)])
    assert len(figures.write_beside(analysis, tmp_path / "page.html")) == 6
    (axes,) = figures.f1_over_threshold(analysis).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == names


def test_calibration_and_costs_are_those_of_the_analysis(analysis):
    (axes,) = figures.calibrated(analysis).axes
    shown = np.ma.filled(axes.collections[0].get_offsets(), np.nan)
    expected = np.stack([analysis.calibration.confidence, analysis.calibration.precision], 1)
    np.testing.assert_array_equal(shown[~np.isnan(shown[:, 0])], expected[~np.isnan(expected[:, 0])])
    (axes,) = figures.costs(analysis).axes
    assert [bar.get_width() for bar in axes.patches] == list(analysis.breakdown.costs.values())


def named(count, name):
    of = truth(count)
    return of | {"categories": [{"id": c, "name": f"{c} {name} {c}"} for c in range(1, count + 1)]}


@pytest.mark.parametrize("count", [1, 10])
def test_long_names_leave_room_for_the_matrix_and_keep_their_ends(count, tmp_path):
    analysis = analyse(named(count, "a class with a name " * 6), [detection(1, 1, 0.75)])
    figures.write_beside(analysis, tmp_path / "page.html")  # a warning that there is no room would be an error here
    figure = figures.confusion(analysis)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_window_extent().width > 0.25 * figure.bbox.width
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown[0] == "1 a class wi…h a name  1"
    assert figure.get_tightbbox().width <= figure.get_figwidth()
    (axes,) = figures.f1_over_threshold(analysis).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == shown[:-1]


def test_of_many_classes_the_matrix_has_the_most_confused_ones():
    wrong = [detection(30, place, 0.75) for place in (25, 27)] + [detection(30, 30, 0.75), detection(9, 9, 0.75)]
    analysis = analyse(truth(40), wrong)
    figure = figures.confusion(analysis)
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [*(f"class {c}" for c in range(1, 18)), "class 25", "class 27", "class 30", "nothing"]
    kept = [*range(17), 24, 26, 29, 40]
    counts = [str(count) for count in analysis.confusion[np.ix_(kept, kept)].ravel().tolist()]
    assert [text.get_text() for text in axes.texts] == counts[:-1]
    assert "the 20 most confused of 40 classes" in figure.get_suptitle()
