"""`setpiece export` and `setpiece bench`, as they are typed."""

import json

import pytest
from typer.testing import CliRunner

from setpiece.cli import app
from setpiece.data.scenes import write_scenes
from setpiece.errors import DataError, UsageError
from setpiece.inference.backends import load_backend
from setpiece.inference.exported import ExportedPredictor
from setpiece.model.checkpoint import save


@pytest.fixture(scope="module")
def archive(checkpoint, tmp_path_factory):
    """What a user typed for an archive, and what was said."""
    folder = tmp_path_factory.mktemp("command")
    save(checkpoint, folder / "things")
    words = ["export", str(folder / "things"), "--format", "torch", "--size", "128", "--output", str(folder / "a.pt2")]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    return folder / "a.pt2", done.stdout


def test_an_export_says_on_what_it_was_verified_and_how_large_it_is(archive):
    file, said = archive
    assert said.startswith("Verified on ")
    assert "in 16 images: boxes differ by up to" in said
    assert "(scenes that were drawn)" in said
    assert said.rstrip().endswith(f"{file}  {file.stat().st_size / 1e6:.1f} MB")


def test_an_archive_with_an_upper_case_suffix_is_read_without_a_warning(archive, tmp_path, caplog):
    upper = tmp_path / "A.PT2"
    upper.write_bytes(archive[0].read_bytes())
    assert load_backend(upper).info.classes == ("thing", "other")
    assert not caplog.records


def test_an_exported_model_is_timed_alone(archive):
    done = CliRunner().invoke(app, ["bench", str(archive[0]), "--seconds", "0.01"], catch_exceptions=False)
    assert done.stdout.count("torch.export") == 2  # one image at once, and eight
    assert "From pixels to detections" in done.stdout


def test_a_model_of_a_fixed_batch_is_timed_with_that_batch_alone(onnx_file, monkeypatch):
    init = ExportedPredictor.__init__

    def of_two(self, backend):
        init(self, backend)
        self.fixed_batch = 2

    monkeypatch.setattr(ExportedPredictor, "__init__", of_two)
    done = CliRunner().invoke(app, ["bench", str(onnx_file), "--seconds", "0.01"], catch_exceptions=False)
    [row] = [line for line in done.stdout.splitlines() if "ONNX Runtime" in line]
    assert row.split("│")[2].strip() == "2"


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """Run the command without its work: what it would have exported."""

    def run(model, *options):
        asked = {}

        def export(*arguments, **rest):
            asked.update(rest, info=arguments[1])
            arguments[3].write_text("a model")
            return "Done."

        monkeypatch.setattr("setpiece.export.export.export", export)
        words = ["export", str(model), "--output", str(tmp_path / "a.onnx"), *map(str, options)]
        CliRunner().invoke(app, words, catch_exceptions=False)
        return asked

    return run


@pytest.fixture
def run_folder(checkpoint, tmp_path):
    """A run whose two checkpoints have metrics of their own, and whose data set was emptied."""
    for name, ap in (("best", 0.5), ("last", 0.25)):
        save(checkpoint, tmp_path / "run" / name)
        (tmp_path / "run" / name / "metrics.json").write_text(json.dumps({"AP": ap}))
    (tmp_path / "data").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps({"data": str(tmp_path / "data")}))
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("source", "ap"),
    [(".", 0.5), ("best", 0.5), ("last", 0.25), ("last/model.safetensors", 0.25), ("best/model.safetensors", 0.5)],
)
def test_the_metrics_are_those_of_the_checkpoint(source, ap, exported, run_folder):
    assert exported(run_folder / source, "--no-verify")["info"].metrics == {"AP": ap}


def test_eight_bits_are_measured_on_the_data_that_is_named(exported, archive, tmp_path):
    calibrating, other = (write_scenes(tmp_path / name, train=1, valid=1) for name in ("one", "other"))
    model = archive[0].parent / "things"
    assert exported(model, "--int8", calibrating)["measure"].root == calibrating
    asked = exported(model, "--int8", calibrating, "--data", other)
    assert (asked["calibrate"].root, asked["measure"].root) == (calibrating, other)


