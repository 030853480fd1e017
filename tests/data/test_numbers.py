"""Numbers that are written in another way than the layout has it are refused: all boxes of a split tell, not one."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from setpiece.data import open_dataset
from setpiece.data.defects import Defect
from setpiece.errors import DataError

CORNERS = [[[20, 10, 50, 40], [5, 6, 20, 30]], [[30, 20, 60, 44]], [[40, 25, 63, 47], [2, 30, 20, 45]]]  # of 64x48


@pytest.fixture
def write_voc(tmp_path, write_image):
    """Write images with corners as given, one list per image, without lists of names."""

    def write(boxes_of_image):
        for number, boxes in enumerate(boxes_of_image):
            write_image(tmp_path / "train" / f"{number}.jpg")
            objects = "".join(
                "<object><name>cell</name><bndbox>"
                + "".join(f"<{s}>{v}</{s}>" for s, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
                + "</bndbox></object>"
                for box in boxes
            )
            (tmp_path / "train" / f"{number}.xml").write_text(f"<annotation>{objects}</annotation>")
        return tmp_path

    return write


@pytest.fixture
def write_yolo(tmp_path, write_image):
    """Write images with lines of four numbers as given, one list per image."""

    def write(boxes_of_image):
        (tmp_path / "data.yaml").write_text("names: [cell]\n")
        for number, boxes in enumerate(boxes_of_image):
            write_image(tmp_path / "train" / "images" / f"{number}.jpg")
            labels = tmp_path / "train" / "labels" / f"{number}.txt"
            labels.parent.mkdir(exist_ok=True)
            labels.write_text("".join(f"0 {' '.join(map(str, box))}\n" for box in boxes))
        return tmp_path

    return write


def fractions(boxes_of_image):
    return [[[x / 64, y / 48, z / 64, w / 48] for x, y, z, w in boxes] for boxes in boxes_of_image]


def sized(boxes_of_image):
    """left, top, width, height of corners."""
    return [[[x, y, z - x, w - y] for x, y, z, w in boxes] for boxes in boxes_of_image]


def centred(boxes_of_image):
    return [[[(x + z) / 2, (y + w) / 2, z - x, w - y] for x, y, z, w in boxes] for boxes in boxes_of_image]


def refused(root, message):
    with pytest.raises(DataError, match=message):
        open_dataset(root, "train")


def test_coco_corners_are_refused(write_coco):
    refused(write_coco(*CORNERS), "many boxes stick out .* all fit as corners; are they left, top, right, bottom")


def test_coco_fractions_are_refused(write_coco):
    refused(write_coco(*sized(fractions(CORNERS))), "the boxes are smaller than a pixel; are they fractions")


def test_voc_fractions_are_refused(write_voc):
    refused(write_voc(fractions(CORNERS)), "the boxes are smaller than a pixel; are they fractions")


def test_voc_sizes_are_refused(write_voc):
    small = [[[30, 20, 10, 12], [40, 30, 8, 9]], [[20, 25, 12, 8]], [[50, 35, 10, 10]]]
    refused(write_voc(small), "most boxes have their right side left of the left one, and all fit as sizes")


def test_yolo_pixels_are_refused(write_yolo):
    refused(write_yolo(centred(CORNERS)), "most boxes lie outside their images.* are they in pixels")


@pytest.mark.parametrize(("whole", "what"), [(100, "percent"), (1000, "parts of 1000")])
def test_yolo_parts_of_another_whole_are_named(write_yolo, whole, what):
    boxes = [[[n * whole for n in box] for box in boxes] for boxes in centred(fractions(CORNERS))]
    refused(write_yolo(boxes), f"between 0 and {whole}; are they {what} of the image. Divide them by {whole}")


def test_yolo_corners_are_refused(write_yolo):
    refused(write_yolo(fractions(CORNERS)), "many boxes stick out .* all fit as corners; are they left, top, right, bo")


def test_right_numbers_are_read_in_every_layout(write_coco, write_voc, write_yolo):
    for write, boxes in ((write_voc, CORNERS), (write_yolo, centred(fractions(CORNERS)))):
        assert [len(e.labels) for e in open_dataset(write(boxes), "train").examples] == [2, 1, 2]
    root = write_coco(*sized(CORNERS))
    assert [len(e.labels) for e in open_dataset(root, "train").examples] == [2, 1, 2]


def points(boxes_of_image):
    return [[[x, y, 0, 0] for x, y, *_ in boxes] for boxes in boxes_of_image]


def test_points_are_called_points_in_every_layout(write_coco, write_voc, write_yolo):
    message = "6 of 7 boxes have no width or no height; are they points"
    rest, right = [[[3, 4, 0, 9]]], [[5, 6, 20, 30]]
    refused(write_coco(*points(CORNERS), *rest, right), message)
    refused(
        write_voc([*([[[x, y, x + w, y + h] for x, y, w, h in of] for of in points(CORNERS) + rest]), right]), message
    )
    refused(write_yolo([*fractions(points(CORNERS) + rest), centred([[[0.1, 0.1, 0.5, 0.5]]])[0]]), message)


def test_some_fractions_among_pixels_are_refused(write_coco):
    refused(write_coco(*sized(CORNERS), *sized(fractions(CORNERS))), "5 of 10 boxes are smaller than a pixel")


@pytest.mark.parametrize("layout", ["coco", "voc"])
def test_boxes_of_a_far_larger_scale_are_refused_with_how_far_they_reach(write_coco, write_voc, layout):
    boxes = [[[n * 1000 for n in box] for box in boxes] for boxes in fractions(CORNERS)]
    root = write_coco(*sized(boxes)) if layout == "coco" else write_voc(boxes)
    refused(root, r"5 of 5 boxes reach far out of their images, up to \(984.375, 979.167\); were they drawn on larger")


@pytest.mark.parametrize("odd", [[40, 30, 60, 40], [0.1, 0.1, 0.5, 0.5], [-5, -5, 90, 90], [500, 500, 9, 9]])
def test_one_odd_box_among_others_is_no_reason_to_refuse(write_coco, odd):
    open_dataset(write_coco([odd, [1, 2, 30, 20], [30, 20, 10, 12]], [[40, 30, 8, 9]]), "train")


def test_boxes_that_were_drawn_on_a_larger_image_are_no_corners(write_coco, write_image):
    root = write_coco(*sized(CORNERS), [[10, 5, 30, 30]])
    for path in (root / "train").glob("*.jpg"):
        write_image(path, (32, 24))
    open_dataset(root, "train")


def test_objects_in_the_corner_of_small_images_are_no_fractions(write_coco):
    open_dataset(write_coco([[0, 0, 1, 1]], [[3, 4, 1, 1]]), "train")


def drawn(count, seed=0, width=64, height=48, least=8, most=16):
    """Corners in whole pixels, inside an image, three to each."""
    generator = np.random.default_rng(seed)
    sides = generator.integers(least, most, (count, 3, 2))
    corners = generator.integers(0, (width, height) - sides + 1)
    return np.concatenate([corners, corners + sides], 2).tolist()


def test_coco_centres_are_refused(write_coco):
    message = (
        r"of 60 boxes stick out .* at the right or the bottom, and all fit .*; are they centre x, centre y, width, h"
    )
    refused(write_coco(*centred(drawn(20))), message)


def test_yolo_corners_with_sides_are_refused(write_yolo):
    message = r"of 60 boxes stick out .* at the left or the top, and all fit .*; are they left, top, width, height"
    refused(write_yolo(sized(fractions(drawn(20)))), message)


@pytest.mark.parametrize("layout", ["coco", "voc", "yolo"])
def test_boxes_that_were_drawn_carelessly_are_read_in_every_layout(write_coco, write_voc, write_yolo, layout):
    careless = (np.array(drawn(20)) + np.random.default_rng(1).integers(-4, 5, (20, 3, 4))).tolist()
    if layout == "coco":
        root = write_coco(*sized(careless))
    else:
        root = write_voc(careless) if layout == "voc" else write_yolo(centred(fractions(careless)))
    assert open_dataset(root, "train").defects.counts[Defect.CLIPPED_BOX] == 10


@pytest.mark.parametrize("by", [1, 3])
def test_boxes_that_are_moved_beyond_two_borders_are_no_centres(write_coco, by):
    moved = [[[x + by, y + by, w, h] for x, y, w, h in boxes] for boxes in sized(drawn(20))]
    open_dataset(write_coco(*moved), "train")


def percent(boxes_of_image, width, height):
    scale = np.array([100 / width, 100 / height] * 2)
    return [(np.array(boxes) * scale).round(2).tolist() for boxes in boxes_of_image]


@pytest.fixture
def write_large(write_coco):
    """Write images of 480x400 pixels with boxes as given, without a declared size."""

    def write(boxes_of_image):
        images = [{"id": 10 + index, "file_name": f"{index}.jpg"} for index in range(len(boxes_of_image))]
        root = write_coco(*boxes_of_image, images=images)
        for index in range(len(boxes_of_image)):
            Image.new("RGB", (480, 400)).save(root / "train" / f"{index}.jpg")
        return root

    return write


def test_percent_of_images_that_are_larger_is_refused(write_large):
    boxes = sized(percent(drawn(8, width=480, height=400, least=60, most=120), 480, 400))
    refused(
        write_large(boxes), "all 24 boxes lie between 0 and 100, in images of 480x400 pixels or more; are they perc"
    )


@pytest.mark.parametrize(
    "boxes",
    [
        [[[10 + i, 12, 60, 80] for i in range(3)]] * 8,  # a clock in the corner
        sized(drawn(4, width=100, height=100, least=10, most=30)),  # of few images
        [*sized(drawn(8, width=100, height=100, least=10, most=30)), [[300, 200, 30, 40]]],
    ],
)
def test_objects_in_the_corner_of_large_images_are_no_percent(write_large, boxes):
    open_dataset(write_large(boxes), "train")


def test_some_pixels_among_fractions_are_refused(write_yolo):
    refused(
        write_yolo([*centred(fractions(drawn(6))), *centred(drawn(2))]),
        "6 of 24 boxes lie far outside .* are they in pixels. Write fractions for these, too",
    )


def test_one_box_in_pixels_among_fractions_is_dropped(write_yolo):
    boxes = centred(fractions(drawn(6)))
    boxes[2][1] = [20, 20, 10, 10]
    assert open_dataset(write_yolo(boxes), "train").defects.counts == {Defect.OUTSIDE_BOX: 1}
