"""Models on the same images."""

from setpiece.evaluation.comparison import Changed, changed_images, compare

from .test_matches import found_in, truth_of


def test_images_are_better_or_worse_than_with_the_first_model_those_that_changed_most_first():
    wrong = [{"image_id": 0, "category_id": 1, "bbox": [60, y, 5, 5], "score": 0.95} for y in (40, 60)]
    old, new = found_in([0, 1, 2]), [*found_in([0, 2, 3]), *wrong]
    compared = compare(truth_of(4), [("old", old), ("new", new), ("same", old)])
    assert changed_images(compared, 5) == [Changed(1, 3, 1), Changed(1, 0, -2), Changed(1, 1, -1)]
    assert changed_images(compared, 1) == [Changed(1, 3, 1), Changed(1, 0, -2)]


def test_each_model_has_its_interval_and_that_of_the_difference():
    truth = truth_of(40)
    old, new = compare(truth, [("old", found_in(range(20))), ("new", found_in(range(36)))])
    assert (old.difference, old.interval) == (None, None)
    assert new.difference == new.metrics.AP - old.metrics.AP
    assert 0.2 < new.interval.low < new.difference < new.interval.high < 0.6
    assert old.ap.low < old.metrics.AP < old.ap.high
    assert 0.4 < new.thresholds()["cat"] < 0.5  # half of the least confidence, which is right
    assert compare(truth | {"annotations": []}, [("old", [])])[0].thresholds() == {"cat": 0.5}
