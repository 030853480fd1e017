"""The pictures for pretraining: boxes fit what is drawn, and every object can be seen."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[2] / "tools"))

from collage.cutouts import Cutout, draw_shape
from collage.kinds import Kind, Style, classes
from collage.outlines import SHAPES
from collage.paint import paint
from collage.photos import Album, load_album
from collage.scene import Scene, draw
from collage.write import write

COMMAND = Path(__file__).parents[2] / "tools" / "collage"
DRAWN = 64 * 4 + 34  # classes: shapes in four textures, digits and letters
NO_PHOTOS = Album([])
PLAIN = Style((0.6, 0.8), 0.5, upright=True)


@pytest.fixture
def photos(tmp_path):
    """A folder of tiny photographs: two mugs, a shoe, and one that nobody knows."""
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("mug1.png", "mug2.png", "shoe.png", "street.png"):
        Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(folder / name)
    (folder / "labels.json").write_text(json.dumps({"mug1.png": "mug", "mug2.png": "mug", "shoe.png": "shoe"}))
    return folder


def rectangle(height, width, factor=1, margin=3):
    """A white rectangle on a canvas with a margin; `height` and `width` in pixels, perhaps halves."""
    solid = np.zeros([round((v + 2 * margin) * factor) for v in (height, width)], dtype=np.uint8)
    solid[margin * factor :, margin * factor :][: round(height * factor), : round(width * factor)] = 255
    alpha = np.asarray(Image.fromarray(solid).reduce(factor), dtype=np.float32) / 255
    return Cutout(alpha, Image.fromarray(solid), factor, pixels=np.full((*alpha.shape, 3), 255, dtype=np.float32))


def empty_scene():
    return Scene(np.full((100, 120, 3), 128, dtype=np.float32))


def in_picture(mask, left, top, height, width):
    """A mask as large as the picture, where the given one lies at (left, top)."""
    padded = np.zeros((3 * height, 3 * width), dtype=bool)
    padded[height + top :, width + left :][: mask.shape[0], : mask.shape[1]] = mask
    return padded[height : 2 * height, width : 2 * width]


def bounds(mask):
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def sorted_each(*arrays):
    return (np.diff(arrays, axis=0) >= 0).all()


# ---- whole pictures ----


@pytest.mark.parametrize("seed", range(6))
def test_boxes_are_tight_and_every_object_shows_enough(seed, photos, monkeypatch):
    """What is painted is watched from outside. The box of an object ends in its outermost pixels."""
    painted, whole, names = [], [], []

    def watched(_random, canvas, cutout, left, top, kind, *_):
        painted.append([in_picture(cutout.alpha >= share, left, top, *canvas.shape[:2]) for share in (0.5, 1e-6)])
        whole.append(np.count_nonzero(cutout.alpha >= 0.5))
        names.append(kind.class_name)

    monkeypatch.setattr("collage.scene.paint", watched)
    album = load_album([photos])
    image, boxes_xyxy, labels = draw(seed, album)
    assert len(painted) == len(boxes_xyxy) == len(labels) > 0
    assert [classes(album)[label] for label in labels] == names
    assert (boxes_xyxy >= 0).all()
    assert (boxes_xyxy[:, 2:] <= image.shape[1::-1]).all()
    assert (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2] >= 4).all()
    covered = np.zeros(image.shape[:2], dtype=bool)
    for (solid, touched), box, pixels in reversed(list(zip(painted, boxes_xyxy, whole, strict=True))):
        outward = np.concatenate([np.floor(box[:2]), np.ceil(box[2:])])
        least, most = bounds(solid), bounds(touched)
        assert sorted_each(most[:2], outward[:2], least[:2])
        assert sorted_each(least[2:], outward[2:], most[2:])
        assert solid.sum() >= 0.5 * pixels
        assert (solid & ~covered).sum() >= 0.35 * solid.sum()
        covered |= solid


def test_the_same_seed_draws_the_same_picture_and_another_seed_another(photos):
    first, again, other = (draw(seed, load_album([photos])) for seed in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first[0].shape != other[0].shape or (first[0] != other[0]).any()


def test_without_photographs_all_objects_are_drawn():
    image, _, labels = draw(3, NO_PHOTOS)
    assert image.dtype == np.uint8
    assert 256 <= max(image.shape) <= 288
    assert labels.max() < len(classes(NO_PHOTOS)) == DRAWN


# ---- which objects are admitted, and their boxes ----


@pytest.mark.parametrize(
    ("left", "top", "box"),
    [
        (10, 20, (13, 23, 33.5, 38)),  # 20.5 × 15 pixels, with a margin of 3
        (-8, 20, (0, 23, 15.5, 38)),
        (10, -8, (13, 0, 33.5, 10)),
        (105, 20, (108, 23, 120, 38)),
        (10, 89, (13, 92, 33.5, 100)),
    ],
)
def test_a_box_is_exact_to_half_a_pixel_and_ends_with_the_picture(left, top, box):
    scene = empty_scene()
    assert scene.admit(rectangle(15, 20.5, factor=2), left, top)
    assert scene.boxes_xyxy == [box]


@pytest.mark.parametrize(("left", "top"), [(-14, 20), (108, 20), (10, -14), (10, 91), (-200, 20), (10, 300)])
def test_an_object_that_is_mostly_outside_is_refused(left, top):
    scene = empty_scene()
    assert not scene.admit(rectangle(16, 20), left, top)
    assert scene.boxes_xyxy == []


@pytest.mark.parametrize(("height", "width", "admitted"), [(4, 4, True), (3.5, 20, False), (20, 3.5, False)])
def test_an_object_needs_four_pixels_each_way(height, width, admitted):
    assert empty_scene().admit(rectangle(height, width, factor=2), 10, 10) is admitted


@pytest.mark.parametrize(("shift", "admitted"), [(7, True), (6, False), (0, False)])
def test_an_object_may_hide_65_percent_of_another_and_no_more(shift, admitted):
    scene = empty_scene()
    assert scene.admit(rectangle(20, 20), 10, 10)
    assert scene.admit(rectangle(20, 20), 10 + shift, 10) is admitted
    assert len(scene.boxes_xyxy) == 1 + admitted


def test_several_objects_may_not_hide_another_together():
    scene = empty_scene()
    assert scene.admit(rectangle(20, 20), 40, 40)
    assert scene.admit(rectangle(20, 20), 40 - 10, 40)  # half of the first
    assert not scene.admit(rectangle(20, 20), 40 + 14, 40)  # 6 of the other 10 columns


# ---- cutouts and paint ----


def test_an_object_is_painted_where_its_box_is():
    scene, cutout = empty_scene(), rectangle(30, 40)
    before = scene.canvas.copy()
    assert scene.admit(cutout, 50, -10)
    kind = Kind("photo", "a", "plain", np.zeros((3, 3)))
    paint(np.random.default_rng(0), scene.canvas, cutout, 50, -10, kind, PLAIN, NO_PHOTOS)
    changed = scene.canvas[..., 0] - before[..., 0]
    assert np.abs(bounds(changed > 50) - scene.boxes_xyxy[0]).max() <= 1
    assert not changed[~in_picture(np.ones_like(cutout.alpha, dtype=bool), 50, -10, 100, 120)].any()


def test_every_shape_can_be_drawn_and_they_differ():
    cutouts = [draw_shape(np.random.default_rng(0), name, True, 40.0) for name in SHAPES]
    assert all(0 < cutout.alpha.mean() < 1 for cutout in cutouts)
    assert len({cutout.alpha.tobytes() for cutout in cutouts}) == len(SHAPES) == 64


def test_classes_are_unique_and_those_of_photographs_come_last(photos):
    names = classes(load_album([photos]))
    assert len(set(names)) == len(names)
    assert names[:DRAWN] == classes(NO_PHOTOS)
    assert names[DRAWN:] == ["mug", "shoe"]


# ---- files ----


def test_the_command_writes_a_data_set_whatever_the_number_of_processes(tmp_path, photos):
    out, same = tmp_path / "out", tmp_path / "same"
    options = ["--photos", photos, "--images", "3", "--seed", "5", "--processes", "2"]
    subprocess.run([sys.executable, COMMAND, out, *options], check=True)
    album = load_album([photos])
    write(same, album, 3, 5)
    files = sorted(file.relative_to(out) for file in out.rglob("*") if file.is_file())
    assert [file.name for file in files] == ["_annotations.coco.json", *(f"collage_00000{i}.jpg" for i in (1, 2, 3))]
    assert all((out / file).read_bytes() == (same / file).read_bytes() for file in files)
    assert sorted(tmp_path.iterdir()) == [out, photos, same]  # no draft is left

    document = json.loads((out / "train" / "_annotations.coco.json").read_text())
    assert [category["name"] for category in document["categories"]] == classes(album)
    for image in document["images"]:
        with Image.open(out / "train" / image["file_name"]) as file:
            assert file.size == (image["width"], image["height"])
        boxes = [a["bbox"] for a in document["annotations"] if a["image_id"] == image["id"]]
        assert all(x >= 0 and y >= 0 and w >= 4 and h >= 4 for x, y, w, h in boxes)
        assert all(x + w <= image["width"] + 0.01 and y + h <= image["height"] + 0.01 for x, y, w, h in boxes)


def test_a_folder_that_is_there_is_not_overwritten(tmp_path):
    with pytest.raises(FileExistsError, match="delete it or name another folder"):
        write(tmp_path, NO_PHOTOS, 1, 0)
