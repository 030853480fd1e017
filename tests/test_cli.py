"""The command as people run it: `main` with arguments, what it prints, the code it ends with, what it leaves behind."""

import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from unittest.mock import Mock

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from setpiece import cli
from setpiece.data import scenes as scenes_module
from setpiece.errors import OutputError, UsageError
from setpiece.model.checkpoint import create, save

from .clips import read_clip, write_clip
from .colours import IMAGES, paint
from .command import run_command

QUICK = ("--epochs", "1", "--size", "64", "--batch-size", "4", "--evaluations", "1", "--precision", "fp32")


@pytest.fixture
def setpiece(monkeypatch, capsys, tmp_path):
    """Run the command in an empty working folder: its exit code, output and error output."""
    monkeypatch.chdir(tmp_path)

    return partial(run_command, monkeypatch, capsys)


@pytest.fixture(scope="module")
def small_scenes(tmp_path_factory):
    """Eight training and four validation scenes."""
    return scenes_module.write_scenes(tmp_path_factory.mktemp("data") / "scenes", train=8, valid=4)


@pytest.fixture
def write_few(tmp_path):
    """Write so many training scenes, and a validation scene."""
    return lambda count: scenes_module.write_scenes(tmp_path / "few", train=count, valid=1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A folder with an untrained model of the scenes' classes, for 64 pixels."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "untrained"
    save(create("detr-tiny", scenes_module.CLASSES, shortest=64), folder)
    return folder


@pytest.fixture
def photo(tmp_path):
    """One image in a folder."""
    (tmp_path / "photos").mkdir()
    Image.fromarray(paint(*IMAGES[0])).save(tmp_path / "photos" / "one.png")
    return tmp_path / "photos" / "one.png"


def left_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_train_then_eval_then_predict(setpiece, small_scenes, tmp_path):
    trained = setpiece("train", small_scenes, "--output", "run", *QUICK)
    assert (trained.code, trained.err) == (0, "")
    assert "COCO metrics" in trained.out
    assert "run/best" in trained.out
    assert "Thresholds of the best F1: " in trained.out
    assert payload_of(tmp_path / "run" / "evaluation.html")["kind"] == "evaluation"
    assert (tmp_path / "run" / "evaluation-numbers.json").is_file()
    photo = next(small_scenes.glob("valid/*.png"))
    assert setpiece("predict", "run", photo, "--threshold", "auto", "--output", "auto").code == 0

    measured = setpiece("eval", "run", small_scenes, "--split", "train", "--json", "metrics.json")
    assert (measured.code, measured.err) == (0, "")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert set(metrics["per_class"]) == set(scenes_module.CLASSES)
    assert 0 <= metrics["AP"] <= 1

    images = sorted((small_scenes / "valid").glob("*.png"))
    for sources, count in ((images[:1], 1), ([images[0].parent], 4), ([images[0].parent / "*.png", images[1]], 4)):
        predicted = setpiece("predict", "run", *sources, "--threshold", "0", "--output", f"out-{len(sources)}-{count}")
        assert (predicted.code, predicted.err) == (0, "")
        assert f"objects in {count} images" in predicted.out
        assert len(list((tmp_path / f"out-{len(sources)}-{count}").glob("*.png"))) == count
    assert not list(tmp_path.rglob("*.unfinished"))


def test_a_run_without_a_name_goes_into_a_folder_of_its_own(setpiece, small_scenes, tmp_path):
    for name in ("scenes-sprint-n", "scenes-sprint-n-2"):
        assert setpiece("train", small_scenes, *QUICK).code == 0
        assert (tmp_path / "runs" / name / "best" / "model.safetensors").is_file()


def test_a_run_of_one_class_without_validation_images_names_no_pictures(setpiece, write_colours):
    folder = write_colours({"red": 1}, "train", [((48, 64), {"red": (8, 8, 40, 32)})] * 4)
    done = setpiece("train", folder, "--model", "detr-tiny", "--output", "run", *QUICK)
    assert (done.code, done.err) == (0, "")
    said = " ".join(done.out.split())
    assert "with 1 class (red)" in said
    assert "run/last/" in said
    assert "pictures" not in said


def test_a_run_can_be_resumed(setpiece, small_scenes):
    assert setpiece("train", small_scenes, "--output", "run", *QUICK).code == 0
    again = setpiece("train", small_scenes, "--output", "run", "--resume", *QUICK)
    assert again.code == 0
    assert "Resumed after 2 steps" in again.out


def test_a_run_is_resumed_however_its_data_is_spelt_and_wherever_it_moved(setpiece, small_scenes, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(small_scenes, data)
    assert setpiece("train", "data", "--output", "run", *QUICK).code == 0
    for spelt in (data, "./data/../data"):
        assert setpiece("train", spelt, "--output", "run", "--resume", *QUICK).code == 0
    data.rename(tmp_path / "moved")
    assert setpiece("train", "moved", "--output", "run", "--resume", *QUICK).code == 0
    next((tmp_path / "moved" / "train").glob("*.png")).unlink()
    changed = setpiece("train", "moved", "--output", "run", "--resume", *QUICK)
    assert changed.code == 2
    assert changed.err.startswith("Error: moved has changed since run was started: train had 8 images, and has 7.")


def test_the_demo_goes_the_whole_path(setpiece, tmp_path, monkeypatch):
    write = scenes_module.write_scenes
    monkeypatch.setattr(scenes_module, "write_scenes", lambda folder: write(folder, train=4, valid=2))
    done = setpiece("demo", "--minutes", "0.02")
    assert (done.code, done.err) == (0, "")
    assert "COCO metrics" in done.out
    assert (tmp_path / "runs" / "demo" / "best" / "model.safetensors").is_file()
    assert len(list((tmp_path / "runs" / "demo" / "predictions").glob("*.png"))) == 2
    report = payload_of(tmp_path / "runs" / "demo" / "report.html")
    assert len(report["images"]) == 2
    assert report["training"]["matching"] is not None
    assert "runs/demo/report.html" in done.out


def payload_of(page):
    return json.loads(re.search(r'id="payload">(.*?)</script>', page.read_text(), re.DOTALL)[1])


def test_doctor_says_what_is_wrong_and_ends_with_its_severity(setpiece, write_colours, tmp_path):
    data = write_colours({"red": 1, "green": 2, "blue": 3}, split="train")
    write_colours({"red": 1, "green": 2, "blue": 3}, split="valid", images=[((64, 64), {"red": (5, 5, 40, 40)})])
    healthy = setpiece("doctor", data, "--json", "found.json", "--skip", "splits")
    assert (healthy.code, healthy.err) == (0, "")
    assert "classes.few" in "".join(healthy.out.split())
    assert setpiece("doctor", data, "--strict").code == 1
    assert setpiece("doctor", data, "--strict", "--only", "files").code == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["images"] == {"train": 5, "valid": 1}
    assert {"check", "severity", "split", "count", "what", "advice", "examples"} == found["findings"][0].keys()
    (data / "train" / "0.png").write_text("no image")
    broken = setpiece("doctor", data)
    assert broken.code == 1
    assert "files.unreadable" in "".join(broken.out.split())


def test_explain_writes_a_report_and_prints_what_stands_out(setpiece, checkpoint, small_scenes, tmp_path):
    done = setpiece("explain", checkpoint, "--data", small_scenes, "--limit", "3")
    assert (done.code, done.err) == (0, "")
    evaluated, *findings, last = done.out.splitlines()
    assert last == "3 images explained in report.html: open it in a browser."
    report = payload_of(tmp_path / "report.html")
    assert [f"- {finding['text']}" for finding in report["findings"]] == findings != []
    assert len(report["images"]) == 3
    assert report["training"] is None
    assert "not in the folder of its training run" in report["missing"][0]
    assert report["evaluation"]["sentence"] == evaluated
    assert report["evaluation"]["images"] == 4  # all of the split
    done = setpiece("explain", checkpoint, "--data", small_scenes, "--limit", "1", "--no-evaluate")
    assert payload_of(tmp_path / "report.html")["evaluation"] is None


def test_explain_takes_images_by_name_and_images_of_no_data_set(setpiece, checkpoint, small_scenes, photo, tmp_path):
    names = [path.name for path in sorted((small_scenes / "train").glob("*.png"))[:2]]
    for chosen in (["--images", *names], ["--images", names[0], "--images", names[1]]):
        done = setpiece("explain", checkpoint, "--data", small_scenes, "--split", "train", *chosen)
        assert (done.code, done.err) == (0, "")
        assert [image["name"] for image in payload_of(tmp_path / "report.html")["images"]] == names
    assert setpiece("explain", checkpoint, "--images", photo, "--output", "photo.html").code == 0
    [image] = payload_of(tmp_path / "photo.html")["images"]
    assert image["name"] == "one.png"
    assert image["targets"]["labels"] == []


def test_tour_writes_a_page_and_says_where(setpiece, tmp_path):
    done = setpiece("tour")
    assert (done.code, done.err) == (0, "")
    assert "tour.html" in done.out
    assert payload_of(tmp_path / "tour.html")["kind"] == "tour"


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("train nowhere", 2, "nowhere does not exist"),
        ("train photos", 1, "No data set is recognised in photos"),
        ("train photos/one.png", 2, "one.png is a file"),
        ("train {scenes} --model detr-huge", 2, "detr-huge"),
        ("train {scenes} --resume", 2, "--resume continues the run in --output"),
        ("train {scenes} --output photos", 2, "photos exists and is not a run"),
        ("train {scenes} --epochs 0", 2, "--epochs: Input should be greater than 0"),
        ("train {scenes} --epochs 1 --minutes 1", 2, "either epochs or minutes"),
        ("train {scenes} --minutes nan", 2, "--minutes"),
        ("train {scenes} --size 1", 2, "--size: Input should be greater than or equal to 64"),
        ("train {scenes} --output notes.jpg/run", 2, "notes.jpg/run cannot be made"),
        ("train {scenes} --output /dev/null/run", 2, "/dev/null/run cannot be made, since /dev/null is a file"),
        ("predict {checkpoint} photos --output notes.jpg/found", 1, "notes.jpg/found/one.png could not be written"),
        ("train {scenes} --precision fp8", 2, "--precision: Input should be 'auto', 'bf16' or 'fp32'"),
        ("eval nowhere {scenes}", 2, "There is no checkpoint at nowhere"),
        ("eval photos {scenes}", 1, "photos is not a checkpoint"),
        ("eval detr-tiny {scenes}", 2, "detr-tiny is a preset without trained weights"),
        ("eval {checkpoint} nowhere", 2, "nowhere does not exist"),
        ("eval {checkpoint} {scenes} --split test", 2, "no split 'test'; it has: train, valid"),
        ("eval {checkpoint} {colours}", 1, "does not know the classes red, green, blue of {colours}"),
        ("eval {checkpoint} {scenes} --json no/metrics.json", 2, "--json no/metrics.json"),
        ("eval {checkpoint} {scenes} --json photos", 2, "--json photos"),
        ("doctor nowhere", 2, "nowhere does not exist"),
        ("doctor photos", 1, "No data set is recognised in photos"),
        ("doctor {scenes} --only box", 2, "There are no checks 'box': name a family, files, boxes"),
        ("doctor {scenes} --json no/found.json", 2, "--json no/found.json"),
        ("predict {checkpoint} missing.jpg", 2, "There is no image at missing.jpg"),
        ("predict {checkpoint} photos missing/*.jpg", 2, "There is no image at missing/*.jpg"),
        ("predict nowhere photos", 2, "There is no checkpoint at nowhere"),
        ("predict {checkpoint} photos --threshold 1.5", 2, "The threshold 1.5 is not between 0 and 1"),
        ("predict {checkpoint} photos --output photos", 2, "photos holds some of the images"),
        ("predict {checkpoint} notes.jpg", 1, "notes.jpg cannot be read as an image"),
        ("predict {checkpoint} clip.mp4", 2, "There is no video at clip.mp4"),
        ("predict {checkpoint} notes.mp4", 1, "notes.mp4 cannot be read as a video"),
        ("predict {checkpoint} 97 --json found.jsonl", 1, "camera 97 cannot be opened"),
        ("predict {checkpoint} rtsp://me:secret@127.0.0.1:9/a", 1, "rtsp://127.0.0.1:9/a cannot be read"),
        ("predict {checkpoint} clips", 2, "no image at clips, but videos: name them, as in 'clips/*.mov'"),
        ("predict {checkpoint} photos --json found.jsonl", 2, "--json is for one video"),
        ("predict {checkpoint} 0 1 --json found.jsonl", 2, "--json is for one video"),
        ("predict {checkpoint} 0 photos --output out.mp4", 2, "--output out.mp4 is for one video: name a folder"),
        ("predict {checkpoint} notes.mp4 --output notes.mp4", 2, "notes.mp4 is the video itself"),
        ("predict {checkpoint} notes.mp4 --output no/out.mp4", 2, "--output no/out.mp4"),
        ("predict {checkpoint} notes.mp4 --output notes.jpg", 2, "--output notes.jpg is for one image"),
        ("predict {checkpoint} photos photos/*.jpg notes.jpg --output a.jpg", 2, "There is no image at photos/*.jpg"),
        ("predict {checkpoint} photos notes.jpg --output a.jpg", 2, "--output a.jpg is for one image: name a folder"),
        (
            "predict {checkpoint} photos --output a.gif",
            2,
            "--output a.gif is of a kind that is not written",
        ),
        ("predict {checkpoint} photos --output photos/../photos/one.png", 2, "one.png is the image itself"),
        ("predict {checkpoint} https://host/a.jpg", 2, "https://host/a.jpg is an address, and images are not fetched"),
        ("predict {checkpoint} 0 --output X.mp4 --json ./X.mp4", 2, "X.mp4 and the lines of --json X.mp4 are one file"),
        ("predict {checkpoint} 0 --output clips --json clips/camera-0.mp4", 2, "are one file: name two"),
        ("predict {checkpoint} photos --track", 2, "--track follows objects through a video: name one"),
        ("predict {checkpoint} photos --tile-size 64", 2, "--tile-size needs --tiles"),
        ("explain {checkpoint}", 2, "Say what to explain the model on"),
        ("explain detr-tiny --data {scenes}", 2, "detr-tiny is a preset without trained weights"),
        ("explain nowhere --data {scenes}", 2, "There is no checkpoint at nowhere"),
        ("explain {checkpoint} --data nowhere", 2, "nowhere does not exist"),
        ("explain {checkpoint} --data {scenes} --images one.png", 2, "no image one.png in its valid split"),
        ("explain {checkpoint} --data {scenes} --output no/report.html", 2, "--output no/report.html"),
        ("explain {checkpoint} --data {colours}", 1, "does not know the classes red, green, blue of {colours}"),
        ("explain {checkpoint} one.png", 2, "not clear what one.png is: name images after --images"),
        ("explain {checkpoint} --data {scenes} one.png", 2, "not clear what one.png is: name images after --images"),
        ("explain {checkpoint} --images photos/one.png missing.jpg", 2, "There is no image at missing.jpg"),
        ("explain {checkpoint} --images missing.jpg", 2, "There is no image at missing.jpg"),
        ("tour --output photos", 2, "photos cannot be written"),
        ("demo --minutes 0", 2, "--minutes: Input should be greater than 0"),
    ],
)
@pytest.mark.usefixtures("photo")
def test_an_error_is_one_line_and_leaves_nothing_behind(
    setpiece, small_scenes, checkpoint, write_colours, tmp_path, command, code, says
):
    for name in ("notes.jpg", "notes.mp4", "clips/a.mov"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    places = {"scenes": small_scenes, "checkpoint": checkpoint}
    places["colours"] = write_colours({"red": 1, "green": 2, "blue": 3})
    before = left_in(tmp_path)
    done = setpiece(*(argument.format(**places) for argument in command.split()))
    assert done.code == code
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert says.format(**places) in done.err
    assert "Traceback" not in done.out + done.err
    assert left_in(tmp_path) == before


@pytest.mark.parametrize(
    "command", ["explain nowhere --images one.png --output", "eval nowhere nowhere --json", "tour --output"]
)
def test_a_folder_that_cannot_be_written_is_refused_before_the_work(setpiece, monkeypatch, command):
    monkeypatch.setattr("os.access", lambda _, mode: not mode & os.W_OK)
    done = setpiece(*command.split(), "report")
    assert done.code == 2
    assert re.fullmatch(r"Error: --\w+ report cannot be written: [^\n]*\n", done.err)


@pytest.mark.parametrize("content", ["{", "[]", '{"images": []}', "\xff"])
def test_an_unreadable_annotation_file_is_named(setpiece, tmp_path, content):
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "_annotations.coco.json").write_bytes(content.encode("latin-1"))
    done = setpiece("train", "data", "--output", "run")
    assert done.code == 1
    assert done.err.startswith("Error: data/train/_annotations.coco.json")
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_eval_says_what_is_wrong_with_the_data(setpiece, checkpoint, tmp_path):
    data = scenes_module.write_scenes(tmp_path / "scenes", train=2, valid=2)
    (data / "valid" / sorted(path.name for path in (data / "valid").glob("*.png"))[0]).unlink()
    measured = setpiece("eval", checkpoint, data)
    assert measured.code == 0
    assert "1 missing image: left out" in measured.out


