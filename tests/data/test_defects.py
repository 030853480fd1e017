from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from setpiece.data import open_dataset
from setpiece.data.defects import Defect, Defects
from setpiece.data.formats.annotations import AnnotatedBox, AnnotatedImage
from setpiece.data.repair import _inside
from setpiece.errors import DataError


@pytest.mark.parametrize(
    ("box_xywh", "kind", "kept_xyxy"),
    [
        ([5, 5, 0, 9], Defect.ZERO_SIZE_BOX, []),
        ([5, 5, 9, -2], Defect.SWAPPED_BOX, []),
        ([float("nan"), 5, 9, 9], Defect.NOT_FINITE_BOX, []),
        ([5, 5, None, 9], Defect.NOT_FINITE_BOX, []),
        ([5, 5, float("inf"), 9], Defect.NOT_FINITE_BOX, []),
        ([-20, 5, 20, 9], Defect.OUTSIDE_BOX, []),
        ([70, 5, 9, 9], Defect.OUTSIDE_BOX, []),
        ([-5, 40, 20, 20], Defect.CLIPPED_BOX, [[0, 40, 15, 48]]),
        ([10, 10, 54.001, 9], None, [[10, 10, 64, 19]]),  # rounding
    ],
)
def test_each_kind_of_bad_box_has_its_rule(write_coco, box_xywh, kind, kept_xyxy):
    dataset = open_dataset(write_coco([[1, 1, 9, 9], box_xywh]), "train")
    np.testing.assert_allclose(dataset.examples[0].boxes_xyxy, [[1, 1, 10, 10], *kept_xyxy])
    assert dataset.defects.counts == ({kind: 1} if kind else {})
    if kind:
        assert "0.jpg, annotation 1, box (" in dataset.defects.summary()[0]


finite_or_not = st.floats(-200, 200, width=32) | st.sampled_from([float("nan"), float("inf"), float("-inf")])


@given(st.tuples(*[finite_or_not] * 4), st.booleans())
def test_a_box_that_is_kept_is_inside_and_of_some_size_and_a_dropped_one_is_counted(corners, normalised):
    defects = Defects()
    image = AnnotatedImage(1, path=Path("a.jpg"), size=None, boxes=[], normalised=normalised)
    inside = _inside(AnnotatedBox("line 1", corners, 0), image, 48, 64, defects)
    if inside is None:
        assert sum(defects.counts.values()) == 1
    else:
        left, top, right, bottom = np.float32(inside)
        assert 0 <= left < right <= 64
        assert 0 <= top < bottom <= 48


