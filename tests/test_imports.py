"""The rooms and the direction of imports between them, read from the source; and what an import loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "setpiece"

# A room may import the rooms of the lines above its own, and itself. "setpiece" is the package's own __init__.
LEVELS = (
    {"errors", "input_size"},
    {"atomic"},
    {"records", "web"},
    {"setloss"},
    {"data", "model", "evaluation", "runs"},
    {"inference"},
    {"training", "explain", "export", "serving"},
    {"labelling"},
    {"detector"},
    {"setpiece"},
    {"cli"},
)
# What these may import of our own is less than that.
ONLY = {
    "data": {"errors", "input_size", "atomic", "records", "setloss.boxes"},
    "evaluation": {"errors", "input_size", "atomic", "records", "setloss.boxes"},
    "model": {"errors", "input_size", "atomic", "records"},
    "runs": {"errors", "input_size", "atomic", "records"},
    "web": {"errors"},
}


def imported(file, source):
    """The dotted names, below the package, that a file imports anywhere in it, functions too; "" is the package."""
    package = ("setpiece", *file.relative_to(source).parent.parts)
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            # `from setpiece import data` imports a room, `from setpiece.data import coco` a module of it
            names = [
                f"{module}.{alias.name}" if _is_module(source, f"{module}.{alias.name}") else module
                for alias in node.names
            ]
        else:
            continue
        yield from (name.removeprefix("setpiece").lstrip(".") for name in names if name.split(".")[0] == "setpiece")


def _is_module(source, name):
    path = source.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


def violations(source):
    """Every import against the direction, as "training/loop.py imports cli"."""
    level_of = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
    found = []
    for file in sorted(source.rglob("*.py")):
        relative = file.relative_to(source)
        here = "setpiece" if relative.name == "__init__.py" and len(relative.parts) == 1 else relative.parts[0]
        here = here.removesuffix(".py")
        for name in imported(file, source):
            there = name.split(".")[0] or "setpiece"
            below = level_of.get(there, len(LEVELS)) < level_of.get(here, -1)
            allowed = here not in ONLY or any(f"{name}.".startswith(f"{only}.") for only in ONLY[here])
            if there != here and not (below and allowed):
                found.append(f"{relative} imports {name or 'setpiece'}")
    return found


def public_names(file):
    """What a file declares in `__all__`; None where it declares nothing."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return set(ast.literal_eval(node.value))
    return None


def borrowed(source):
    """(file, module, name) of every name that one file of the package takes from another."""
    for file in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "setpiece":
                for alias in node.names:
                    if not _is_module(source, f"{node.module}.{alias.name}"):
                        yield file, node.module, alias.name


def test_every_file_says_what_is_public_and_others_take_nothing_else():
    defines = (ast.FunctionDef, ast.ClassDef, ast.Assign)
    for file in SOURCE.rglob("*.py"):
        if any(isinstance(node, defines) for node in ast.parse(file.read_text()).body):
            assert public_names(file) is not None, file
    for file, module, name in borrowed(SOURCE):
        path = SOURCE.joinpath(*module.split(".")[1:])
        owner = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        assert name in public_names(owner), f"{file} takes {name} from {module}"


def test_every_room_has_its_place():
    rooms = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert rooms - {"__init__"} | {"setpiece"} == set().union(*LEVELS)


def test_imports_go_in_one_direction():
    assert violations(SOURCE) == []


@pytest.mark.parametrize(
    ("file", "line", "name"),
    [
        ("errors.py", "import setpiece.records", "records"),
        ("records.py", "from .setloss import boxes", "setloss.boxes"),
        ("setloss/matching.py", "from setpiece.data import items", "data.items"),
        ("data/items.py", "from setpiece.model.base import SetModel", "model.base"),
        ("data/items.py", "from setpiece.setloss import match", "setloss"),
        ("data/items.py", "from ..setloss.matching import match", "setloss.matching"),
        ("evaluation/coco.py", "from ..data import Dataset", "data"),
        ("model/detr.py", "from setpiece.setloss.boxes import l1", "setloss.boxes"),
        ("explain/facts.py", "from setpiece.training.config import resolve", "training.config"),
        ("web/render.py", "from setpiece.records import Targets", "records"),
        ("web/render.py", "from setpiece.atomic import write_whole", "atomic"),
        ("training/loop.py", "def late():\n    from setpiece import detector", "detector"),
        ("detector.py", "import setpiece", "setpiece"),
        ("predicting.py", "import torch, setpiece.cli", "cli"),
        ("unplaced.py", "from setpiece.errors import UsageError", "errors"),
        ("data/items.py", "from setpiece.unplaced import x", "unplaced"),
    ],
)
def test_a_forbidden_import_is_caught(tmp_path, file, line, name):
    files = "setloss/boxes", "setloss/matching", "data/items", "evaluation/coco", "model/detr", "training/loop"
    for room in (*files, "explain/facts", "web/render"):
        (tmp_path / room).parent.mkdir(exist_ok=True)
        (tmp_path / room).with_suffix(".py").write_text("from setpiece.errors import UsageError\n")
    for module in ("errors", "records", "detector", "predicting", "cli"):
        (tmp_path / module).with_suffix(".py").touch()
    (tmp_path / "data" / "items.py").write_text("from setpiece.setloss.boxes import l1\nfrom . import coco\n")
    assert violations(tmp_path) == []
    (tmp_path / file).write_text(line)
    assert violations(tmp_path) == [f"{file} imports {name}"]


HEAVY = ("torch", "supervision", "matplotlib", "numpy", "PIL")


@pytest.mark.parametrize("statement", ["import setpiece", "import setpiece.cli", "HELP"])
def test_the_command_answers_without_importing_what_is_slow(statement):
    code = statement
    if statement == "HELP":
        code = "import setpiece.cli\ntry:\n    setpiece.cli.app(['--help'])\nexcept SystemExit:\n    pass"
    code += f"\nimport sys\nprint('loaded', *sorted(sys.modules.keys() & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].strip() == "loaded"


@pytest.mark.parametrize("module", ["detector", "inference.evaluation"])
def test_supervision_is_imported_without_its_warning(module):
    code = f"import setpiece.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_loss_needs_torch_scipy_numpy_and_jaxtyping_alone():
    """What these four import themselves is loaded first and does not count."""
    code = """
import sys
import torch, scipy.optimize, numpy, jaxtyping, torch.nn.functional
before = {name.partition(".")[0] for name in sys.modules}
import setpiece.setloss
after = {name.partition(".")[0] for name in sys.modules}
print("loaded", *sorted(after - before - sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["loaded", "setpiece"]


TO_TRAIN = ("accelerate", "tensorboard", "setpiece.training", "setpiece.explain", "matplotlib", "plotly")


def test_predicting_imports_nothing_that_only_training_or_explaining_needs():
    code = (
        "import numpy as np\nfrom setpiece import Detector\nfrom setpiece.model.checkpoint import create\n"
        "Detector('new', create('detr-tiny', ['a'], shortest=64)).predict(np.zeros((48, 64, 3), np.uint8))\n"
        f"import sys\nprint('loaded', *sorted(sys.modules.keys() & set({TO_TRAIN!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].strip() == "loaded"
