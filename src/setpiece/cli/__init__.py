"""The command line. Each command imports what it needs when it runs, so that `--help` answers at once."""

from setpiece.cli.app import app, main

# Each module adds its commands to `app`; `--help` lists them in this order.
from setpiece.cli import training  # isort: skip
from setpiece.cli import measuring  # isort: skip
from setpiece.cli import predicting  # isort: skip
from setpiece.cli import examining  # isort: skip
from setpiece.cli import explaining  # isort: skip
from setpiece.cli import exporting  # isort: skip
from setpiece.cli import benching  # isort: skip
from setpiece.cli import publishing  # isort: skip
from setpiece.cli import serving  # isort: skip
from setpiece.cli import labelling  # isort: skip

__all__ = [
    "app",
    "benching",
    "examining",
    "explaining",
    "exporting",
    "labelling",
    "main",
    "measuring",
    "predicting",
    "publishing",
    "serving",
    "training",
]
