"""constraints-lowest.txt names the oldest version of every dependency that pyproject.toml allows."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def test_the_lowest_versions_are_those_that_the_package_declares():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    ranges = {one.name: str(one.specifier) for one in map(Requirement, declared)}
    assert all(re.fullmatch(r">=[\d.]+", allowed) for allowed in ranges.values())
    lines = (ROOT / "constraints-lowest.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert {name: Version(version) for name, version in pinned.items()} == {
        name: Version(allowed.removeprefix(">=")) for name, allowed in ranges.items()
    }
