"""Where ONNX Runtime Web comes from, and what is said where it cannot be had. Nothing is fetched here."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile

import pytest

from setpiece.errors import UsageError
from setpiece.export import web_runtime
from setpiece.export.web_runtime import FILE, PACKAGE, SCRIPT, VERSION, WASM, find_web_runtime
from setpiece.model.checkpoint import create, save

from ..command import run_command


@pytest.fixture
def package(monkeypatch):
    """The bytes of a package that stands in for npm's, with its checksum in the place of the real one."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in ((SCRIPT, b"export const a = 1;\n//# sourceMappingURL=a.map\n"), (WASM, b"\0asm")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    digest = hashlib.sha512(file.getvalue()).digest()
    monkeypatch.setattr(web_runtime, "INTEGRITY", base64.b64encode(digest).decode())
    return file.getvalue()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "setpiece"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """`npm(shell)`: an npm that runs these lines, and the only program on PATH but for the shell's own."""

    def make(shell):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "npm"
        program.write_text(f"#!/bin/sh\n{shell}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")

    return make


def test_the_runtime_is_fetched_once_and_then_read_from_the_cache(package, cache, npm, tmp_path):
    (tmp_path / "package.tgz").write_bytes(package)
    npm(f'echo "$@" >> {tmp_path}/calls; cp {tmp_path}/package.tgz {FILE}')
    said = []
    for _ in range(2):
        runtime = find_web_runtime(say=said.append)
        assert (runtime.script, runtime.wasm) == (b"export const a = 1;\n", b"\0asm")
    assert len(said) == 1
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith(f"pack {PACKAGE} ")
    assert [file.name for file in cache.iterdir()] == [FILE]
    (cache / FILE).write_bytes(package[:-1])  # damaged since
    assert find_web_runtime(say=said.append).wasm == b"\0asm"
    assert (cache / FILE).read_bytes() == package


@pytest.mark.parametrize(
    ("shell", "why"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; exit 1", r"npm cannot fetch it \(ENOTFOUND\)"),
        ("exit 7", r"npm cannot fetch it \(exit code 7\)"),
        (f"echo other > {FILE}", "npm fetched something else under its name"),
        ("true", "npm fetched something else under its name"),
    ],
)
def test_what_npm_cannot_fetch_is_said_with_what_to_do(cache, npm, shell, why):
    npm(shell)
    with pytest.raises(UsageError, match=rf"ONNX Runtime Web {VERSION}, and {why}: run `npm pack .* by --runtime"):
        find_web_runtime()
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("cache")
def test_without_npm_one_sentence_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"there is no npm here to fetch it: run `npm pack"):
        find_web_runtime()


@pytest.mark.usefixtures("cache")
def test_the_command_ends_with_2_and_writes_nothing_without_the_runtime(monkeypatch, tmp_path, capsys):
    save(create("detr-tiny", ["a"], shortest=64), tmp_path / "model")
    monkeypatch.setenv("PATH", str(tmp_path))
    page = tmp_path / "a.html"
    done = run_command(monkeypatch, capsys, "export", tmp_path / "model", "--format", "html", "--output", page)
    assert done.code == 2
    assert "there is no npm here" in done.err
    assert not page.exists()


def test_a_file_is_taken_where_it_is_what_we_know(package, cache, tmp_path):
    file = tmp_path / "given.tgz"
    file.write_bytes(package)
    assert find_web_runtime(file).wasm == b"\0asm"
    file.write_bytes(package + b"more")
    with pytest.raises(UsageError, match=rf"given\.tgz is not {PACKAGE}, or is damaged: make it anew"):
        find_web_runtime(file)
    with pytest.raises(UsageError, match=r"There is no file .*gone\.tgz"):
        find_web_runtime(tmp_path / "gone.tgz")
    assert not cache.exists()
