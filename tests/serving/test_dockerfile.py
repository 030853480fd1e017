"""The Dockerfile, which no test builds."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_what_it_installs_is_pinned_and_is_not_torch():
    command = TEXT.replace("\\\n", " ").partition("-c constraints.txt")[2].partition("\n")[0].split()
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    names = {name.lower().replace("_", "-") for name in pinned}
    assert len(command) > 10
    assert set(command) <= names
    assert "torch" not in command


def test_it_copies_what_is_there_and_runs_as_nobody_in_particular():
    *_, final = TEXT.split("\nFROM ")
    assert re.search(r"^USER (?!root|0)", final, re.MULTILINE)
    copied = [name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, re.MULTILINE) for name in line.split()]
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert copied
    assert all((ROOT / name).exists() and f"!{name}" in kept for name in copied)