def test_several_processes_need_a_folder_to_agree_on(setpiece, small_scenes, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = setpiece("train", small_scenes, *QUICK)
    assert (done.code, done.err.count("--output")) == (2, 1)


def test_a_run_is_never_overwritten(setpiece, small_scenes):
    assert setpiece("train", small_scenes, "--output", "run", *QUICK).code == 0
    again = setpiece("train", small_scenes, "--output", "run", *QUICK)
    assert again.code == 2
    assert again.err == "Error: run holds a run already: continue it with --resume or choose another --output.\n"


def flat(printed):
    """What was printed without line breaks."""
    return " ".join(printed.split())


def test_a_video_is_drawn_and_written_as_lines(setpiece, checkpoint, photo, tmp_path):
    write_clip(tmp_path / "clip.mp4", 5)
    done = setpiece(
        "predict",
        checkpoint,
        "clip.mp4",
        "--threshold",
        "0",
        "--output",
        "out.mp4",
        "--json",
        "out.jsonl",
        "--precision",
        "fp32",
    )
    assert (done.code, done.err) == (0, "")
    assert re.match(
        r"clip\.mp4: \d+ objects in 5 frames \([\d.]+ frames/s\): see out\.mp4 and out\.jsonl", flat(done.out)
    )
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["time"] for line in lines] == pytest.approx(
        [at for at, _ in read_clip(tmp_path / "out.mp4")], abs=1e-6
    )
    assert all(line["detections"] for line in lines)

    (tmp_path / "more").mkdir()
    write_clip(tmp_path / "more" / "clip.mp4", 2)
    several = setpiece("predict", checkpoint, photo, "clip.mp4", "more/*.mp4", "--output", "out")
    assert (several.code, several.err) == (0, "")
    names = ["0-clip.jsonl", "0-clip.mp4", "1-clip.jsonl", "1-clip.mp4", "one.png", "predictions.json"]
    assert left_in(tmp_path / "out") == names

    assert setpiece("predict", checkpoint, "clip.mp4", "--json", "alone.jsonl").code == 0
    assert not (tmp_path / "predictions").exists()
    assert len((tmp_path / "alone.jsonl").read_text().splitlines()) == 5


