import os
import stat

import pytest
import torch
from safetensors.torch import save_file

from setpiece.atomic import write_whole


def test_the_file_has_the_new_content_and_nothing_else_is_left(tmp_path):
    file = tmp_path / "metrics.json"
    file.write_text("old")
    write_whole(file, lambda path: path.write_text("new"))
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_nobody_sees_half_of_a_file(tmp_path):
    file = tmp_path / "metrics.json"
    file.write_text("old")

    def write(path):
        path.write_text("ne")
        assert file.read_text() == "old"
        path.write_text("new")

    write_whole(file, write)


@pytest.mark.parametrize("before", ["old", None])
def test_a_writer_that_fails_leaves_everything_as_it_was(tmp_path, before):
    file = tmp_path / "metrics.json"
    if before is not None:
        file.write_text(before)

    def write(path):
        path.write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_whole(file, write)
    assert [path.read_text() for path in tmp_path.iterdir()] == ([before] if before is not None else [])


def test_a_folder_in_the_place_of_the_file_stays(tmp_path):
    (tmp_path / "metrics.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "metrics.json", lambda path: path.write_text("new"))
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


@pytest.fixture(params=[(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)], ids=lambda pair: f"umask {pair[0]:03o}")
def permissions(request):
    """The permissions of a new file, under a umask that gives them."""
    umask, permissions = request.param
    before = os.umask(umask)
    yield permissions
    os.umask(before)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("{}"),
        lambda path: torch.save({"step": 1}, path),
        lambda path: save_file({"weight": torch.ones(2)}, path),
    ],
    ids=["text", "torch", "safetensors"],
)
@pytest.mark.parametrize("leftover", [False, True])
def test_the_file_has_the_permissions_that_the_umask_gives(tmp_path, permissions, write, leftover):
    if leftover:
        (tmp_path / ".file.unfinished").touch(0o400)
    write_whole(tmp_path / "file", write)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == permissions