def test_images_that_cannot_be_used_are_left_out_and_counted(write_coco):
    root = write_coco([[1, 2, 3, 4]], [[1, 2, 3, 4]], [[1, 2, 3, 4]], [[1, 2, 3, 4]])
    (root / "train" / "1.jpg").unlink()
    (root / "train" / "2.jpg").write_text("not an image")
    whole = (root / "train" / "3.jpg").read_bytes()
    (root / "train" / "3.jpg").write_bytes(whole[: len(whole) // 2])
    dataset = open_dataset(root, "train")
    assert [example.image_id for example in dataset.examples] == [10]
    assert dataset.defects.counts == {
        Defect.MISSING_IMAGE: 1,
        Defect.UNREADABLE_IMAGE: 1,
        Defect.TRUNCATED_IMAGE: 1,
    }


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_images_that_are_broken_inside_or_too_large_are_left_out_and_counted(write_coco, write_image, monkeypatch):
    root = write_coco([[1, 2, 3, 4]], [[1, 2, 3, 4]], [[1, 2, 3, 4]])
    broken = bytearray((root / "train" / "1.jpg").read_bytes())
    broken[len(broken) // 2 : len(broken) // 2 + 40] = b"\xff\xc1" * 20
    (root / "train" / "1.jpg").write_bytes(broken)
    write_image(root / "train" / "2.jpg", (640, 480))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    dataset = open_dataset(root, "train")
    assert [example.image_id for example in dataset.examples] == [10]
    assert dataset.defects.counts == {Defect.BROKEN_IMAGE: 1, Defect.TOO_LARGE_IMAGE: 1}
    assert "make it smaller and scale its boxes" in dataset.defects.summary()[1]


def test_boxes_that_are_there_twice_are_kept_once_and_counted(write_coco):
    twice = {"bbox": [5, 5, 9, 9], "category_id": 2}
    categories = [{"id": 1, "name": "cup"}, {"id": 2, "name": "fork"}]
    root = write_coco([[5, 5, 9, 9], twice, twice, twice, [5, 5, 9, 9.5]], [[5, 5, 9, 9]], categories=categories)
    dataset = open_dataset(root, "train")
    assert [example.labels.tolist() for example in dataset.examples] == [[0, 1, 0], [0]]
    assert dataset.defects.counts == {Defect.DUPLICATE_BOX: 2}


SQUARE = [10, 20, 30, 20, 30, 40, 10, 40]


@pytest.mark.parametrize(
    "outline",
    [
        [SQUARE],
        SQUARE,
        [SQUARE[:6], [10, 40, 20, 30, 12, 30]],
        {"size": [48, 64], "counts": [10 * 48 + 20, *[20, 28] * 19, 20, 33 * 48 + 8]},
        {"size": [48, 64], "counts": "d?d0l00000000000000000000000000000000000000\\b1"},
    ],
)
def test_an_outline_without_a_box_has_the_box_around_it(write_coco, outline):
    box = {"segmentation": outline, "bbox": [0, 0, 0, 0]}  # or none at all
    dataset = open_dataset(write_coco([box], [{"segmentation": outline}]), "train")
    assert [example.boxes_xyxy.tolist() for example in dataset.examples] == [[[10, 20, 30, 40]]] * 2
    assert dataset.defects.counts == {Defect.HULL_BOX: 2}


@pytest.mark.parametrize(
    "outline", [[], None, [[1, 2, 3]], [["a"] * 6], {"counts": [5]}, {"size": [9, 9], "counts": "~"}, {"size": [9, 9]}]
)
def test_an_outline_that_cannot_be_understood_is_no_box(write_coco, outline):
    with pytest.raises(DataError, match="annotation 0 has the bbox None"):
        open_dataset(write_coco([{"segmentation": outline}]), "train")


def test_images_without_objects_are_kept_and_counted(write_coco):
    dataset = open_dataset(write_coco([], [[5, 5, 0, 0]], [[1, 2, 3, 4]]), "train")
    assert [example.boxes_xyxy.shape for example in dataset.examples] == [(0, 4), (0, 4), (1, 4)]
    assert dataset.defects.counts[Defect.EMPTY_IMAGE] == 2


def test_crowds_are_kept_and_counted(write_coco):
    dataset = open_dataset(write_coco([{"bbox": [1, 2, 3, 4], "iscrowd": 1}, [5, 5, 5, 5]]), "train")
    assert dataset.examples[0].crowd.tolist() == [True, False]
    assert dataset.defects.counts == {Defect.CROWD: 1}


@pytest.mark.parametrize("area", [None, float("nan"), -3, 0, "large"])
def test_an_unusable_area_is_replaced_by_that_of_the_box(write_coco, area):
    dataset = open_dataset(write_coco([{"bbox": [1, 2, 3, 4], "area": area}]), "train")
    assert dataset.examples[0].areas.tolist() == [12.0]


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("L", Defect.GREYSCALE),
        ("1", Defect.GREYSCALE),
        ("P", Defect.PALETTE),
        ("RGBA", Defect.TRANSPARENT),
        ("I;16", Defect.SIXTEEN_BIT),
    ],
)
def test_images_in_other_colours_are_counted(write_coco, mode, kind):
    root = write_coco([[1, 2, 3, 4]])
    image = Image.new(mode, (64, 48))
    if mode == "RGBA":
        image.putpixel((9, 9), (0, 0, 0, 255))  # the rest is transparent
    with (root / "train" / "0.jpg").open("wb") as file:
        image.save(file, "PNG")
    assert open_dataset(root, "train").defects.counts == {kind: 1}


@pytest.mark.parametrize(
    ("values", "kind"),
    [(np.uint16(1000), Defect.SPREAD), (np.uint16(40000), Defect.SIXTEEN_BIT), (np.float32(1), Defect.FLOATING)],
)
def test_deep_greys_are_counted_with_their_rule(write_coco, values, kind):
    root = write_coco([[1, 2, 3, 4]])
    with (root / "train" / "0.jpg").open("wb") as file:
        Image.fromarray(np.linspace(0, values, 64 * 48).reshape(48, 64).astype(values.dtype)).save(file, "TIFF")
    assert open_dataset(root, "train").defects.counts == {kind: 1}


@pytest.mark.parametrize(
    ("stored", "kind", "upright"),
    [((48, 64), Defect.TURNED, True), ((64, 48), Defect.NOT_TURNED, False)],
)
def test_the_declared_size_says_whether_boxes_are_meant_for_the_upright_image(write_coco, stored, kind, upright):
    root = write_coco([[50, 2, 10, 4]])  # declared 64x48
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", stored).save(root / "train" / "0.jpg", exif=exif)
    dataset = open_dataset(root, "train")
    example = dataset.examples[0]
    assert (example.width, example.height, example.upright) == (64, 48, upright)
    assert example.boxes_xyxy.tolist() == [[50, 2, 60, 6]]
    assert dataset.defects.counts == {kind: 1}


@pytest.mark.parametrize(("size", "kind"), [((32, 24), Defect.OTHER_SIZE), ((48, 48), Defect.OTHER_ASPECT)])
def test_the_size_of_the_file_wins_over_the_declared_one(write_coco, write_image, size, kind):
    root = write_coco([[10, 10, 40, 10]])
    write_image(root / "train" / "0.jpg", size)
    dataset = open_dataset(root, "train")
    assert (dataset.examples[0].width, dataset.examples[0].height) == size
    assert dataset.examples[0].boxes_xyxy.tolist() == [[10, 10, size[0], 20]]
    assert dataset.defects.counts == {kind: 1, Defect.CLIPPED_BOX: 1}


def test_the_real_cells_have_one_box_of_zero_size_in_each_split(shared_data, tmp_path):
    for split, where in (
        ("train", "BloodImage_00343.jpg, annotation 2287"),
        ("valid", "BloodImage_00338.jpg, annotation 886"),
    ):
        (tmp_path / split).mkdir()
        for path in (shared_data / "bccd" / split).glob("*.jpg"):
            os.symlink(path, tmp_path / split / path.name)
        raw = json.loads((shared_data / "bccd" / split / "_annotations.raw.coco.json").read_text())
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(raw))
        dataset = open_dataset(tmp_path, split)
        assert dataset.defects.counts == {Defect.ZERO_SIZE_BOX: 1}
        assert where in dataset.defects.summary()[0]
        kept = open_dataset(shared_data / "bccd", split).to_coco()["annotations"]
        assert len(kept) == len(dataset.to_coco()["annotations"]) == len(raw["annotations"]) - 1


