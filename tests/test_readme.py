"""What the README shows is true: its Python runs, its commands have their options, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from PIL import Image

from setpiece.cli import app

from .colours import IMAGES, measuring, paint, write_colours

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(not README.is_file(), reason="there is no README.md yet")


def text():
    return README.read_text(encoding="utf-8") if README.is_file() else ""


def blocks(*languages):
    """The fenced blocks in some languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text(), re.MULTILINE | re.DOTALL)
    return [body for language, body in found if language in languages]


def commands():
    """Every line of a block that runs `setpiece`, as its words."""
    lines = "\n".join(blocks("", "sh", "bash", "shell", "console")).replace("\\\n", " ").splitlines()
    lines = [line.removeprefix("$ ").removeprefix(".venv/bin/") for line in lines]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("setpiece ")]


def test_python_in_the_readme_runs(tmp_path, monkeypatch, capsys):
    """With stand-ins for the run, the image and the data set that its reader has."""
    write_colours(tmp_path / "data" / "bccd", {"red": 1, "green": 2, "blue": 3})
    Image.fromarray(paint(*IMAGES[0])).save(tmp_path / "cell.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("setpiece.detector.load", lambda _: measuring())
    for block in blocks("python", "py"):
        exec(compile(block, str(README), "exec"), {})
    assert "nan" not in capsys.readouterr().out


def test_commands_in_the_readme_exist_with_their_options():
    known = typer.main.get_command(app).commands
    for words in commands():
        options = [word.split("=")[0].strip("[]") for word in words if word.strip("[").startswith("--")]
        if words[1].startswith("--"):
            assert set(options) <= {"--help", "--debug"}
            continue
        assert words[1] in known, " ".join(words)
        has = {
            option for parameter in known[words[1]].params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert set(options) <= has | {"--help", "--debug"}, " ".join(words)


def test_files_that_the_readme_points_at_are_there():
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (ROOT / target).exists(), target
