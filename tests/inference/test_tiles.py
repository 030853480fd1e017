import numpy as np
import pytest

from setpiece.evaluation import sv
from setpiece.inference.found import to_record
from setpiece.inference.predictor import Predictor
from setpiece.inference.tiles import Tiled, join

from ..colours import COLOURS, measuring, paint

SIDE = 64  # tiles overlap by 13 pixels


@pytest.fixture(scope="module")
def tiled():
    """The model that measures the extent of each colour, in tiles that enter it as they are."""
    return Tiled(Predictor(measuring(shortest=SIDE, longest=SIDE)), SIDE)


def only(tiled, image):
    """The one detection in an image."""
    [found] = tiled.predict([image])
    assert len(found) == 1
    return found


@pytest.mark.parametrize("size", [(64, 160), (160, 64)], ids=["across", "down"])
def test_an_object_on_a_seam_is_found_once_wherever_it_is(tiled, size):
    for place in range(0, 160 - 24, 9):
        box = (place, 20, place + 24, 50) if size[1] == 160 else (20, place, 50, place + 24)
        found = only(tiled, paint(size, {"red": box}))
        assert found.data["class_name"].tolist() == ["red"]
        np.testing.assert_allclose(found.xyxy[0], box, atol=1.5)


def test_an_object_where_four_tiles_meet_is_found_once(tiled):
    box = (40, 38, 66, 70)
    np.testing.assert_allclose(only(tiled, paint((115, 115), {"red": box})).xyxy[0], box, atol=1.5)


def test_an_object_larger_than_a_tile_gets_the_box_around_its_pieces(tiled):
    box = (10, 10, 150, 50)
    np.testing.assert_allclose(only(tiled, paint((64, 160), {"red": box})).xyxy[0], box, atol=1.5)


def test_objects_of_other_classes_in_one_place_stay(tiled):
    boxes = {"red": (44, 20, 70, 50), "green": (44, 20, 70, 50), "blue": (44, 22, 70, 48)}
    [found] = tiled.predict([paint((64, 160), boxes)])
    assert sorted(found.data["class_name"]) == sorted(COLOURS)


def test_an_image_that_fits_one_tile_is_seen_as_without_tiles(tiled):
    image = paint((40, 60), {"red": (5, 5, 35, 25), "blue": (8, 30, 30, 38)})
    [found] = tiled.predict([image])
    [plain] = tiled.model.predict([image])
    np.testing.assert_array_equal(found.xyxy, plain.xyxy)
    assert found.data.keys() == plain.data.keys()


def test_where_nothing_is_found_there_is_an_empty_record_with_names(tiled):
    found = next(tiled.predict([np.zeros((100, 100, 3), np.uint8)]))
    assert (len(found), found.data["class_name"].tolist()) == (0, [])


def test_colours_in_the_order_of_opencv_are_understood(tiled):
    image = paint((64, 160), {"red": (44, 20, 70, 50)})
    [found] = tiled.predict([image[..., ::-1]], channels="bgr")
    assert found.data["class_name"].tolist() == ["red"]


def test_the_cost_is_said_once_before_the_first_image_that_needs_tiles():
    said = []
    tiled = Tiled(Predictor(measuring(shortest=SIDE, longest=SIDE)), SIDE, said.append)
    images = [np.zeros((height, 160, 3), np.uint8) for height in (64, 100)]
    list(tiled.predict([images[0][:, :64], *images]))
    assert said == ["3 tiles of 64 pixels for an image of 160x64: this takes about 3 times as long as without tiles."]


# Two tiles of 100 pixels beside each other, which overlap by 20.
LEFT, RIGHT = (0, 0, 100, 100), (80, 0, 180, 100)


def joined(*seen, classes=None):
    """What is left of (box, tile, confidence)s, as boxes with their confidence."""
    boxes, tiles, scores = (np.array(each, float) for each in zip(*seen, strict=True))
    classes = np.zeros(len(seen), int) if classes is None else np.array(classes)
    found = to_record(boxes, scores, classes, names=("cat", "dog"), threshold=0.0)
    left = join(found, tiles, (180, 100))
    return list(zip(left.xyxy.tolist(), left.confidence.tolist(), strict=True))


def test_the_whole_box_stays_even_where_a_piece_is_more_certain():
    whole, piece = [60.0, 10.0, 95.0, 40.0], [80.0, 10.0, 95.0, 40.0]
    assert joined((whole, LEFT, 0.6), (piece, RIGHT, 0.9)) == [(whole, 0.6)]


def test_a_piece_of_a_few_pixels_is_no_object():
    whole = [60.0, 10.0, 84.0, 40.0]
    assert joined((whole, LEFT, 0.6), ([80.0, 9.0, 85.5, 41.0], RIGHT, 0.5)) == [(whole, 0.6)]


def test_neighbours_are_two_objects():
    one, two = [60.0, 10.0, 90.0, 40.0], [88.0, 12.0, 120.0, 40.0]
    piece_of_two, piece_of_one = [88.0, 12.0, 100.0, 40.0], [80.0, 10.0, 90.0, 40.0]
    seen = [(one, LEFT, 0.9), (piece_of_two, LEFT, 0.7), (two, RIGHT, 0.8), (piece_of_one, RIGHT, 0.6)]
    assert joined(*seen) == [(one, 0.9), (two, 0.8)]


def test_a_small_object_within_a_large_one_stays():
    large, small = [20.0, 0.0, 99.0, 99.0], [84.0, 50.0, 92.0, 60.0]
    piece = [80.0, 0.0, 99.0, 99.0]
    seen = [(large, LEFT, 0.9), (small, LEFT, 0.8), (piece, RIGHT, 0.7), (small, RIGHT, 0.75)]
    assert [box for box, _ in joined(*seen)] == [large, small]
    assert len(joined(seen[0], seen[3])) == 2  # even where each tile misses the other's


def test_two_detections_of_one_tile_stay_two():
    box, near = [10.0, 10.0, 40.0, 40.0], [11.0, 10.0, 40.0, 41.0]
    assert joined((box, LEFT, 0.9), (near, LEFT, 0.8)) == [(box, 0.9), (near, 0.8)]


def test_classes_are_not_joined():
    box = [84.0, 10.0, 96.0, 40.0]
    assert len(joined((box, LEFT, 0.9), (box, RIGHT, 0.8), classes=[0, 1])) == 2


def test_nothing_else_of_a_detection_is_lost():
    boxes = np.array([[84.0, 10, 96, 40], [84, 10, 96, 40]])
    found = sv.Detections(boxes, confidence=np.array([0.5, 0.9]), class_id=np.array([1, 1]))
    found.data = {"class_name": np.array(["dog", "dog"]), "query": np.array([3, 8])}
    left = join(found, np.array([LEFT, RIGHT], float), (180, 100))
    assert left.data["query"].tolist() == [8]
