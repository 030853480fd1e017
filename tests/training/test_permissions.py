"""Who may read a run: whoever the user's umask lets."""

import os
import stat

import pytest

from setpiece.training.config import resolve
from setpiece.training.start import start_training


@pytest.mark.parametrize("umask", [0o022, 0o077], ids=["022", "077"])
def test_every_file_and_folder_of_a_run_has_the_permissions_that_the_umask_gives(scenes, tmp_path, umask):
    before = os.umask(umask)
    try:
        run = tmp_path / "run"
        config = resolve(scenes, "detr-tiny", epochs=1, size=64, batch_size=8, evaluations=1, precision="fp32")
        start_training(config, run)
    finally:
        os.umask(before)
    permissions = {
        str(path.relative_to(run)): stat.S_IMODE(path.stat().st_mode) for path in run.rglob("*") if path.is_file()
    }
    checkpoint = {"best/model.safetensors", "best/metrics.json", "last/model.safetensors", "last/training.pt"}
    assert checkpoint | {"recording/epoch-000001.safetensors", "metrics.jsonl"} <= permissions.keys()
    assert permissions == dict.fromkeys(permissions, 0o666 & ~umask)
    assert {stat.S_IMODE(path.stat().st_mode) for path in run.rglob("*") if path.is_dir()} == {0o777 & ~umask}