def test_one_image_is_written_under_the_name_that_is_asked_for(setpiece, checkpoint, photo, tmp_path):
    done = setpiece("predict", checkpoint, photo, "--output", "found.jpg", "--precision", "fp32")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"\d+ objects in 1 image: see found\.jpg\n", done.out)
    assert left_in(tmp_path) == ["found.jpg", "photos", "photos/one.png"]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_video_and_its_lines_are_two_files_through_links_too(setpiece, tmp_path, link):
    write_clip(tmp_path / "clip.mp4", 1)
    (tmp_path / "X.mp4").write_text("mine")
    link(tmp_path / "X.mp4", tmp_path / "lines")
    done = setpiece("predict", "nowhere", "clip.mp4", "--output", "X.mp4", "--json", "lines")
    assert done.code == 2
    assert done.err == "Error: The video X.mp4 and the lines of --json lines are one file: name two.\n"
    assert (tmp_path / "X.mp4").read_text() == "mine"


def test_lines_on_the_standard_output_are_alone_there(checkpoint, tmp_path):
    write_clip(tmp_path / "clip.mp4", 3)
    done = shell("predict", str(checkpoint), "clip.mp4", "--json", "/dev/stdout", cwd=tmp_path)
    assert done.returncode == 0
    assert [json.loads(line)["frame"] for line in done.stdout.splitlines()] == [0, 1, 2]
    assert re.search(r"^clip\.mp4: \d+ objects in 3 frames \(.*\): see the standard output$", done.stderr, re.MULTILINE)
    assert left_in(tmp_path) == ["clip.mp4"]


