import pytest

from setpiece.data.scenes import write_scenes


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Sixteen training and four validation scenes."""
    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", train=16, valid=4)
