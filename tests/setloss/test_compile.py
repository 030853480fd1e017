import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_compiled_loss_has_the_values_and_gradients_of_the_eager_one():
    command = [sys.executable, "-m", "tests.setloss.compiled"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
