"""`setpiece label` as people run it."""

from __future__ import annotations

import signal
import subprocess
import sys
import webbrowser

import httpx
import pytest

from setpiece.errors import UsageError
from setpiece.labelling import server
from setpiece.labelling.source import open_source

from ..command import run_command

RUN = "from setpiece.cli import main; main()"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_the_address_and_ends_well_at_a_signal(photos, tmp_path, number):
    command = [sys.executable, "-c", RUN, "label", photos, "--classes", "cat, dog", "--no-browser"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.readline()
        assert said.endswith("until Ctrl-C.\n")
        address = said.split()[3]
        assert [each["name"] for each in httpx.get(f"{address}api/state").json()["classes"]] == ["cat", "dog"]
        process.send_signal(number)
        rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "Stopped. The labels are in photos-labels/; the same command goes on.\n")
    assert (tmp_path / "photos-labels" / "_annotations.coco.json").is_file()


@pytest.mark.parametrize(("options", "opened"), [([], ["http://127.0.0.1:1/"]), (["--no-browser"], [])])
def test_it_opens_the_browser_unless_told_otherwise(monkeypatch, capsys, photos, tmp_path, options, opened):
    shown = []
    monkeypatch.setattr(webbrowser, "open", shown.append)
    monkeypatch.setattr(server, "serve", lambda _, ready: ready("http://127.0.0.1:1/"))
    monkeypatch.chdir(tmp_path)
    assert run_command(monkeypatch, capsys, "label", photos, *options).code == 0
    assert shown == opened


@pytest.mark.parametrize("classes", ["cat,,dog", "cat,cat", ""])
def test_names_of_classes_that_are_none_are_refused(monkeypatch, capsys, photos, classes):
    done = run_command(monkeypatch, capsys, "label", photos, "--classes", classes)
    assert (done.code, done.err.startswith("Error: --classes ")) == (2, True)


def test_a_folder_that_is_missing_is_refused(monkeypatch, capsys, tmp_path):
    done = run_command(monkeypatch, capsys, "label", tmp_path / "nothing")
    assert done.code == 2
    assert "does not exist: give the folder that holds the photos." in done.err


def test_photos_of_a_kind_that_is_not_read_are_named(photos, tmp_path):
    (photos / "a.HEIC").write_bytes(b"photo")
    (said,) = open_source(photos).said
    assert said == f"1 photo in {photos} cannot be read (.heic), as a.HEIC: convert to JPEG or PNG."
    (tmp_path / "phone").mkdir()
    (photos / "a.HEIC").rename(tmp_path / "phone" / "a.HEIC")
    with pytest.raises(UsageError, match=r"cannot be read \(\.heic\)"):
        open_source(tmp_path / "phone")


def test_an_output_that_is_a_file_is_refused(monkeypatch, capsys, photos, tmp_path):
    (tmp_path / "labels").write_text("")
    done = run_command(monkeypatch, capsys, "label", photos, "--output", tmp_path / "labels", "--no-browser")
    assert (done.code, "is a file: give --output a folder." in done.err) == (2, True)
