"""Pictures show the boxes and labels of detections, legibly, and leave their arguments alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import supervision as sv

from setpiece.evaluation import beside, draw, fonts
from setpiece.evaluation.pictures import COLOURS, TEXT_COLOURS

ORANGE, BLUE = (np.array(sv.Color.from_hex(colour).as_rgb()) for colour in COLOURS[:2])


def detections(*boxes_xyxy: tuple[float, ...], classes: list[int], confident: bool = True) -> sv.Detections:
    return sv.Detections(
        np.array(boxes_xyxy, dtype=np.float32).reshape(-1, 4),
        class_id=np.array(classes, dtype=int),
        confidence=np.linspace(0.9, 0.5, len(classes)) if confident else None,
        data={"class_name": np.array([f"class {c}" for c in classes], dtype=str)},
    )


def has(picture: np.ndarray, colour: np.ndarray) -> bool:
    return bool((picture == colour).all(-1).any())


@pytest.mark.parametrize("shape", [(480, 640), (900, 1200), (48, 64), (8, 8), (300, 20)])
def test_every_class_is_drawn_in_its_own_colour_on_images_of_any_size(shape: tuple[int, int]) -> None:
    height, width = shape
    image = np.zeros((height, width, 3), dtype=np.uint8)
    one = (0.0, 0.0, width / 2, height / 2)
    picture = draw(image, detections(one, (width / 4, height / 4, width, height), classes=[0, 1]))
    assert has(picture, ORANGE)
    assert has(picture, BLUE)
    assert max(picture.shape) == max(640, height, width)


def test_a_box_is_drawn_where_it_is() -> None:
    image = np.zeros((480, 640, 3), dtype=np.uint8)
    picture = draw(image, detections((100, 200, 300, 400), classes=[0]))
    drawn = (picture[210:] == ORANGE).all(-1)  # below the label
    rows, columns = drawn.nonzero()
    np.testing.assert_allclose([columns.min(), rows.max() + 210, columns.max()], [100, 400, 300], atol=2)


def test_the_most_confident_of_two_equal_boxes_is_on_top() -> None:
    image = np.zeros((480, 640, 3), dtype=np.uint8)
    box = (100, 200, 300, 400)
    assert has(draw(image, detections(box, box, classes=[1, 0]))[300:], BLUE)


def test_an_image_without_detections_stays_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    for nothing in (detections(classes=[]), sv.Detections.empty()):
        np.testing.assert_array_equal(draw(image, nothing), image)


@pytest.mark.parametrize("shape", [(50, 60, 3), (500, 700, 3)])
def test_drawing_changes_neither_the_image_nor_the_detections(shape: tuple[int, int, int]) -> None:
    image, found = np.zeros(shape, dtype=np.uint8), detections((5, 5, 20, 30), classes=[0])
    draw(image, found)
    assert not image.any()
    assert found.xyxy.tolist() == [[5, 5, 20, 30]]


def test_truth_is_on_the_left_and_predictions_are_on_the_right() -> None:
    image = np.zeros((480, 640, 3), dtype=np.uint8)
    truth = detections((100, 200, 300, 400), classes=[0], confident=False)
    picture = beside(image, truth, detections((100, 200, 300, 400), classes=[1]))
    half = picture.shape[1] // 2
    assert picture.shape[1] > 2 * 640
    assert picture.shape[0] > 480
    assert has(picture[:, :half], ORANGE)
    assert not has(picture[:, :half], BLUE)
    assert has(picture[:, half:], BLUE)
    assert not has(picture[:, half:], ORANGE)


def test_label_text_has_a_contrast_of_at_least_four_and_a_half_on_every_colour() -> None:
    def luminance(colour: str) -> float:
        channels = np.array(sv.Color.from_hex(colour).as_rgb()) / 255
        return float(np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ weights)

    weights = [0.2126, 0.7152, 0.0722]
    for colour, text in zip(COLOURS, TEXT_COLOURS, strict=True):
        dark, light = sorted([luminance(colour), luminance(text)])
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def label(name: str) -> np.ndarray:
    one = detections((100, 200, 300, 400), classes=[0], confident=False)
    one.data["class_name"] = np.array([name])
    return draw(np.zeros((480, 640, 3), dtype=np.uint8), one)


def test_letters_of_europe_are_drawn_as_themselves() -> None:
    """A font without them draws one and the same box for each."""
    pictures = [label(letter).tobytes() for letter in "äãćçéğłñøőßšşžЖЯΩ"]
    assert len(set(pictures)) == len(pictures)


def test_a_font_of_the_system_is_taken_for_other_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    has_them = {"/fonts/b.ttf": {0x732B, 0x72AC}, "/fonts/a.ttf": {0x732B}}
    own = fonts.font_for("cat")
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: list(has_them))
    monkeypatch.setattr(fonts, "_characters", lambda font: frozenset(has_them.get(font.as_posix(), range(128))))
    fonts._with.cache_clear()
    assert fonts.font_for("猫").as_posix() == "/fonts/a.ttf"
    assert fonts.font_for("猫犬").as_posix() == "/fonts/b.ttf"
    assert fonts.font_for("鳥") == own
    fonts._with.cache_clear()


def test_a_file_that_is_no_font_has_no_letters(tmp_path: Path) -> None:
    (tmp_path / "a.ttf").write_text("no font")
    assert fonts._characters(tmp_path / "a.ttf") == set()
