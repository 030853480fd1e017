"""What README and the documentation show is true: Python runs, commands have their options, links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from PIL import Image

import setpiece
import setpiece.model.zoo  # binds the real `load`, which the fixture below replaces for the pages
from setpiece.cli import app

from .colours import IMAGES, measuring, paint, write_colours

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OF_ANY_COMMAND = {"--help", "--debug"}

each_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


def blocks(text, *languages):
    """The fenced blocks in some languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [body for language, body in found if language in languages]


def inline(text):
    """What stands in the sentences as code, on one line."""
    sentences = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", sentences)]


def commands(text):
    """Every line of a block, and all code in a sentence, that runs something, as its words."""
    lines = "\n".join(blocks(text, "", "sh", "bash", "shell", "console")).replace("\\\n", " ").splitlines()
    lines = [line.removeprefix("$ ").removeprefix(".venv/bin/") for line in [*lines, *inline(text)]]
    lines = [re.sub(r"^(torchrun|accelerate launch)\b.* -m setpiece\.cli ", "setpiece ", line) for line in lines]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("setpiece ", "python benchmarks/"))]


def options_of(command):
    """The options that a command has."""
    own = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return own | OF_ANY_COMMAND


def given(words):
    """The options in a command line."""
    return {word.split("=")[0].strip("[]") for word in words if word.strip("[").startswith("--")}


@pytest.fixture
def what_its_reader_has(tmp_path, monkeypatch):
    """A folder with stand-ins for the run, the image and the data set of the pages."""
    for split in ("train", "valid"):
        write_colours(tmp_path / "data" / "bccd", {"red": 1, "green": 2, "blue": 3}, split)
    Image.fromarray(paint(*IMAGES[0])).save(tmp_path / "cell.jpg")
    (tmp_path / "runs" / "cells").mkdir(parents=True)
    (tmp_path / "runs" / "cells" / "metrics.jsonl").write_text('{"epoch": 1, "step": 25, "loss": 3.5, "AP": 0.1}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("setpiece.model.checkpoint.load", lambda _: measuring())


@each_page
@pytest.mark.usefixtures("what_its_reader_has")
def test_python_in_the_pages_runs(page, capsys):
    """In order: a block knows the names of those before it, but for README, whose blocks stand alone."""
    names = {}
    for block in blocks(page.read_text(encoding="utf-8"), "python", "py"):
        exec(compile(block, str(page), "exec"), {} if page == README else names)
    assert "nan" not in re.findall(r"\w+", capsys.readouterr().out)


@each_page
def test_commands_in_the_pages_exist_with_their_options(page):
    known = typer.main.get_command(app).commands
    for words in commands(page.read_text(encoding="utf-8")):
        line = " ".join(words)
        if words[0] == "python":
            source = (ROOT / words[1]).read_text(encoding="utf-8")
            assert all(f'"{option}"' in source for option in given(words)), line
        elif words[1].startswith("--"):
            assert given(words) <= OF_ANY_COMMAND, line
        else:
            assert words[1] in known, line
            assert given(words) <= options_of(known[words[1]]), line


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "docs").glob("[!m]*.md"))], ids=lambda page: page.name)
def test_options_that_the_pages_name_exist(page):
    """All but the measurements, which name options of the benchmarks too."""
    known = typer.main.get_command(app).commands.values()
    options = set().union(*map(options_of, known))
    named = {code.split()[0] for code in inline(page.read_text(encoding="utf-8")) if code.startswith("--")}
    assert named <= options


@each_page
def test_links_of_the_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target


def test_the_design_names_files_that_are_there():
    rooms = blocks((ROOT / "docs" / "design.md").read_text(encoding="utf-8"), "text")[0]
    there = {file.name for file in (ROOT / "src" / "setpiece").rglob("*.py")}
    assert set(re.findall(r"\w+\.py", rooms)) <= there


def test_every_page_is_part_of_the_site():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        if page.is_relative_to(ROOT / "docs"):
            assert str(page.relative_to(ROOT / "docs")) in navigation


def test_a_command_that_is_wrong_is_caught():
    """In a block, over two lines, in a sentence and behind a launcher."""
    wrong = "```sh\nsetpiece train DATA \\\n    --minute 3\n```\nCall `setpiece train DATA --minute 3`, or\n"
    wrong += "```sh\ntorchrun --nproc-per-node 2 -m setpiece.cli train DATA --minute 3\n```\n"
    assert [given(words) for words in commands(wrong)] == [{"--minute"}] * 3


def test_the_citation_has_the_version_of_the_package():
    assert f"\nversion: {setpiece.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
