import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from setpiece.data import open_dataset
from setpiece.errors import UsageError
from setpiece.model.checkpoint import load
from setpiece.records import InputSize

sys.path.append(str(Path(__file__).parents[2] / "tools"))
import head_start


@pytest.fixture(scope="module")
def run(scenes, tmp_path_factory):
    """A run of one epoch on two folders: the scenes, and the same again as another data set."""
    folder = tmp_path_factory.mktemp("head") / "run"
    other = shutil.copytree(scenes, folder.parent / "other")
    head_start.main(["train", str(folder), "--data", str(scenes), str(other), "--images", "32", "--size", "64"])
    return folder


def test_data_sets_are_merged_with_their_classes_side_by_side(scenes):
    dataset = open_dataset(scenes, "train")
    both = head_start.merged([dataset, replace(dataset, root=scenes.parent)])
    count = len(dataset.examples)
    assert len(both.classes) == 2 * len(dataset.classes)
    assert {example.image_id for example in both.examples} == set(range(1, 2 * count + 1))
    for first, second in zip(both.examples[:count], both.examples[count:], strict=True):
        assert (second.labels - first.labels == len(dataset.classes)).all()


def test_a_large_data_set_does_not_drown_a_small_one(scenes):
    large = open_dataset(scenes, "train")
    small = replace(large, examples=large.examples[:4])
    weights = head_start.merged([large, replace(small, root=scenes.parent)]).weights
    assert sum(weights[:16]) / sum(weights[16:]) == pytest.approx((16 / 4) ** 0.5)


def test_two_folders_of_one_name_are_refused(scenes):
    dataset = open_dataset(scenes, "train")
    with pytest.raises(UsageError, match="Two folders have the same name"):
        head_start.merged([dataset, dataset])


def test_a_packed_start_finds_objects_of_one_class_and_is_half_as_large(run, tmp_path, capsys):
    head_start.main(["pack", str(run), str(tmp_path / "start")])
    trained, start = load(run), load(tmp_path / "start")
    assert start.classes == ("object",)
    assert start.size == InputSize(352, 352)
    mean = trained.model.class_heads[0].weight.mean(0, keepdim=True)
    torch.testing.assert_close(start.model.class_heads[0].weight, mean, atol=1e-3, rtol=1e-2)
    file = tmp_path / "start" / "model.safetensors"
    assert file.stat().st_size < 0.6 * (run / "last" / "model.safetensors").stat().st_size
    assert hashlib.sha256(file.read_bytes()).hexdigest() in capsys.readouterr().out


def test_training_goes_on_from_a_checkpoint_with_its_classes(run, scenes, tmp_path):
    folders = ["--data", str(scenes), str(run.parent / "other")]
    head_start.main(["train", str(tmp_path / "run"), "--model", str(run), *folders, "--images", "32", "--size", "64"])
    before, after = load(run), load(tmp_path / "run")
    assert after.classes == before.classes
    # From new weights the two would have nothing in common.
    rows = [checkpoint.model.class_heads[0].weight.flatten() for checkpoint in (before, after)]
    assert torch.nn.functional.cosine_similarity(*rows, dim=0) > 0.9


def test_no_validation_image_is_read(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all("AP" not in row for row in rows)