def test_where_the_data_of_the_run_is_gone_scenes_are_drawn(exported, run_folder):
    assert [name for name, _ in exported(run_folder)["pictures"]][:2] == ["scene 0", "scene 1"]


def test_where_the_data_of_the_run_is_not_here_it_is_said(run_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("setpiece.export.export.export", lambda *_, **__: "Done.")
    words = ["export", str(run_folder), "--output", str(tmp_path / "a.onnx")]
    (tmp_path / "a.onnx").touch()

    def said():
        return CliRunner().invoke(app, words, catch_exceptions=False).stdout

    data = tmp_path / "data"
    so = "so that drawn scenes are looked at: name one by --data."
    assert f"The data set of the run, {data}, cannot be read any more, {so}" in said()
    data.rmdir()
    assert f"The data set of the run, {data}, is not here, {so}" in said()
    write_scenes(data, train=1, valid=1)
    assert so not in said()


def test_a_broken_data_set_is_not_taken_for_a_folder_of_images(exported, archive, tmp_path):
    model, data = archive[0].parent / "things", write_scenes(tmp_path / "scenes", train=1, valid=1)
    assert len(exported(model, "--data", data)["pictures"]) == 1
    assert len(exported(model, "--data", data / "valid")["pictures"]) == 1
    (data / "valid" / "_annotations.coco.json").write_text("{")
    with pytest.raises(DataError, match=r"_annotations\.coco\.json"):
        exported(model, "--data", data)


def test_what_cannot_be_written_is_said_before_the_model_is_loaded(archive, tmp_path, monkeypatch):
    monkeypatch.setattr("setpiece.detector.Detector.load", lambda *_, **__: pytest.fail("it was loaded"))
    words = ["export", str(archive[0].parent / "things"), "--output", str(tmp_path / "m.txt")]
    with pytest.raises(UsageError, match="writes a"):
        CliRunner().invoke(app, words, catch_exceptions=False)


@pytest.mark.parametrize("format", ["openvino", "onnx", "torch", "html", "transformers"])
def test_a_folder_with_other_things_stays(format, archive, tmp_path):
    folder = tmp_path / "deploy"
    folder.mkdir()
    for name in ("model.xml", "model.bin", "labels.txt"):
        (folder / name).write_text("mine")
    words = ["export", str(archive[0].parent / "things"), "--no-verify", "--format", format, "--output", str(folder)]
    with pytest.raises(UsageError, match=r"choose another --output|name a file by --output"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert {path.name for path in folder.iterdir()} == {"model.xml", "model.bin", "labels.txt"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "tflite"], "There is no format 'tflite': choose onnx, openvino, torch"),
        (["--half", "--int8", "data"], "exclude each other"),
        (["--size", "0"], "at least 1"),
        (["--data", "photos", "--no-verify"], "leave out --data or --no-verify"),
        (["--format", "openvino", "--output", "."], "is a folder with other things"),
        (["--format", "openvino", "--output", "other.txt"], "is a file, and openvino is a folder: name a folder"),
        (["--output", "m.txt"], r"--format onnx writes a \.onnx file: name one by --output, not m\.txt\."),
        (["--output", "m.pt2"], r"--format onnx writes a \.onnx file"),
        (["--output", "m", "--format", "torch"], r"--format torch writes a \.pt2 file"),
        (["--output", "m.onnx", "--format", "html"], r"--format html writes a \.html file"),
    ],
)
def test_what_cannot_be_exported_is_said(options, said, archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.txt").touch()
    with pytest.raises(UsageError, match=said):
        CliRunner().invoke(app, ["export", str(archive[0].parent / "things"), *options], catch_exceptions=False)
