"""What a user names -> the images in it, and what is not looked at is said."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setpiece.detector import Detector
from setpiece.errors import DataError, UsageError
from setpiece.inference.pictures import to_pixels
from setpiece.inference.sources import find_images, find_sources, left_out
from setpiece.model.checkpoint import create


@pytest.fixture
def write(tmp_path):
    """Write images, and empty files of other kinds, below a folder."""

    def write(*names):
        for name in names:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".png":
                Image.new("RGB", (8, 8)).save(file)
            else:
                file.touch()
        return tmp_path

    return write


def test_a_folder_without_images_stands_for_those_below_it(write):
    root = write("x/a.png", "y/deep/a.png", ".cache/a.png", "__MACOSX/a.png", "y/._a.png")
    assert find_images([str(root)]) == [root / "x/a.png", root / "y/deep/a.png"]
    assert left_out([str(root)]) == []


def test_images_below_a_folder_with_images_are_left_out_and_counted(write):
    root = write("a.png", "sub/b.png", "sub/c.png")
    assert find_images([str(root)]) == [root / "a.png"]
    [said] = left_out([str(root)])
    assert said.startswith(f"2 images in folders below {root} are left out, such as {root / 'sub/b.png'}: name")


def test_photos_of_kinds_that_are_not_read_are_counted(write):
    root = write("a.png", "b.HEIC", "c.dng", "notes.txt")
    [said] = left_out([str(root)])
    assert said.startswith(f"2 files in {root} of a kind that is not read (.dng, .heic) are left out")


def test_a_detector_takes_a_folder_and_a_glob(write):
    root = write("a.png", "b.png", "c.txt")
    detector = Detector("new", create("detr-tiny", ["a"], shortest=64))
    for source in (root, str(root), f"{root}/*.png"):
        assert len(detector.predict(source)) == 2
    assert not isinstance(detector.predict(root / "a.png"), list)
    with pytest.raises(UsageError, match="There is no image at"):
        detector.predict(f"{root}/*.jpg")


def test_a_folder_among_several_images_is_named(write):
    root = write("a.png", "more/b.png")
    detector = Detector("new", create("detr-tiny", ["a"], shortest=64))
    with pytest.raises(UsageError, match=r"more is a folder among images: give the images in it\.$"):
        detector.predict([root / "a.png", root / "more"])


def test_the_channels_of_opencv_are_turned_and_transparency_stays():
    rgba = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    rgba[..., 3] = 255
    bgra = rgba[..., [2, 1, 0, 3]]
    np.testing.assert_array_equal(to_pixels(bgra, "bgr"), to_pixels(rgba))
    grey = rgba[..., 0]
    np.testing.assert_array_equal(to_pixels(grey, "bgr"), to_pixels(grey))


def test_a_folder_of_photos_that_are_not_read_alone_says_so(write):
    root = write("a.HEIC", "sub/b.heic")
    with pytest.raises(UsageError, match=r"There is no image at .*\. 2 files in .* that is not read \(\.heic\)"):
        find_images([str(root)])


@pytest.mark.parametrize("address", ["https://me:secret@host/a.jpg", "http://host/b.PNG?size=2", "s3://host/c.webp"])
def test_the_address_of_an_image_is_refused_and_that_of_a_stream_is_taken(address):
    with pytest.raises(
        UsageError, match=r"://host/.* is an address, and images are not fetched: download it first"
    ) as e:
        find_sources([address])
    assert "secret" not in str(e.value)
    with pytest.raises(UsageError, match="download it first"):
        find_images([address])
    streams = ["rtsp://host/a.jpg", "http://host/video", "http://host/a.mp4"]
    assert find_sources(streams) == ([], streams)


@pytest.mark.parametrize("picture", ["https://host/a.jpg", Path("https://host/a.jpg"), "https://host/a.jpg?size=2"])
def test_a_detector_says_that_it_fetches_no_image(picture):
    with pytest.raises(UsageError, match=r"^https://host/a\.jpg.* is an address, and images are not fetched"):
        Detector("detr-tiny", create("detr-tiny", ["cat"], shortest=64)).predict(picture)


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(DataError, match=r"a\.jpg is empty \(0 bytes\): replace or remove it"):
        to_pixels(tmp_path / "a.jpg")