def test_a_reader_of_the_lines_that_has_enough_ends_them_quietly(checkpoint, tmp_path):
    write_clip(tmp_path / "clip.mp4", 300)
    command = [sys.executable, "-m", "setpiece.cli", "predict", str(checkpoint), "clip.mp4", "--json", "-"]
    command += ["--precision", "fp32"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["frame"] == 0
        process.stdout.close()
        assert process.stderr.read() == b""
    assert left_in(tmp_path) == ["clip.mp4"]


def test_all_videos_that_cannot_be_read_are_named(setpiece, checkpoint, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    write_clip(tmp_path / "clip.mp4", 1)
    done = setpiece("predict", checkpoint, "a.mp4", "clip.mp4", "b.mp4")
    assert done.code == 1
    assert done.err.startswith("Error: a.mp4 is empty (0 bytes): ")
    assert done.err.endswith(" (2 of 3 videos could not be read: a.mp4, b.mp4.)\n")


def test_an_unreadable_video_is_an_error_after_all_others_were_written(setpiece, checkpoint, tmp_path):
    (tmp_path / "notes.mp4").write_text("no video")
    write_clip(tmp_path / "clip.mp4", 2)
    done = setpiece("predict", checkpoint, "notes.mp4", "clip.mp4")
    assert done.code == 1
    assert re.fullmatch(r"Error: notes\.mp4 cannot be read .* \(1 of 2 videos could not be read\.\)\n", done.err)
    assert left_in(tmp_path / "predictions") == ["clip.jsonl", "clip.mp4"]


def test_an_unreadable_image_keeps_no_video_from_being_looked_at(setpiece, checkpoint, photo, tmp_path):
    photo.with_name("notes.jpg").write_text("no image")
    write_clip(tmp_path / "clip.mp4", 2)
    done = setpiece("predict", checkpoint, "photos", "clip.mp4")
    assert done.code == 1
    assert re.fullmatch(r"Error: photos/notes\.jpg cannot be read .* \(1 of 2 images could not be read\.\)\n", done.err)
    assert re.search(r"^\d+ objects in 1 images: see ", done.out, re.MULTILINE)
    assert left_in(tmp_path / "predictions") == ["clip.jsonl", "clip.mp4", "one.png", "predictions.json"]


@pytest.mark.parametrize("name", ["found.webm", "found.AVI"])
def test_a_kind_of_video_that_is_not_written_is_refused(setpiece, tmp_path, name):
    write_clip(tmp_path / "clip.mp4", 1)
    done = setpiece("predict", "nowhere", "clip.mp4", "--output", name)
    assert done.code == 2
    assert done.err == (
        f"Error: --output {name} is of a kind that is not written: name one of .mp4, .m4v, .mov, .mkv.\n"
    )
    assert left_in(tmp_path) == ["clip.mp4"]


@pytest.mark.parametrize(("package", "options"), [("av", ()), ("trackers", ("--track",))])
def test_what_videos_need_is_said_before_the_model_is_loaded(setpiece, tmp_path, monkeypatch, package, options):
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("video", "video_source", "video_writer") if package == "av" else ():
        monkeypatch.delitem(sys.modules, f"setpiece.inference.{module}", raising=False)
    write_clip(tmp_path / "clip.mp4", 1)
    done = setpiece("predict", "nowhere", "clip.mp4", *options)
    assert done.code == 2
    assert re.fullmatch(r"Error: [^\n]* pip install 'setpiece\[(video|track)\]'\.\n", done.err)


def test_tiles_are_looked_at_and_their_cost_is_said_once(setpiece, checkpoint, small_scenes, tmp_path):
    done = setpiece("predict", checkpoint, small_scenes / "valid", "--threshold", "0", "--tiles", "--tile-size", "200")
    assert (done.code, done.err) == (0, "")
    assert len(re.findall(r"\d+ tiles of 200 pixels for an image of \d+x\d+", done.out)) == 1
    found = json.loads((tmp_path / "predictions" / "predictions.json").read_text())
    assert len(found) > 100 * 4  # more than the model finds in four whole images


def test_a_video_that_is_stopped_is_whole_up_to_there(checkpoint, tmp_path):
    write_clip(tmp_path / "clip.mp4", 2000)
    command = [sys.executable, "-m", "setpiece.cli", "predict", str(checkpoint), "clip.mp4"]
    command += ["--output", "out.mp4", "--json", "out.jsonl"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines = tmp_path / "out.jsonl"
        while process.poll() is None and not (lines.is_file() and lines.read_bytes().count(b"\n") > 20):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    count = len([json.loads(line) for line in lines.read_text().splitlines()])
    assert 20 < count < 2000
    assert len(read_clip(tmp_path / "out.mp4")) == count
    assert re.fullmatch(
        rf"Stopped clip\.mp4: its first {count} frames \([\d.]+ s\) are in out\.mp4 and out\.jsonl\.\n", said
    )
    assert left_in(tmp_path) == ["clip.mp4", "out.jsonl", "out.mp4"]


def test_an_unreadable_image_is_an_error_after_all_others_were_written(setpiece, checkpoint, photo, tmp_path):
    photo.with_name("notes.jpg").write_text("no image")
    done = setpiece("predict", checkpoint, "photos", "--threshold", "0")
    assert done.code == 1
    assert done.err.startswith("Error: photos/notes.jpg cannot be read")
    assert done.err.count("\n") == 1
    assert left_in(tmp_path / "predictions") == ["one.png", "predictions.json"]


def test_an_error_that_nobody_expected_is_one_line_too(setpiece, photo, checkpoint, monkeypatch):
    monkeypatch.setattr(
        "setpiece.inference.files.predict_files", Mock(side_effect=RuntimeError("the roof\nis on fire"))
    )
    done = setpiece("predict", checkpoint, photo)
    assert done.code == 1
    assert done.err == "Error: RuntimeError: the roof is on fire (run again with --debug to see where)\n"


def test_stopping_it_is_no_error(setpiece, photo, checkpoint, monkeypatch):
    monkeypatch.setattr("setpiece.inference.files.predict_files", Mock(side_effect=KeyboardInterrupt))
    done = setpiece("predict", checkpoint, photo)
    assert done.code == 130
    assert done.err == "Stopped.\n"


@pytest.mark.parametrize("command", ["--debug predict model nowhere.jpg", "predict --debug model nowhere.jpg"])
def test_debug_raises_the_error_wherever_it_stands(setpiece, command):
    with pytest.raises(UsageError, match=r"There is no image at nowhere\.jpg"):
        setpiece(*command.split())


def shell(*arguments, cwd, environment=None, largest_file=resource.RLIM_INFINITY):
    """Run the command in a process of its own; no file may have more bytes than `largest_file`, as on a full disk."""
    return subprocess.run(
        [sys.executable, "-m", "setpiece.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        errors="replace",
        env=os.environ | (environment or {}),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY)),
    )


def test_the_shell_sees_one_line_and_the_exit_code(tmp_path):
    done = shell("predict", "model", "nowhere.jpg", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: There is no image at nowhere.jpg.\n"
    assert left_in(tmp_path) == []


def test_the_shell_sees_the_traceback_with_debug(tmp_path):
    done = shell("predict", "model", "nowhere.jpg", "--debug", cwd=tmp_path)
    assert done.returncode != 0
    assert done.stderr.startswith("Traceback")
    assert done.stderr.splitlines()[-1] == "setpiece.errors.UsageError: There is no image at nowhere.jpg."


@pytest.mark.parametrize(("size", "named"), [(1_000, ""), (15_000_000, "last/training")])
def test_a_full_disk_ends_training_with_one_sentence(small_scenes, tmp_path, size, named):
    arguments = ("train", str(small_scenes), "--model", "detr-tiny", "--output", "run", *QUICK)
    done = shell(*arguments, cwd=tmp_path, largest_file=size)
    assert done.returncode == 1
    assert re.fullmatch(rf"Error: run/{named}\S* could not be written \(File too large\): make room\.\n", done.stderr)
    assert not list(tmp_path.rglob("*.unfinished"))


def test_a_full_disk_ends_prediction_with_one_sentence(checkpoint, photo, tmp_path):
    done = shell("predict", str(checkpoint), str(photo), "--output", "found", cwd=tmp_path, largest_file=100)
    assert done.returncode == 1
    assert done.stderr == "Error: found/one.png could not be written (File too large): make room.\n"
    assert left_in(tmp_path / "found") == []


def test_a_full_disk_ends_a_video_with_one_sentence(checkpoint, tmp_path):
    write_clip(tmp_path / "clip.mp4", 60)
    arguments = ("predict", str(checkpoint), "clip.mp4", "--output", "out.mp4")
    done = shell(*arguments, cwd=tmp_path, largest_file=3000)
    assert done.returncode == 1
    assert done.stderr == "Error: out.mp4 could not be written (File too large): make room.\n"
    assert left_in(tmp_path) == ["clip.mp4"]


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("environment", [ASCII, {"PYTHONIOENCODING": "cp1252"}], ids=["plain locale", "code page"])
def test_names_in_any_language_survive_a_console_that_cannot_show_them(write_colours, tmp_path, environment):
    data = write_colours({"M\u00fcll": 1, "\u732b": 2, "\u0416": 3}, images=[((64, 64), {})])
    save(create("detr-tiny", ["M\u00fcll", "\u732b", "\u0416"], shortest=64), tmp_path / "model")
    predicted = shell(
        "predict", "model", str(data / "valid"), "--threshold", "0", cwd=tmp_path, environment=environment
    )
    assert (predicted.returncode, predicted.stderr) == (0, "")
    found = json.loads((tmp_path / "predictions" / "predictions.json").read_text(encoding="utf-8"))
    assert {row["category_name"] for row in found} <= {"M\u00fcll", "\u732b", "\u0416"}
    measured = shell("eval", "model", str(data), "--json", "m.json", cwd=tmp_path, environment=environment)
    assert (measured.returncode, measured.stderr) == (0, "")
    assert "M\u00fcll" in json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))["per_class"]


def test_every_command_explains_itself():
    runner = CliRunner()
    listed = runner.invoke(cli.app, ["--help"])
    assert listed.exit_code == 0
    for command in ("train", "eval", "predict", "doctor", "explain", "watch", "tour", "demo"):
        assert command in listed.output
        explained = runner.invoke(cli.app, [command, "--help"])
        assert explained.exit_code == 0
        assert "Usage" in explained.output


def test_help_shows_the_defaults_that_a_recipe_decides():
    explained = CliRunner().invoke(cli.app, ["train", "--help"], env={"COLUMNS": "200"})
    for default in ("[default: 50]", "[default: runs/DATA-MODEL]", "[default: auto]"):
        assert default in explained.output


def test_a_command_that_does_not_exist_is_a_usage_error(setpiece):
    done = setpiece("trian")
    assert done.code == 2
    assert "trian" in done.err


def test_a_step_that_diverged_is_computed_again_and_shown(setpiece, small_scenes):
    diverging = ("--learning-rate", "1e12", "--from-scratch", *QUICK)
    failed = setpiece("train", small_scenes, "--model", "sprint-n", "--output", "run", *diverging)
    assert failed.code == 1
    assert (
        "setpiece train --replay run/capture computes it again, and setpiece explain run/capture shows it" in failed.err
    )
    again = setpiece("train", "--replay", "run/capture")
    assert again.code == 0
    then, now = (line.split(": ", 1)[1].strip() for line in again.out.splitlines())
    assert then == now
    assert then in failed.err
    assert setpiece("explain", "run/capture", "--output", "shown.html").code == 0
    assert os.path.getsize("shown.html") > 10_000
    assert setpiece("train", "--replay", "run").err.startswith("Error: run is no capture")
    assert setpiece("train").code == 2


def test_label_errors_are_looked_for_by_detectors_that_have_not_seen_the_images(setpiece, small_scenes):
    asked = ("--model", "detr-tiny", "--minutes", "0.01", "--size", "64", "--only", "labels", "--json", "found.json")
    done = setpiece("doctor", small_scenes, *asked)
    assert done.code == 0, done.err
    with open("found.json", encoding="utf-8") as file:
        checks = {finding["check"] for finding in json.load(file)["findings"]}
    assert checks == {"labels.unseen"}  # a detector of a second sees nothing


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "labels"), "The checks of labels need a detector: give one with --model"),
        (("--only", "boxes", "--model", "sprint-n"), "--model is for the checks of labels, and these are left out"),
        (("--model", "nowhere"), "nowhere"),
    ],
)
def test_what_does_not_go_together_is_said_before_the_images_are_looked_at(setpiece, small_scenes, arguments, said):
    done = setpiece("doctor", small_scenes, *arguments)
    assert done.code == 2
    assert said in done.err


