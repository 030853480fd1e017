"""Objects of VOC files, as tools write them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from setpiece.data import open_dataset
from setpiece.data.defects import Defect
from setpiece.errors import DataError


@pytest.fixture
def read(write):
    """The one image of a data set whose file holds these objects, and what was counted."""

    def read_objects(objects):
        size = "<size><width>64</width><height>48</height></size>"
        root = write({"train/1.jpg": None, "train/1.xml": f"<annotation>{size}{objects}</annotation>"})
        dataset = open_dataset(root, "train")
        return dataset.examples[0], dataset.defects.counts

    return read_objects


BOX = "<bndbox><xmin>8</xmin><ymin>6</ymin><xmax>24</xmax><ymax>18</ymax></bndbox>"


def test_names_of_tags_count_in_any_case(read):
    box = "<BndBox><Xmin>8</Xmin><YMIN>6</YMIN><xMax>24</xMax><Ymax>18</Ymax></BndBox>"
    example, counts = read(f"<Object><Name>bolt</Name>{box}</Object>")
    assert example.boxes_xyxy.tolist() == [[8, 6, 24, 18]]
    assert counts == {}


@pytest.mark.parametrize(
    "polygon",
    [
        "<x1>8</x1><y1>6</y1><x2>24</x2><y2>10</y2><x3>20</x3><y3>18</y3>",
        "<username>me</username><pt><x>8</x><y>6</y></pt><pt><x>24</x><y>10</y></pt><pt><x>20</x><y>18</y></pt>",
    ],
)
def test_an_object_with_an_outline_alone_has_the_box_around_it(read, polygon):
    example, counts = read(f"<object><name>bolt</name><polygon>{polygon}</polygon></object>")
    assert example.boxes_xyxy.tolist() == [[8, 6, 24, 18]]
    assert counts == {Defect.HULL_BOX: 1}


def test_an_object_with_a_box_and_an_outline_has_the_box(read):
    outline = "<polygon><x1>1</x1><y1>1</y1><x2>9</x2><y2>9</y2><x3>1</x3><y3>9</y3></polygon>"
    example, counts = read(f"<object><name>bolt</name>{outline}{BOX}</object>")
    assert example.boxes_xyxy.tolist() == [[8, 6, 24, 18]]
    assert counts == {}


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 2, 2.5, -0.7])
def test_a_rotated_box_has_the_upright_box_around_its_corners(read, angle):
    numbers = {"cx": 32, "cy": 24, "w": 20, "h": 10, "angle": angle}
    box = "".join(f"<{key}>{number}</{key}>" for key, number in numbers.items())
    example, counts = read(f"<object><name>bolt</name><robndbox>{box}</robndbox></object>")
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    corners = [[32, 24] + turn @ corner for corner in ((-10, -5), (10, -5), (10, 5), (-10, 5))]
    np.testing.assert_allclose(example.boxes_xyxy, [[*np.min(corners, 0), *np.max(corners, 0)]], atol=1e-4)
    assert counts == {Defect.ORIENTED_BOX: 1}


@pytest.mark.parametrize(("written", "difficult"), [("0", False), ("False", False), ("", False), ("True", True)])
def test_an_object_is_difficult_in_any_spelling_of_a_truth_value(read, written, difficult):
    example, counts = read(f"<object><name>bolt</name><difficult>{written}</difficult>{BOX}</object>")
    assert example.crowd.tolist() == [difficult]
    assert counts == ({Defect.DIFFICULT: 1} if difficult else {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<difficult>hardly</difficult>" + BOX, "has 'hardly' as difficult: write 0 or 1"),
        ("", "has no bndbox, but name: draw a box around it, or delete it"),
        ("<pose>Left</pose><point/>", "has no bndbox, but name, pose, point: draw a box around it"),
        (BOX.replace("8", "12,5", 1), "has '12,5' as xmin of its bndbox: write a point in the place of the comma"),
        (BOX.replace("24", "wide"), "has 'wide' as xmax of its bndbox: write a number"),
        (
            "<bndbox><x>8</x><y>6</y><width>9</width><height>9</height></bndbox>",
            "has a bndbox of x, y, width, height: write xmin, ymin, xmax and ymax into it",
        ),
        ("<bndbox/>", "has a bndbox of nothing: write xmin, ymin"),
        ("<robndbox><cx>1</cx></robndbox>", "has a robndbox of cx: write cx, cy, w, h and angle into it"),
        ("<polygon><x1>8</x1><y1>6</y1><x2>9</x2></polygon>", "has a polygon that is no three points x and y or more"),
    ],
)
def test_an_object_that_cannot_be_read_is_told_with_what_is_there_and_what_to_do(read, content, message):
    with pytest.raises(DataError, match=rf"1\.xml: object 1 \(bolt\) {message}"):
        read(f"<object><name>bolt</name>{content}</object>")


def test_a_rotated_box_of_no_finite_angle_is_dropped_and_counted(read):
    box = "<cx>32</cx><cy>24</cy><w>20</w><h>10</h><angle>inf</angle>"
    _, counts = read(f"<object><name>bolt</name><robndbox>{box}</robndbox></object>")
    assert counts == {Defect.NOT_FINITE_BOX: 1, Defect.EMPTY_IMAGE: 1}
