"""Which tests continuous integration may skip: those named here. Any other skip fails its run.

A machine of a user may lack a browser or the shared data, and its tests are skipped there. On CI a skip would hide that
nothing was checked. `.ci/run` sets SETPIECE_CI, and this plugin of pytest then turns a skip into a failure.
"""

from __future__ import annotations

import os

import pytest

# A test, as in "tests/model/test_parity.py::test_on_a_gpu", and why CI may skip it.
ON_DEVICE = "tests/setloss/test_on_device.py"
ALLOWED: dict[str, str] = {
    f"{ON_DEVICE}::test_a_captured_loss_is_that_of_the_targets_it_is_replayed_with": "No GPU is there.",
    "tests/test_device.py::test_captured_steps_have_the_losses_of_the_others": "No GPU is there.",
}


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    return refuse_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    return refuse_skip(report)


def refuse_skip(report):
    """The report itself, failed where it says that CI skips what it must run."""
    expected_to_fail = hasattr(report, "wasxfail")  # pytest calls that a skip, too, but the test ran
    if not os.environ.get("SETPIECE_CI") or not report.skipped or expected_to_fail:
        return report
    if report.nodeid.split("[")[0] not in ALLOWED:  # "[" begins the case of a parametrised test
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} is skipped, but CI must run it. {reason}"
    return report