def test_a_detector_of_other_classes_is_a_finding_beside_the_others(setpiece, small_scenes, tmp_path):
    save(create("detr-tiny", ["another"], shortest=64), tmp_path / "other")
    done = setpiece("doctor", small_scenes, "--model", "other", "--json", "found.json")
    assert done.code == 1
    with open("found.json", encoding="utf-8") as file:
        findings = json.load(file)["findings"]
    assert findings[0]["check"] == "labels.failed"
    assert "does not know" in findings[0]["what"]
    assert len(findings) > 1


def test_doctor_keeps_its_findings_where_label_errors_cannot_be_looked_for(setpiece, write_few):
    done = setpiece("doctor", write_few(1), "--model", "detr-tiny", "--minutes", "0.01")
    assert done.code == 1
    assert "1 photo cannot be divided" in " ".join(done.out.split())
    assert done.err == ""


@pytest.mark.parametrize("option", ["--html", "--json"])
def test_doctor_shows_what_it_found_before_a_file_that_cannot_be_written(setpiece, small_scenes, option, monkeypatch):
    def full(file, _):
        raise OutputError(f"{file} could not be written (No space left on device): make room.")

    monkeypatch.setattr("setpiece.atomic.write_whole", full)
    done = setpiece("doctor", small_scenes, "--fast", option, "found")
    assert done.code == 1
    assert done.err == "Error: found could not be written (No space left on device): make room.\n"
    assert "[splits.few]" in "".join(done.out.split())


