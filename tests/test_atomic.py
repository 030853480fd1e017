import errno
import os
import stat
from functools import partial

import pytest
import torch

from setpiece.atomic import write_whole, written_whole
from setpiece.errors import OutputError


@pytest.mark.parametrize("content", ["für", "für".encode(), lambda file: file.write("für".encode())])
def test_the_file_has_the_new_content_and_nothing_else_is_left(tmp_path, content):
    file = tmp_path / "metrics.json"
    file.write_text("old")
    write_whole(file, content)
    assert file.read_text(encoding="utf-8") == "für"
    assert list(tmp_path.iterdir()) == [file]


def test_what_survives_a_power_cut_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append(stat.S_ISDIR(os.fstat(file).st_mode)), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("replace"), replace(*names)))
    write_whole(tmp_path / "labels.json", "{}", survives_power_cut=True)
    assert done == [False, "replace", True]
    write_whole(tmp_path / "labels.json", "{}")
    assert done == [False, "replace", True, "replace"]


def test_folders_above_the_file_are_made(tmp_path):
    write_whole(tmp_path / "run" / "best" / "metrics.json", "{}")
    assert (tmp_path / "run" / "best" / "metrics.json").read_text() == "{}"


def test_nobody_sees_half_of_a_file(tmp_path):
    file = tmp_path / "metrics.json"
    file.write_text("old")

    def write(opened):
        opened.write(b"ne")
        opened.flush()
        assert file.read_text() == "old"
        opened.write(b"w")

    write_whole(file, write)
    assert file.read_text() == "new"


@pytest.mark.parametrize("before", ["old", None])
@pytest.mark.parametrize(
    ("raised", "expected", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError, "metrics.json could .* space left .*make room"),
        (OSError(errno.EACCES, "Permission denied"), OutputError, "metrics.json could .* denied.* its permissions"),
        (ValueError("no number"), ValueError, "no number"),
    ],
)
def test_a_writer_that_fails_leaves_everything_as_it_was(tmp_path, before, raised, expected, sentence):
    file = tmp_path / "metrics.json"
    if before is not None:
        file.write_text(before)

    def write(opened):
        opened.write(b"half")
        raise raised

    with pytest.raises(expected, match=sentence):
        write_whole(file, write)
    assert [path.read_text() for path in tmp_path.iterdir()] == ([before] if before is not None else [])


def test_a_folder_in_the_place_of_the_file_stays(tmp_path):
    (tmp_path / "metrics.json").mkdir()
    with pytest.raises(OutputError, match=r"metrics\.json could not be written"):
        write_whole(tmp_path / "metrics.json", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_a_file_that_is_written_beside_its_place_replaces_no_folder(tmp_path):
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "labels.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"deploy could not be written"), written_whole(tmp_path / "deploy") as file:
        file.write_text("a model")
    assert (tmp_path / "deploy" / "labels.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["deploy"]


def test_a_file_in_the_place_of_a_folder_stays(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OutputError, match=r"metrics\.json could not be written"):
        write_whole(tmp_path / "run" / "metrics.json", "new")
    assert (tmp_path / "run").read_text() == "a file"


@pytest.fixture(params=[(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)], ids=lambda pair: f"umask {pair[0]:03o}")
def permissions(request):
    """The permissions of a new file, under a umask that gives them."""
    umask, permissions = request.param
    before = os.umask(umask)
    yield permissions
    os.umask(before)


@pytest.mark.parametrize("content", ["{}", partial(torch.save, {"step": 1})], ids=["text", "torch"])
@pytest.mark.parametrize("leftover", [False, True])
def test_the_file_has_the_permissions_that_the_umask_gives(tmp_path, permissions, content, leftover):
    if leftover:
        (tmp_path / ".file.unfinished").touch(0o400)
    write_whole(tmp_path / "file", content)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == permissions


def test_what_a_link_leads_to_is_written_and_the_link_stays(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real" / "found.json")  # not there yet
    for content in ("old", "new"):
        write_whole(link, content)
        assert link.is_symlink()
        assert (tmp_path / "real" / "found.json").read_text() == content
    with written_whole(link) as unfinished:
        unfinished.write_text("a model")
    assert link.is_symlink()
    assert [(path.name, path.read_text()) for path in (tmp_path / "real").iterdir()] == [("found.json", "a model")]
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link.json"}


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_to_and_stays(tmp_path, linked):
    pipe = name = tmp_path / "pipe"
    os.mkfifo(pipe)
    if linked:
        name = tmp_path / "link"
        name.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(name, "für")
    assert os.read(reader, 99).decode() == "für"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(OutputError, match=r"is no file and no folder"), written_whole(name):
        pass
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert set(tmp_path.iterdir()) == {pipe, name}


def test_what_is_no_character_does_not_keep_a_text_from_being_written(tmp_path):
    write_whole(tmp_path / "page.html", "caf\udce9 für \ud83d")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "caf? für ?"