@pytest.mark.parametrize(("split", "images", "where"), [("train", 61, "00343"), ("val", 31, "00338")])
def test_the_same_defect_is_found_in_the_voc_copy(shared_data, split, images, where):
    dataset = open_dataset(shared_data / "bccd_voc", split)
    assert dataset.classes == ("Platelets", "RBC", "WBC")
    assert len(dataset.examples) == images
    assert dataset.defects.counts == {Defect.ZERO_SIZE_BOX: 1}
    assert f"BloodImage_{where}.jpg, object" in dataset.defects.summary()[0]


@pytest.mark.parametrize(("split", "images"), [("train", 296), ("valid", 67)])
def test_the_real_cards_have_no_defects(shared_data, split, images):
    dataset = open_dataset(shared_data / "cards", split)
    assert dataset.classes == ("ace", "jack", "king", "nine", "queen", "ten")
    assert len(dataset.examples) == images
    assert dataset.defects.summary() == []


def test_an_image_whose_boxes_all_lie_outside_is_no_background_and_left_out(write_coco):
    root = write_coco([*([i, 2, 3, 4] for i in range(6)), [70, 5, 9, 9]], [[70, 5, 9, 9], [5, 5, 0, 0]], [])
    dataset = open_dataset(root, "train")
    assert [example.image_id for example in dataset.examples] == [10, 12]
    assert dataset.defects.counts == {
        Defect.OUTSIDE_BOX: 2,
        Defect.ZERO_SIZE_BOX: 1,
        Defect.OUTSIDE_IMAGE: 1,
        Defect.EMPTY_IMAGE: 1,
    }
