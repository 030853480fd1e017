"""What several rooms' tests share. Setpiece is imported late, so that no test runs on modules without shape checks."""

from __future__ import annotations

import pytest
from hypothesis import settings

from . import skips

settings.register_profile("setpiece", deadline=None)  # no test asserts a duration
settings.load_profile("setpiece")


def pytest_configure(config):
    config.pluginmanager.register(skips, "setpiece-skips")  # and not from here alone: the doctests in src obey it, too


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Sixteen training and four validation scenes."""
    from setpiece.data.scenes import write_scenes

    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", train=16, valid=4)


@pytest.fixture
def write_colours(tmp_path):
    """Write COCO splits of black images with at most one red, one green and one blue rectangle each."""
    from .colours import write_colours

    return lambda *args, **kwargs: write_colours(tmp_path / "colours", *args, **kwargs)
