"""Images that their EXIF orientation turns: the boxes of a split say on which pixels they were drawn."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from setpiece.data import open_dataset
from setpiece.data.defects import Defect

# Stored as 64x48, upright 48x64.
STORED, UPRIGHT, BOTH, NEITHER, JUST_OUT = (
    *([50, 10, 12, 20], [10, 50, 20, 12], [5, 5, 30, 30], [50, 50, 12, 12], [40, 10, 10, 20]),
)
TURN = 6  # by a quarter


@pytest.fixture
def write_turned(write_coco):
    """Write images with boxes as given, one list per image, that an orientation turns; declared: (height, width)."""

    def write(*boxes_of_image, declared=None, orientation=TURN):
        root = write_coco(*boxes_of_image)
        exif = Image.Exif()
        exif[0x0112] = orientation
        for file in (root / "train").glob("*.jpg"):
            with Image.open(file) as image:
                image.save(file, exif=exif)
        annotations = root / "train" / "_annotations.coco.json"
        content = json.loads(annotations.read_text())
        for image in content["images"]:
            del image["height"], image["width"]
            image |= {} if declared is None else {"height": declared[0], "width": declared[1]}
        annotations.write_text(json.dumps(content))
        return root

    return write


def upright_and_counts(root):
    dataset = open_dataset(root, "train")
    return [example.upright for example in dataset.examples], dataset.defects.counts


@pytest.mark.parametrize("declared", [None, (64, 48)])
def test_boxes_that_fit_the_stored_pixels_alone_are_read_on_them(write_turned, declared):
    root = write_turned([STORED], [STORED, BOTH], [STORED], [BOTH], [], declared=declared)
    upright, counts = upright_and_counts(root)
    assert upright == [False] * 4 + [True]
    assert counts == {Defect.NOT_TURNED: 4, Defect.TURNED: 1, Defect.EMPTY_IMAGE: 1}
    example = open_dataset(root, "train").examples[0]
    assert (example.width, example.height, example.boxes_xyxy.tolist()) == (64, 48, [[50, 10, 62, 30]])


def test_images_whose_boxes_fit_both_stay_upright_where_others_fit_the_upright_pixels_alone(write_turned):
    upright, _ = upright_and_counts(write_turned([STORED], [STORED], [STORED], [BOTH], [UPRIGHT]))
    assert upright == [False, False, False, True, True]


def test_images_whose_boxes_fit_both_stay_upright_where_few_say_anything(write_turned):
    assert upright_and_counts(write_turned([STORED], [BOTH], [BOTH]))[0] == [False, True, True]


def test_one_box_far_outside_among_many_upright_images_turns_nothing(write_turned):
    assert all(upright_and_counts(write_turned([STORED], *[[UPRIGHT]] * 10))[0])


@pytest.mark.parametrize("boxes", [[BOTH], [UPRIGHT], [BOTH, NEITHER], [JUST_OUT], [STORED, UPRIGHT], []])
def test_boxes_that_do_not_say_so_are_read_on_the_upright_image(write_turned, boxes):
    assert upright_and_counts(write_turned(boxes, [BOTH, UPRIGHT], [BOTH]))[0] == [True] * 3
