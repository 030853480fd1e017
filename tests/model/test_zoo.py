import shutil

import pytest
import torch

from setpiece.errors import WeightsError
from setpiece.model import zoo
from setpiece.model.presets import presets
from setpiece.model.zoo import head_starts, load_head_start


@pytest.mark.parametrize("preset", head_starts())
def test_a_packaged_file_is_the_one_that_its_entry_describes(preset):
    checkpoint = load_head_start(preset)
    assert (checkpoint.preset, checkpoint.classes, checkpoint.size) == (preset, ("object",), presets()[preset].size)
    assert all(tensor.isfinite().all() for tensor in checkpoint.model.state_dict().values())


def test_every_class_to_be_trained_on_starts_as_an_object():
    start, ready = load_head_start("sprint-n"), load_head_start("sprint-n", ["ace", "object"])
    assert ready.classes == ("ace", "object")
    for head, new in zip(start.model.class_heads, ready.model.class_heads, strict=True):
        torch.testing.assert_close(new.weight, head.weight.expand(2, -1))


def test_all_packaged_files_together_are_small():
    assert sum(start.file.stat().st_size for start in head_starts().values()) < 6 * 2**20


def test_a_file_that_was_changed_is_refused(tmp_path, monkeypatch):
    start = head_starts()["sprint-n"]
    copied = shutil.copytree(start.file.parent, tmp_path / "sprint-n") / start.file.name
    content = bytearray(copied.read_bytes())
    content[-1] ^= 1
    copied.write_bytes(content)
    monkeypatch.setattr(zoo, "head_starts", lambda: {"sprint-n": start._replace(file=copied)})
    with pytest.raises(WeightsError, match="missing or was changed: install setpiece again, or train from scratch"):
        load_head_start("sprint-n")
