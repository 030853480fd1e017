"""ONNX Runtime Web, which runs a model in a page: fetched once through npm, or given as a file."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from setpiece.errors import UsageError

__all__ = ["LICENCE", "VERSION", "WebRuntime", "find_web_runtime"]

VERSION = "1.30.0"
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # npm's sha512
PACKAGE = f"onnxruntime-web@{VERSION}"
FILE = f"onnxruntime-web-{VERSION}.tgz"  # as npm names it
SCRIPT = "package/dist/ort.wasm.bundle.min.mjs"  # of the builds that need no file but the WebAssembly, the smallest
WASM = "package/dist/ort-wasm-simd-threaded.wasm"

# The package has no file of it, and a copy must come with it.
LICENCE = """ONNX Runtime Web

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated \
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the \
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit \
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the \
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE \
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR \
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR \
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""


@dataclass(frozen=True)
class WebRuntime:
    """The two files that run a model in a page.

    Attributes:
        script: an ES module.
        wasm: the WebAssembly that it starts.
    """

    script: bytes
    wasm: bytes


def find_web_runtime(file: Path | None = None, say: Callable[[str], object] = lambda _: None) -> WebRuntime:
    """ONNX Runtime Web, from a file, or from the cache, which is filled through npm.

    Args:
        file: what `npm pack` writes. Without, `setpiece/` in the user's cache folder holds it.
        say: is told before something is fetched.

    Raises:
        UsageError: the file is missing or is another package, or npm is not there or cannot fetch it.
    """
    if file is not None:
        if not file.is_file():
            raise UsageError(f"There is no file {file}: make it with `npm pack {PACKAGE}`.")
        if not _is_sound(file):
            raise UsageError(f"{file} is not {PACKAGE}, or is damaged: make it anew with `npm pack {PACKAGE}`.")
        return _read(file)
    cached = _cache() / FILE
    if not (cached.is_file() and _is_sound(cached)):
        say(f"Fetching ONNX Runtime Web {VERSION} through npm (33 MB) into {cached.parent}.")
        _fetch(cached)
    return _read(cached)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "setpiece"


def _is_sound(file: Path) -> bool:
    with file.open("rb") as opened:
        return base64.b64encode(hashlib.file_digest(opened, "sha512").digest()).decode() == INTEGRITY


def _fetch(cached: Path) -> None:
    """Fill the cache; what npm wrote takes its name when it is whole and is what we know."""
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as folder:
            _npm_pack(Path(folder))
            fetched = Path(folder) / FILE
            if not fetched.is_file() or not _is_sound(fetched):
                raise _missing("npm fetched something else under its name")
            os.replace(fetched, cached)
    except OSError as error:
        raise _missing(f"{cached.parent} cannot be written: {error.strerror}") from error


def _npm_pack(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise _missing("there is no npm here to fetch it")
    command = [npm, "pack", PACKAGE, "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = re.search(r"^npm (?:error|ERR!) (?:code )?(.*)$", done.stderr, re.MULTILINE)
        raise _missing(f"npm cannot fetch it ({said[1] if said else f'exit code {done.returncode}'})")


def _missing(why: str) -> UsageError:
    return UsageError(
        f"A page needs ONNX Runtime Web {VERSION}, and {why}: run `npm pack {PACKAGE}` where there is npm and a "
        f"network, and give the file by --runtime {FILE}."
    )


def _read(file: Path) -> WebRuntime:
    with tarfile.open(file) as archive:
        script, wasm = (_member(archive, name) for name in (SCRIPT, WASM))
    return WebRuntime(re.sub(rb"\n//# sourceMappingURL=\S+\s*$", b"\n", script), wasm)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    opened = archive.extractfile(name)
    assert opened is not None  # its checksum is known
    return opened.read()
