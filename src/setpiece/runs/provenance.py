"""What a run was made with: versions, machine, command line, and the commit of the user's project."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

__all__ = ["provenance", "what_differs"]


def provenance() -> dict[str, Any]:
    """Ready for JSON.

    Returns:
        "command": the command line. "versions": of Python and of the packages that results depend on. "machine": its
        system, processor, number of cores, and GPU if there is one. "git": the "commit" of the working folder and
        whether files that it tracks were "changed" since; None outside a repository.
    """
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "command": shlex.join(sys.argv),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),  # names the build, as +cu130, which the package's own metadata leave out
            **{name: _version(name) for name in ("setpiece", "torchvision", "numpy", "pillow", "scipy")},
        },
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count(), "gpu": gpu},
        "git": _git(),
    }


def what_differs(then: dict[str, Any], now: dict[str, Any]) -> str:
    """In which versions and parts of the machine two provenances differ, in words; nothing where in none.

    Example:
        >>> then = {"versions": {"torch": "2.8.0"}, "machine": {"cores": 2}}
        >>> what_differs(then, {"versions": {"torch": "2.9.0"}, "machine": {"cores": 2}})
        'torch 2.8.0 then, 2.9.0 now'
    """
    parts = ((part, name) for part in ("versions", "machine") for name in now[part])
    changed = (
        f"{name} {then[part][name]} then, {now[part][name]} now"
        for part, name in parts
        if name in then.get(part, {}) and then[part][name] != now[part][name]
    )
    return "; ".join(changed)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # imported from where it was not installed
        return None


def _processor() -> str:
    """Its name, on Linux from the one place where the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _git() -> dict[str, Any] | None:
    try:
        commit = _run_git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_run_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):  # no git, no repository, no commit yet, or too slow
        return None


def _run_git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, check=True, timeout=5, text=True, errors="replace")
    return done.stdout.strip()
