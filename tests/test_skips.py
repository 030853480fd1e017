"""CI's rule for skips, in runs of pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SKIPPED = {
    "in the test": "import pytest\ndef test_it(): pytest.skip('no browser')",
    "by a mark": "import pytest\n@pytest.mark.skipif(True, reason='no browser')\ndef test_it(): pass",
    "in a fixture": "import pytest\n@pytest.fixture\ndef page(): pytest.skip('no browser')\ndef test_it(page): pass",
    "as a module": "import pytest\npytest.skip('no browser', allow_module_level=True)",
    "for a package": "import pytest\npytest.importorskip('no_browser', reason='no browser')",
    "in a doctest": "def f():\n    '''\n    >>> import pytest\n    >>> pytest.skip('no browser')\n    '''",
    "for want of cases": "import pytest\n@pytest.mark.parametrize('x', [])\ndef test_it(x): pass",
}


def run(folder, source, *, ci, allowed=()):
    """Run pytest with the rule on one file of tests; returns its exit code and what it printed."""
    (folder / "test_one.py").write_text(source)
    start = f"import pytest, tests.skips as skips\nskips.ALLOWED |= dict.fromkeys({allowed!r}, 'a reason')\n"
    start += f"raise SystemExit(pytest.main(['-rs', '--doctest-modules', {str(folder)!r}], plugins=[skips]))"
    environment = {name: value for name, value in os.environ.items() if name != "SETPIECE_CI"}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment |= {"SETPIECE_CI": "1"} if ci else {}
    command = [sys.executable, "-c", start]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("source", SKIPPED.values(), ids=SKIPPED)
def test_a_skip_fails_ci_and_is_named_with_its_reason(tmp_path, source):
    code, said = run(tmp_path, source, ci=True)
    assert code != 0
    line = next(line for line in said.splitlines() if "is skipped, but CI must run it" in line)
    assert line.lstrip("E ").startswith("test_one.py")
    assert "no browser" in line or "empty parameter set" in line


def test_a_skip_stays_a_skip_elsewhere(tmp_path):
    code, said = run(tmp_path, SKIPPED["in the test"], ci=False)
    assert code == 0
    assert "1 skipped" in said


@pytest.mark.parametrize(("allowed", "code"), [("test_one.py::test_it", 0), ("test_one.py::test_other", 1)])
def test_ci_may_skip_what_the_list_names_and_nothing_else(tmp_path, allowed, code):
    assert run(tmp_path, SKIPPED["in the test"], ci=True, allowed=[allowed])[0] == code


def test_a_test_that_is_known_to_fail_is_no_skip(tmp_path):
    source = "import pytest\n@pytest.mark.xfail(reason='a known defect')\ndef test_it(): raise ValueError"
    assert run(tmp_path, source, ci=True)[0] == 0


def test_the_rule_holds_in_this_run(request):
    assert request.config.pluginmanager.has_plugin("setpiece-skips")
