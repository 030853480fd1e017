"""Build the wheel, install it where the checkout cannot be seen, and use it: `python tools/check_wheel.py [--lowest]`.

The new environment holds the wheel and what the wheel declares, nothing else: so an undeclared dependency, a file that
was not packaged and an import that only the checkout satisfies all fail. The dependencies are those of the environment
that runs this, linked and not downloaded again. With `--lowest` they are the oldest that the package allows, installed
by pip from constraints-lowest.txt: 3 GB of downloads and 6 GB of disk for a while, for that PyTorch brings CUDA along.
Some of these have wheels for the oldest Python that the package allows, and for no newer one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOWEST = ROOT / "constraints-lowest.txt"
NOT_PACKAGED = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.d.ts")  # the last for `make lint` alone

# Runs in the new environment, in an empty folder.
IMPORT_ALL = """
import importlib, pkgutil, sys
import setpiece
assert setpiece.__file__.startswith(sys.prefix), setpiece.__file__
for module in pkgutil.walk_packages(setpiece.__path__, "setpiece.", onerror=lambda name: None):
    if not module.name.endswith(".__main__"):  # which runs when it is imported
        try:
            importlib.import_module(module.name)
        except Exception as error:
            missing = error if isinstance(error, ImportError) else error.__cause__  # behind a sentence for people
            if (getattr(missing, "name", None) or "").partition(".")[0] not in EXTRAS:
                raise
"""
# Packages of the extras that a module may need: it is imported when its command runs.
EXTRAS = {"fastapi", "prometheus_client", "python_multipart", "starlette", "uvicorn"}
DRAW = """
from pathlib import Path
from setpiece.data.scenes import write_scenes
write_scenes(Path("scenes"), train=8, valid=4)
"""
COMMANDS = (
    "setpiece --help",
    "setpiece train scenes --size 128 --minutes 0.17 --output run",
    "setpiece eval run scenes",
    "setpiece predict run scenes/valid",
    "setpiece explain run --data scenes",
    "setpiece tour",
)
RESULTS = ("run/best/model.safetensors", "predictions/predictions.json", "report.html", "tour.html")


def build(folder: Path, sources: Path) -> Path:
    """Build the wheel from a copy of the sources, which holds nothing that an earlier build left behind."""
    shutil.copytree(ROOT / "src", sources / "src", ignore=NOT_PACKAGED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    pip("wheel", "--no-deps", "--wheel-dir", folder, sources)
    return next(folder.glob("*.whl"))


def require_all_files(wheel: Path, source: Path) -> None:
    """Every file of the package is in the wheel: pages, styles and scripts, too."""
    files = {str(path.relative_to(source)) for path in source.glob("setpiece/**/*") if path.is_file()}
    missing = files - set(zipfile.ZipFile(wheel).namelist())
    if missing:
        sys.exit(f"Not in the wheel: {', '.join(sorted(missing))}. See [tool.setuptools.package-data].")


def declared(wheel_site: Path) -> dict[str, Distribution]:
    """What the installed wheel needs, directly or not, as this environment has it."""
    found: dict[str, Distribution] = {}
    waiting = [(one, "") for one in Distribution.discover(name="setpiece", path=[str(wheel_site)])]
    seen: set[tuple[str, str]] = set()
    while waiting:
        user, extra = waiting.pop()
        for need in map(Requirement, user.requires or []):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                name = canonicalize_name(need.name)
                found[name] = distribution(name)
                new = {(name, part) for part in ("", *need.extras)} - seen
                seen |= new
                waiting += [(found[name], part) for _, part in new]
    return found


def link(packages: dict[str, Distribution], site: Path) -> None:
    """Link everything that these packages installed into another environment's site-packages."""
    for package in packages.values():
        for file in package.files or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(str(package.locate_file(top)))


def require_oldest_python() -> None:
    """The oldest versions are installed on the oldest Python alone, see above."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=")
    here = "{}.{}".format(*sys.version_info)
    if here != oldest:
        sys.exit(f"The oldest dependencies have no wheels for Python {here}: run this with Python {oldest}.")


def pip(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "-q", *map(str, arguments)], check=True)


def use(python: Path, folder: Path) -> None:
    """Import every module, then go the way of a user: train, evaluate, predict, explain, take the tour."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    run = [[str(python), "-c", f"EXTRAS = {EXTRAS}\n{IMPORT_ALL}"], [str(python), "-c", DRAW]]
    run += [[str(python.parent / words[0]), *words[1:]] for words in map(str.split, COMMANDS)]
    for command in run:
        if command[1] != "-c":
            print("$ setpiece", *command[1:], flush=True)
        subprocess.run(command, cwd=folder, env=environment, check=True, stdin=subprocess.DEVNULL)
    missing = [name for name in RESULTS if not (folder / name).is_file()]
    if missing:
        sys.exit(f"The installed package did not write {', '.join(missing)}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--lowest", action="store_true", help="install the oldest versions that are allowed")
    lowest = parser.parse_args().lowest
    if lowest:
        require_oldest_python()
    with tempfile.TemporaryDirectory(prefix="setpiece-wheel-") as temporary:
        folder = Path(temporary)
        wheel = build(folder, folder / "sources")
        require_all_files(wheel, folder / "sources" / "src")
        venv.create(folder / "env", symlinks=True)
        python = folder / "env" / "bin" / "python"
        site = next(folder.glob("env/lib/python*/site-packages"))
        if lowest:
            pip("--python", python, "install", "--no-cache-dir", "-c", LOWEST, wheel)
        else:
            pip("--python", python, "install", "--no-deps", wheel)
            link(declared(site), site)
        pip("--python", python, "check")
        (folder / "elsewhere").mkdir()
        use(python, folder / "elsewhere")
    print("The wheel works by itself" + (", on the oldest versions that it allows." if lowest else "."))


if __name__ == "__main__":
    main()
