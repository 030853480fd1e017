"""Boxes that were drawn at the declared size are scaled to the file's, where the boxes themselves say so."""

from __future__ import annotations

import numpy as np
import pytest

from setpiece.data import open_dataset
from setpiece.data.defects import Defect
from setpiece.data.scaling import same_aspect

DRAWN = [[[20, 10, 30, 30], [5, 6, 15, 24]], [[30, 20, 30, 24]], [[40, 25, 23, 22], [2, 30, 18, 15]]]  # xywh of 64x48


@pytest.fixture
def write(write_coco, write_image):
    """Images of a size (width, height), whose annotations declare 64x48."""

    def write(boxes, size):
        root = write_coco(*boxes)
        for path in (root / "train").glob("*.jpg"):
            write_image(path, size)
        return root

    return write


@pytest.mark.parametrize("size", [(32, 24), (33, 25), (256, 192)])
def test_boxes_that_fit_the_declared_size_alone_are_scaled(write, size):
    dataset = open_dataset(write(DRAWN, size), "train")
    ratios = np.tile([size[0] / 64, size[1] / 48], 2)
    for example, boxes in zip(dataset.examples, DRAWN, strict=True):
        corners = [[x, y, x + w, y + h] for x, y, w, h in boxes]
        assert (example.width, example.height) == size
        np.testing.assert_allclose(example.boxes_xyxy, corners * ratios, rtol=1e-5)
        np.testing.assert_allclose(example.areas, [w * h * ratios[:2].prod() for _, _, w, h in boxes], rtol=1e-5)
    assert dataset.defects.counts == {Defect.SCALED: 3}


@pytest.mark.parametrize(
    ("boxes", "size"),
    [
        ([[[2, 2, 20, 9]], [[9, 9, 9, 9]], [[4, 5, 6, 7]]], (32, 24)),  # they fit both sizes
        ([[[2, 2, 99, 90]], [[90, 9, 30, 9]], [[4, 5, 60, 70]]], (128, 96)),  # they fit the file alone
        (DRAWN[1:2], (32, 24)),  # one box tells nothing
        (DRAWN[:2], (66, 49)),
    ],
)
def test_boxes_that_may_be_of_the_file_stay(write, boxes, size):
    dataset = open_dataset(write(boxes, size), "train")
    assert Defect.SCALED not in dataset.defects.counts
    assert dataset.defects.counts.keys() & {Defect.OTHER_SIZE, Defect.OTHER_ASPECT}


@pytest.mark.parametrize("written", [(64.0, 48.0), ("64", "48")])
def test_a_size_in_another_notation_is_read(write_coco, write_image, written):
    width, height = written
    images = [{"id": 10 + n, "file_name": f"{n}.jpg", "width": width, "height": height} for n in range(3)]
    root = write_coco(*DRAWN, images=images)
    for path in (root / "train").glob("*.jpg"):
        write_image(path, (32, 24))
    assert open_dataset(root, "train").defects.counts == {Defect.SCALED: 3}


def test_a_resized_image_keeps_its_aspect_but_for_rounding():
    assert same_aspect((48, 64), (33, 44))
    assert same_aspect((427, 640), (334, 500))
    assert not same_aspect((48, 64), (64, 48))