def test_doctor_refuses_to_look_at_nothing(setpiece, small_scenes):
    done = setpiece("doctor", small_scenes, "--fast", "--only", "images.copies")
    assert done.code == 2
    assert "--fast leaves out the checks that --only names" in done.err


def test_an_evaluation_says_how_sure_it_is_and_writes_a_page(setpiece, small_scenes, checkpoint):
    done = setpiece("eval", checkpoint, small_scenes, "--report", "page.html", "--json", "numbers.json")
    assert done.code == 0, done.err
    assert "missed" in done.out
    with open("numbers.json", encoding="utf-8") as file:
        numbers = json.load(file)
    assert numbers["errors"].keys() == {"classification", "localisation", "both", "duplicate", "background", "missed"}
    assert os.path.getsize("page.html") > 10_000
    pictures = ("precision-recall", "f1", "confusion", "calibration", "errors")
    beside = (*(f"page-{name}.png" for name in pictures), "page-numbers.json")
    assert f"Beside it are {', '.join(beside)}." in done.out
    assert all(os.path.isfile(name) for name in beside)
    with open("page-numbers.json", encoding="utf-8") as file:
        assert json.load(file) == numbers


def test_a_page_takes_the_place_of_no_other_file(setpiece, small_scenes, checkpoint, tmp_path):
    (tmp_path / "run-f1.png").mkdir()
    for name, said in (("r.json", "give it a name that ends in .html"), ("run.html", "cannot be written")):
        done = setpiece("eval", checkpoint, small_scenes, "--report", name)
        assert (done.code, said in done.err) == (2, True)
        assert not (tmp_path / name).exists()


