"""`setpiece export` and `setpiece bench`, as they are typed."""

import pytest
from typer.testing import CliRunner

from setpiece.cli import app
from setpiece.errors import UsageError
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


def test_an_exported_model_is_timed_alone(archive):
    done = CliRunner().invoke(app, ["bench", str(archive[0]), "--seconds", "0.01"], catch_exceptions=False)
    assert done.stdout.count("torch.export") == 2  # one image at once, and eight
    assert "From pixels to detections" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "tflite"], "There is no format 'tflite': choose onnx, openvino, torch"),
        (["--half", "--int8", "data"], "exclude each other"),
        (["--size", "0"], "at least 1"),
        (["--format", "openvino", "--output", "."], "is a folder with other things"),
    ],
)
def test_what_cannot_be_exported_is_said(options, said, archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.txt").touch()
    with pytest.raises(UsageError, match=said):
        CliRunner().invoke(app, ["export", str(archive[0].parent / "things"), *options], catch_exceptions=False)
