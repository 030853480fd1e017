"""Which files are images, and which of them a name means."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpiece.data.defects import Defect, Defects
from setpiece.data.formats.files import (
    IMAGE_SUFFIXES,
    images_under,
    is_image,
    locate,
    note_other_files,
)
from setpiece.data.formats.named_images import find_images


def test_what_pillow_opens_as_a_picture_is_an_image():
    assert {".jpg", ".jfif", ".jpe", ".png", ".webp", ".tif", ".jp2", ".bmp", ".gif", ".mpo", ".ppm"} <= IMAGE_SUFFIXES
    assert not IMAGE_SUFFIXES & {".pdf", ".eps", ".ps", ".mpg", ".mpeg", ".h5", ".hdf", ".txt", ".json", ""}


@pytest.mark.parametrize("name", ["._a.jpg", ".a.png", "a.txt", "Thumbs.db", "a", "a.jpg:Zone.Identifier"])
def test_hidden_files_and_others_are_no_images(tmp_path, name):
    assert not is_image(tmp_path / name)


def test_images_are_found_in_subfolders_but_not_in_those_of_the_system(write):
    root = write(
        {
            "a.jpg": None,
            "b/c.JPG": None,
            "b/._c.JPG": "",
            "__MACOSX/a.jpg": None,
            "@eaDir/a.jpg": None,
            ".x/a.jpg": None,
        }
    )
    assert [path.relative_to(root).as_posix() for path in images_under(root)] == ["a.jpg", "b/c.JPG"]


def test_linked_folders_and_files_are_read_once_and_loops_are_not_followed(write):
    root = write({"set/a/1.jpg": None, "disk/2.jpg": None, "disk/3.jpg": None})
    (root / "set" / "b").symlink_to(root / "disk", target_is_directory=True)
    (root / "set" / "again").symlink_to(root / "set" / "a", target_is_directory=True)
    (root / "set" / "a" / "loop").symlink_to(root, target_is_directory=True)
    (root / "set" / "4.jpg").symlink_to(root / "disk" / "2.jpg")
    found = [path.relative_to(root / "set").as_posix() for path in images_under(root / "set")]
    assert found == ["4.jpg", "a/1.jpg", "b/2.jpg", "b/3.jpg"]


def test_a_link_that_leads_nowhere_is_a_missing_image_and_not_silence(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    assert images_under(tmp_path) == [tmp_path / "a.jpg"]


def test_files_that_are_neither_images_nor_text_are_counted(write):
    root = write({"a.jpg": None, "a.txt": "", "b.heic": "", "c.mov": "", "README.md": ""})
    defects = Defects()
    note_other_files(sorted(root.iterdir()), defects)
    assert defects.summary() == [f"2 files that are not read as images: left out (for example {root}/b.heic)"]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a\\b\\1.jpg", "a/b/1.jpg"),
        ("b\\1.jpg", "a/b/1.jpg"),
        ("C:\\photos\\a\\b\\1.jpg", "a/b/1.jpg"),
        ("/content/drive/b/1.jpg", "a/b/1.jpg"),
        ("./b/1.jpg", "a/b/1.jpg"),
        ("1.jpg", "a/b/1.jpg"),
        ("a/b/1.JPG", "a/b/1.jpg"),
        ("A/b/1.jpg", "a/b/1.jpg"),
        ("a/b/1", "a/b/1.jpg"),
        ("a/b%20c/1%C3%BC.jpg", "a/b c/1ü.jpg"),
        ("photo.v1.rf.ab12", "photo.v1.rf.ab12.jpg"),
        (unicodedata.normalize("NFC", "schlüssel.jpg"), unicodedata.normalize("NFD", "schlüssel.jpg")),
        (unicodedata.normalize("NFD", "schlüssel.JPG"), unicodedata.normalize("NFC", "schlüssel.jpg")),
    ],
)
def test_a_name_finds_its_file_however_it_is_written(write, name, file):
    root = write({file: None, "other.jpg": None})
    (found,) = find_images([name], [root])
    assert found.path == root / file
    assert [kind for kind, _ in found.notes] in ([Defect.OTHER_NAME], [])  # none where the system itself forgives it


def test_a_name_as_it_is_written_is_no_guess(write):
    root = write({"a/1.jpg": None, "b/1.jpg": None})
    (found,) = find_images(["b/1.jpg"], [root])
    assert (found.path, found.notes) == (root / "b" / "1.jpg", ())


def test_the_longest_ending_decides_and_two_that_are_as_long_mean_none(write):
    root = write({"a/1.jpg": None, "b/1.jpg": None})
    (found,) = find_images(["/x/b/1.jpg"], [root])
    assert found.path == root / "b" / "1.jpg"
    (found,) = find_images(["/x/1.jpg"], [root])
    assert not found.path.exists()
    assert [kind for kind, _ in found.notes] == [Defect.AMBIGUOUS_NAME]


def test_two_names_never_mean_one_file(write):
    root = write({"1.jpg": None, "2.jpg": None})
    found = find_images(["a/1.jpg", "b/1.jpg", "2.jpg", "c/2.jpg"], [root])
    assert [image.path.exists() for image in found] == [False, False, True, False]
    assert [kind for image in found for kind, _ in image.notes] == [Defect.AMBIGUOUS_NAME] * 3


def test_all_images_are_in_the_first_folder_that_has_any(write):
    root = write({"train/1.jpg": None, "2.jpg": None})
    found = find_images(["1.jpg", "2.jpg"], [root / "gone", root / "train", root])
    assert [image.path for image in found] == [root / "train" / "1.jpg", root / "train" / "2.jpg"]


def test_a_missing_image_stays_where_it_should_be(write):
    root = write({"a.jpg": None})
    (found,) = find_images(["gone.jpg"], [root])
    assert (found.path, found.notes) == (root / "gone.jpg", ())


@pytest.mark.parametrize(
    ("name", "split", "file"),
    [
        ("1.jpg", "valid", None),
        ("1.jpg", "train", "train/1.jpg"),
        ("1.jpg", None, "train/1.jpg"),  # no splits
        ("/old/train/1.JPG", "valid", "train/1.jpg"),  # the name says the folder
        ("val/1.jpg", None, None),
        ("2.jpg", "valid", "photos/2.jpg"),
        ("3.jpg", "valid", "Validation/3.jpg"),
    ],
)
def test_a_file_in_a_folder_of_another_split_is_never_meant(write, name, split, file):
    root = write({"train/1.jpg": None, "photos/2.jpg": None, "Validation/3.jpg": None, "train/3.jpg": None})
    (found,) = find_images([name], [root / "gone", root], split)
    assert found.path == (root / file if file else root / "gone" / name)


def test_folders_around_the_data_set_are_no_splits(write):
    root = write({"train/data/a/1.jpg": None}) / "train" / "data"
    (found,) = find_images(["1.jpg"], [root], "valid")
    assert found.path == root / "a" / "1.jpg"


def test_a_way_up_and_down_again_is_left_out_of_a_path(write):
    root = write({"a/1.jpg": None})
    names = ["../a/1.jpg", "b/../1.jpg", "../../a/1.jpg", "../gone.jpg"]
    found = [image.path for image in find_images(names, [root / "a"])]
    assert found[:2] == [root / "a" / "1.jpg"] * 2
    assert found[3] == root / "gone.jpg"


def test_a_way_up_out_of_a_linked_folder_leads_where_the_system_says(write):
    root = write({"disk/b/2.jpg": None, "disk/1.jpg": None, "set/1.jpg": None})
    (root / "set" / "link").symlink_to(root / "disk" / "b", target_is_directory=True)
    (found,) = find_images(["link/../1.jpg"], [root / "set"])
    assert found.path.samefile(root / "disk" / "1.jpg")


@given(st.text(max_size=20))
def test_no_name_is_an_error(name):
    assert len(find_images([name], [Path(__file__).parent])) == 1


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ("images/train", "images/train"),
        (".\\images\\train\\", "images/train"),
        ("C:\\set\\images\\train", "images/train"),
        ("/gone/images", None),
        ("images", "images"),
    ],
)
def test_a_path_of_a_setting_is_found_by_its_longest_end(write, entry, place):
    root = write({"images/train/1.jpg": None})
    assert locate(entry, [root]) == (root / place if place else None)


@given(st.text("/.a", max_size=12) | st.text(max_size=20).map(lambda text: text * 40))
def test_any_name_has_a_path_that_can_be_looked_at(name):
    (found,) = find_images([name], [Path(__file__).parent])
    assert found.path.is_file() in (True, False)
