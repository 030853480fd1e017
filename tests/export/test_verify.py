"""Detections are compared pair by pair, whatever their order."""

import numpy as np
import pytest
import supervision as sv

from setpiece.export.verify import Tolerance, compare

TOLERANCE = Tolerance(pixels=0.5, score=1e-3, least=0.1)
IMAGE = np.zeros((100, 100, 3), np.uint8)
BOXES = np.array([[10.0, 10, 40, 40], [10, 10, 40, 40], [50, 50, 90, 80]])
SCORES = np.array([0.9, 0.8, 0.3])
CLASSES = np.array([0, 1, 0])


class Fixed:
    """Detects the same in every image."""

    classes, thresholds = ("a", "b"), None

    def __init__(self, boxes, scores, classes):
        names = np.array(["a", "b"])[np.asarray(classes, int)]
        self.found = sv.Detections(
            xyxy=np.asarray(boxes, float).reshape(-1, 4),
            confidence=np.asarray(scores, float),
            class_id=np.asarray(classes, int),
            data={"class_name": names},
        )

    def predict(self, pictures, *, threshold, channels="rgb"):
        assert (threshold, channels) == (0.0, "rgb")
        yield from (self.found for _ in pictures)


def agreement(boxes, scores, classes):
    return compare(Fixed(BOXES, SCORES, CLASSES), Fixed(boxes, scores, classes), [("a.jpg", IMAGE)], TOLERANCE)


def test_the_same_detections_in_another_order_agree():
    order = [2, 0, 1]
    found = agreement(BOXES[order], SCORES[order], CLASSES[order])
    assert (found.detections, found.pixels, found.score, found.alone) == (3, 0.0, 0.0, 0)
    assert found.within(TOLERANCE)


def test_the_farthest_side_of_a_box_and_the_largest_difference_of_scores_count():
    found = agreement(BOXES + np.array([[0, 0, 0, 0.4], [0] * 4, [0] * 4]), SCORES - [0, 0.0005, 0], CLASSES)
    assert found.pixels == pytest.approx(0.4)
    assert found.score == pytest.approx(0.0005)
    assert found.within(TOLERANCE)
    assert not agreement(BOXES + 0.6, SCORES, CLASSES).within(TOLERANCE)
    assert not agreement(BOXES, SCORES - 0.002, CLASSES).within(TOLERANCE)


def test_a_detection_of_another_class_is_no_pair():
    found = agreement(BOXES, SCORES, [0, 0, 0])
    assert found.alone == 2  # of either
    assert not found.within(TOLERANCE)


@pytest.mark.parametrize("kept", [[0, 1], [0], []])
def test_a_detection_that_lacks_is_alone(kept):
    assert agreement(BOXES[kept], SCORES[kept], CLASSES[kept]).alone == 3 - len(kept)


def test_a_detection_too_many_is_alone_unless_it_is_faint():
    for score, alone in ((0.5, 1), (0.1005, 0), (0.05, 0)):
        more = np.append(BOXES, [[60.0, 0, 90, 20]], 0), np.append(SCORES, score), np.append(CLASSES, 0)
        assert agreement(*more).alone == alone


def test_a_model_that_mixes_up_the_images_of_a_batch_disagrees_together_alone():
    class Mixing(Fixed):
        def predict(self, pictures, **options):
            found = list(super().predict(pictures, **options))
            yield from (found[0], *(each[:1] for each in found[1:]))

    images = [("a.jpg", IMAGE), ("b.jpg", IMAGE)]
    models = Fixed(BOXES, SCORES, CLASSES), Mixing(BOXES, SCORES, CLASSES)
    assert compare(*models, images, TOLERANCE).within(TOLERANCE)
    found = compare(*models, images, TOLERANCE, together=True)
    assert (found.images, found.detections, found.alone, found.worst) == (2, 6, 2, "b.jpg")


def test_the_worst_image_is_shown_with_both():
    found = agreement(BOXES + 3, SCORES, CLASSES)
    assert found.worst == "a.jpg"
    assert found.picture is not None
    assert str(found) == "3 detections in 1 image: boxes differ by up to 3 px, scores by up to 0."