def test_thresholds_are_a_number_auto_or_those_of_classes(setpiece, small_scenes, checkpoint):
    image = next(small_scenes.glob("valid/*.png"))
    assert setpiece("predict", checkpoint, image, "--threshold", f"{scenes_module.CLASSES[0]}=0.1").code == 0
    done = setpiece("predict", checkpoint, image, "--threshold", "auto")
    assert (done.code, "has no thresholds of its own" in done.err) == (2, True)
    done = setpiece("predict", checkpoint, image, "--threshold", "high")
    assert (done.code, "is not understood" in done.err) == (2, True)


def test_a_preset_is_trained_several_times_to_say_how_much_is_chance(setpiece, small_scenes):
    done = setpiece("eval", "detr-tiny", small_scenes, "--folds", "2", "--minutes", "0.01", "--json", "folds.json")
    assert done.code == 0, done.err
    assert re.search(r"fold 2: AP 0\.\d+, AP50 0\.\d+, trained on 6 images", done.out)
    assert re.search(r"all classes.*0\.\d+ ± 0\.\d+", done.out)
    with open("folds.json", encoding="utf-8") as file:
        assert [one["name"] for one in json.load(file)["trainings"]] == ["fold 1", "fold 2"]
    assert setpiece("eval", "detr-tiny", small_scenes, "--folds", "2", "--seeds", "2").code == 2
    for option in (("--split", "train"), ("--report", "page.html"), ("--curve", "curve.json")):
        done = setpiece("eval", "detr-tiny", small_scenes, "--seeds", "2", *option)
        assert (done.code, f"{option[0]} is of one detector" in done.err) == (2, True)
    for option in ("--minutes", "--size"):
        done = setpiece("eval", "detr-tiny", small_scenes, option, "64")
        assert (done.code, f"{option} is of the trainings" in done.err) == (2, True)
    assert setpiece("eval", "nothing", small_scenes, "--seeds", "2").code == 2


