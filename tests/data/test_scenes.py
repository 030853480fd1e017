"""Scenes are the same pixels every time, their boxes are exact, and their folder appears whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from setpiece.data import scenes
from setpiece.data.scenes import CLASSES, draw_scene, write_scenes
from setpiece.errors import UsageError


def test_the_same_seed_gives_the_same_pixels_on_every_machine() -> None:
    image, boxes_xyxy, labels = draw_scene(7)
    again = draw_scene(7)
    np.testing.assert_array_equal(image, again[0])
    np.testing.assert_array_equal(boxes_xyxy, again[1])
    np.testing.assert_array_equal(labels, again[2])
    assert hashlib.sha256(image.tobytes()).hexdigest()[:16] == "feb25860b9e4db8b"
    assert not np.array_equal(image, draw_scene(8, size=image.shape[:2])[0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, (64, 64), (96, 128), (256, 192)]))
def test_boxes_lie_inside_the_image_and_labels_among_the_classes(seed: int, size: tuple[int, int] | None) -> None:
    image, boxes_xyxy, labels = draw_scene(seed, size)
    height, width, _ = image.shape
    assert size in (None, (height, width))
    assert 1 <= len(labels) == len(boxes_xyxy) <= 8
    assert set(labels.tolist()) <= set(range(len(CLASSES)))
    assert (boxes_xyxy >= 0).all()
    assert (boxes_xyxy <= [width, height, width, height]).all()
    assert (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2] > 8).all()


def stamps(monkeypatch: pytest.MonkeyPatch, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The mask of every shape of a scene, whole, in the order of painting, and the scene's boxes."""
    masks: list[np.ndarray] = []
    paint = scenes._paint

    def watch(random, canvas, shape, ink, left, top):  # type: ignore[no-untyped-def]
        picture = Image.new("L", canvas.size)
        picture.paste(shape.body, (left, top))
        masks.append(np.asarray(picture))
        paint(random, canvas, shape, ink, left, top)

    monkeypatch.setattr(scenes, "_paint", watch)
    _, boxes_xyxy, _ = draw_scene(seed)
    return masks, boxes_xyxy


@pytest.mark.parametrize("seed", range(20))
def test_boxes_are_tight_around_the_drawn_pixels(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    masks, boxes_xyxy = stamps(monkeypatch, seed)
    for mask, box_xyxy in zip(masks, boxes_xyxy, strict=True):
        rows, columns = mask.nonzero()
        touched = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]  # pixels with any ink
        assert touched == [*np.floor(box_xyxy[:2]), *np.ceil(box_xyxy[2:])]


@pytest.mark.parametrize("seed", range(20))
def test_every_shape_shows_at_least_half_of_itself(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    masks, _ = stamps(monkeypatch, seed)
    for i, mask in enumerate(masks):
        hidden = np.any([later >= 128 for later in masks[i + 1 :]], axis=0) if masks[i + 1 :] else np.False_
        assert ((mask >= 128) & ~hidden).sum() >= 0.5 * (mask >= 128).sum()


def test_some_shapes_overlap_and_every_class_appears() -> None:
    drawn = [draw_scene(seed) for seed in range(40)]
    assert set(np.concatenate([labels for _, _, labels in drawn]).tolist()) == set(range(len(CLASSES)))
    assert len({image.shape for image, _, _ in drawn}) > 2

    def overlap(boxes_xyxy: np.ndarray) -> bool:
        low = np.maximum(boxes_xyxy[:, None, :2], boxes_xyxy[None, :, :2])
        high = np.minimum(boxes_xyxy[:, None, 2:], boxes_xyxy[None, :, 2:])
        return bool((high > low).all(-1).sum() > len(boxes_xyxy))  # more than each with itself

    assert sum(overlap(boxes_xyxy) for _, boxes_xyxy, _ in drawn) > 20


def test_the_folder_holds_the_scenes_in_the_coco_layout(tmp_path: Path) -> None:
    folder = write_scenes(tmp_path / "new" / "scenes", train=3, valid=2, seed=1)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["scenes"]  # no draft is left behind
    for split, count in (("train", 3), ("valid", 2)):
        document = json.loads((folder / split / "_annotations.coco.json").read_text())
        assert [c["name"] for c in document["categories"]] == list(CLASSES)
        assert len(document["images"]) == count == len(list((folder / split).glob("*.png")))
        for image in document["images"]:
            with Image.open(folder / split / image["file_name"]) as picture:
                assert (picture.width, picture.height) == (image["width"], image["height"])
        assert {a["image_id"] for a in document["annotations"]} == {image["id"] for image in document["images"]}
        assert all(a["area"] == a["bbox"][2] * a["bbox"][3] for a in document["annotations"])


def test_two_folders_of_one_seed_are_the_same_bytes(tmp_path: Path) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}

    first = contents(write_scenes(tmp_path / "a", train=2, valid=1))
    assert first == contents(write_scenes(tmp_path / "b", train=2, valid=1))
    assert first != contents(write_scenes(tmp_path / "c", train=2, valid=1, seed=1))


def test_a_complete_folder_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scenes(tmp_path / "scenes", train=1, valid=1)
    monkeypatch.setattr(scenes, "draw_scene", lambda seed: pytest.fail(f"scene {seed} is drawn again"))
    assert write_scenes(tmp_path / "scenes", train=1, valid=1) == tmp_path / "scenes"


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="does not hold these scenes"):
        write_scenes(tmp_path, train=1, valid=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_other_scenes_are_not_overwritten(tmp_path: Path) -> None:
    write_scenes(tmp_path / "scenes", train=1, valid=1)
    with pytest.raises(UsageError, match="does not hold these scenes"):
        write_scenes(tmp_path / "scenes", train=1, valid=1, seed=2)


def test_a_failure_leaves_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(seed: int) -> None:
        raise OSError(28, "No space left on device", str(seed))

    monkeypatch.setattr(scenes, "draw_scene", fail)
    with pytest.raises(UsageError, match="No space left on device"):
        write_scenes(tmp_path / "scenes", train=1, valid=1)
    assert list(tmp_path.iterdir()) == []
