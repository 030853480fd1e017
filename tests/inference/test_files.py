import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setpiece.errors import DataError, UsageError
from setpiece.inference import files as files_module
from setpiece.inference.detecting import BATCH_SIZE
from setpiece.inference.files import predict_file, predict_files
from setpiece.inference.predictor import Predictor
from setpiece.inference.sources import find_images

from ..colours import IMAGES, measuring, paint


@pytest.fixture
def predictor():
    """One that finds red, green and blue rectangles exactly."""
    return Predictor(measuring())


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write an image with rectangles to a path below the working folder."""
    monkeypatch.chdir(tmp_path)

    def write(name, index=0):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(paint(*IMAGES[index])).save(name)
        return tmp_path / name

    return write


def names(files):
    return [str(file) for file in files]


def test_images_are_found_as_files_in_folders_and_by_globs(write, tmp_path):
    for name in ("photos/b.PNG", "photos/a.jpg", "photos/deep/c.png", "more/d.webp", "e.tif"):
        write(name)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    assert names(find_images(["e.tif", "photos"])) == ["e.tif", "photos/a.jpg", "photos/b.PNG"]
    assert names(find_images(["photos/*.PNG", "*/[ad].*"])) == ["photos/b.PNG", "more/d.webp", "photos/a.jpg"]
    assert names(find_images(["**/*.png"])) == ["photos/deep/c.png"]
    assert names(find_images(["photos", "photos/a.jpg", "./photos/*.jpg"])) == ["photos/a.jpg", "photos/b.PNG"]


def test_files_of_the_system_in_a_folder_are_no_images(write, tmp_path):
    write("photos/a.jpg")
    (tmp_path / "photos" / "._a.jpg").write_bytes(b"\0\5\26\7")
    assert names(find_images(["photos"])) == ["photos/a.jpg"]


@pytest.mark.parametrize("source", ["nowhere.jpg", "nothing/*.jpg", "empty"])
def test_a_source_without_images_is_named(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"There is no image at " + source.replace("*", r"\*")):
        find_images([source])


def test_every_object_of_every_image_is_written_as_a_coco_result(predictor, write):
    files = [write(f"photos/{index}.png", index % len(IMAGES)) for index in range(BATCH_SIZE + 3)]
    count = predict_files(predictor, files, files[0].parent.parent / "out", threshold=0.5)
    results = json.loads((files[0].parent.parent / "out" / "predictions.json").read_text())
    expected = [
        (index, str(file), name, (left, top, right - left, bottom - top))
        for index, file in enumerate(files)
        for name, (left, top, right, bottom) in IMAGES[index % len(IMAGES)][1].items()
    ]
    assert len(results) == count == len(expected)
    found = sorted(results, key=lambda row: (row["image_id"], row["category_name"]))
    for row, (image_id, file, name, box_xywh) in zip(found, sorted(expected, key=lambda e: (e[0], e[2])), strict=True):
        assert (row["image_id"], row["file_name"], row["category_name"]) == (image_id, file, name)
        assert predictor.checkpoint.classes[row["category_id"]] == name
        assert row["score"] > 0.9
        np.testing.assert_allclose(row["bbox"], box_xywh, atol=1)


def test_every_image_has_a_picture_even_where_nothing_was_found(predictor, write, tmp_path):
    files = [write("full.jpg", 0), write("empty.jpg", 4)]
    predict_files(predictor, files, tmp_path / "deep" / "out", threshold=0.5)
    written = sorted(path.name for path in (tmp_path / "deep" / "out").iterdir())
    assert written == ["empty.png", "full.png", "predictions.json"]
    for name in ("empty.png", "full.png"):
        Image.open(tmp_path / "deep" / "out" / name).verify()


def test_images_of_the_same_name_have_pictures_of_their_own(predictor, write, tmp_path):
    files = [write("1/photos/a.png"), write("2/photos/a.png"), write("2/photos/a.jpg"), write("2/photos/b.jpg")]
    predict_files(predictor, files, tmp_path / "out", threshold=0.5)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
        "0-a.png",
        "1-a.png",
        "2-a.png",
        "3-b.png",
    ]


def test_an_image_is_never_replaced_by_its_picture(predictor, write, tmp_path):
    file = write("photos/a.png")
    before = file.read_bytes()
    with pytest.raises(UsageError, match="photos holds some of the images"):
        predict_files(predictor, [file], tmp_path / "photos", threshold=0.5)
    assert [path.read_bytes() for path in (tmp_path / "photos").iterdir()] == [before]


@pytest.mark.parametrize("unreadable_first", [True, False])
def test_an_unreadable_image_is_named_after_all_others_were_written(predictor, write, tmp_path, unreadable_first):
    (tmp_path / "notes.jpg").write_text("no image")
    files = [tmp_path / "notes.jpg", write("a.png", 2)][:: 1 if unreadable_first else -1]
    with pytest.raises(DataError, match=r"notes\.jpg cannot be read .* \(1 of 2 images could not be read\.\)"):
        predict_files(predictor, files, tmp_path / "out", threshold=0.5)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "predictions.json"]
    [result] = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert result["image_id"] == files.index(tmp_path / "a.png")


def test_the_model_gets_all_images_in_one_call_and_reads_ahead(predictor, write, tmp_path, monkeypatch):
    files = [write(f"photos/{index}.png", index % len(IMAGES)) for index in range(2 * BATCH_SIZE)]
    calls, events = [], []

    class Counting:
        classes, thresholds = predictor.classes, predictor.thresholds

        def predict(self, pictures, **options):
            calls.append(options)
            return predictor.predict(pictures, **options)

    read, draw = files_module.read_image, files_module.draw
    monkeypatch.setattr(files_module, "read_image", lambda file: (events.append("read"), read(file))[1])
    monkeypatch.setattr(files_module, "draw", lambda *of: (events.append("draw"), draw(*of))[1])
    predict_files(Counting(), files, tmp_path / "out", threshold=0.5)
    assert calls == [{"threshold": 0.5}]
    assert events.index("draw") > BATCH_SIZE  # the second batch is read before the first is drawn
    assert events.count("read") == events.count("draw") == len(files)


def test_what_was_found_until_it_was_stopped_is_written(predictor, write, tmp_path, monkeypatch):
    files = [write(f"{index}.png", 2) for index in range(4)]
    drawn = []

    def draw(image, _):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(image)
        return image

    monkeypatch.setattr(files_module, "draw", draw)
    with pytest.raises(KeyboardInterrupt):
        predict_files(predictor, files, tmp_path / "out", threshold=0.5)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png", "predictions.json"]
    results = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert {row["image_id"] for row in results} == {0, 1}


def test_where_no_image_can_be_read_there_is_no_output(predictor, tmp_path):
    (tmp_path / "notes.jpg").write_text("no image")
    with pytest.raises(DataError, match=r"notes\.jpg cannot be read"):
        predict_files(predictor, [tmp_path / "notes.jpg"], tmp_path / "out", threshold=0.5)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_output_folder_stays(predictor, write, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="out is a file"):
        predict_files(predictor, [write("a.png")], tmp_path / "out", threshold=0.5)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(("count", "named"), [(3, "0.jpg, 1.jpg, 2.jpg"), (12, ", 8.jpg, 9.jpg and 2 more")])
def test_unreadable_images_are_named_up_to_ten_with_their_count(predictor, write, tmp_path, count, named):
    files = [Path(f"{number}.jpg") for number in range(count)]
    write("a.png")
    for file in files:
        file.write_text("" if file.stem == "0" else "no image")
    with pytest.raises(DataError) as said:
        predict_files(predictor, [*files, Path("a.png")], tmp_path / "out", threshold=0.5)
    assert str(said.value).startswith("The image 0.jpg is empty (0 bytes)")
    assert str(said.value).endswith(f"{named}.)")
    assert f"({count} of {count + 1} images could not be read: 0.jpg" in str(said.value)


def test_one_image_is_written_under_the_name_that_is_asked_for(predictor, write, tmp_path):
    said = []
    assert predict_file(predictor, write("a.png"), tmp_path / "out" / "found.jpg", 0.5, said.append) == len(
        IMAGES[0][1]
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["found.jpg"]
    with Image.open(tmp_path / "out" / "found.jpg") as picture:
        assert picture.format == "JPEG"
    assert said == [f"{len(IMAGES[0][1])} objects in 1 image: see {tmp_path}/out/found.jpg"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_of_an_animation_it_is_said_that_the_first_frame_alone_was_looked_at(predictor, write, tmp_path, count):
    files = [write("still.gif")]
    for number in range(count):
        frames = [Image.fromarray(paint(*IMAGES[index])) for index in (0, 1)]
        files.append(tmp_path / f"{number}.gif")
        frames[0].save(files[-1], save_all=True, append_images=frames[1:])
    said = []
    predict_files(predictor, files, tmp_path / "out", 0.5, said.append)
    found, *rest = said
    assert found.startswith(f"{len(json.loads((tmp_path / 'out' / 'predictions.json').read_text()))} objects in ")
    assert len(rest) == min(count, 1)
    if count == 1:
        assert "0.gif has several frames or pages, and only the first was looked at" in rest[0]
    elif count:
        assert rest[0].startswith("2 images have several frames or pages, and only the first of each was looked at")