def test_a_curve_says_what_more_images_would_bring(setpiece, small_scenes):
    settings = ("--model", "detr-tiny", "--minutes", "0.01", "--size", "64")
    done = setpiece("curve", small_scenes, *settings, "--json", "c.json")
    assert done.code == 0, done.err
    assert "25%: AP" in done.out
    assert re.search("With 16 images AP would be|AP did not grow with the images", done.out)
    with open("c.json", encoding="utf-8") as file:
        written = json.load(file)
    assert [one["images"] for one in written["trainings"]] == [2, 4, 6, 8]
    assert written["outlook"]["more"] == 8


def test_models_are_compared_on_the_same_images(setpiece, small_scenes, checkpoint, tmp_path):
    done = setpiece("compare", checkpoint, checkpoint, "--data", small_scenes, "--report", "both.html")
    assert done.code == 0, done.err
    assert payload_of(tmp_path / "both.html")["models"] == [str(checkpoint)] * 2
    assert "+0.000" in done.out
    assert "0.000 to 0.000" in done.out
    assert "4 images are few" in done.out
    words = re.sub(r"[\s│]", "", done.out)  # a long name goes on in the lines below
    assert str(checkpoint)[-12:] in words
    assert "…" not in done.out
    assert setpiece("compare", checkpoint, "--data", small_scenes).code == 2


def test_doctor_writes_through_a_pipe_and_a_link(setpiece, small_scenes, tmp_path):
    os.mkfifo("pipe")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "page.html")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    done = setpiece("doctor", small_scenes, "--fast", "--json", "pipe", "--html", "link")
    assert (done.code, done.err) == (0, "")
    assert json.loads(os.read(reader, 1 << 16))["images"] == {"train": 8, "valid": 4}
    os.close(reader)
    assert left_in(tmp_path) == ["link", "pipe", "real", "real/page.html"]
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_into_a_folder_that_is_not_there_is_refused_before_the_work(setpiece, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone" / "found.json")
    done = setpiece("doctor", "nowhere", "--json", "link")
    assert (done.code, done.err) == (2, "Error: --json link cannot be written: name a file in a folder that exists.\n")


def test_doctor_writes_all_files_of_a_folder_whose_name_is_not_utf8(setpiece, small_scenes, tmp_path):
    try:
        shutil.copytree(small_scenes, "caf\udce9")
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    done = setpiece("doctor", "caf\udce9", "--fast", "--html", "page.html", "--json", "found.json", "--fix", "fixed")
    assert (done.code, done.err) == (0, "")
    assert "<title>What was found in caf?</title>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["data"] == "caf\udce9"
    assert (tmp_path / "fixed" / "changes.txt").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--only", "images", "--skip", "images"), "--skip leaves out all checks that --only names: nothing is left"),
        (
            [word for name in ("files", "boxes", "classes", "splits", "images", "labels") for word in ("--skip", name)],
            "--skip leaves out all checks: nothing is left",
        ),
    ],
)
def test_doctor_refuses_to_skip_all_that_it_looks_for(setpiece, small_scenes, options, said):
    done = setpiece("doctor", small_scenes, *options)
    assert done.code == 2
    assert said in done.err


def test_what_a_folder_holds_and_is_not_looked_at_is_said_where_an_image_cannot_be_read(setpiece, checkpoint, tmp_path):
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for name in ("one.jpg", "sub/two.jpg"):
        Image.new("RGB", (64, 64)).save(tmp_path / "photos" / name)
    for name in ("empty.jpg", "three.heic"):
        (tmp_path / "photos" / name).touch()
    done = setpiece("predict", checkpoint, "photos")
    assert done.code == 1
    assert "(1 of 2 images could not be read.)" in done.err
    assert "1 image in folders below photos is left out, such as photos/sub/two.jpg" in done.out
    assert "1 file in photos of a kind that is not read (.heic) is left out, such as three.heic" in done.out


def test_a_disk_that_is_full_for_the_output_is_one_sentence(setpiece, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys.modules["setpiece.cli.app"], "app", full)
    done = setpiece("doctor", "data")
    assert done.code == 1
    assert done.err == "Error: The output could not be written (No space left on device): make room where it goes.\n"
