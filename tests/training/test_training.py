"""The loop as a whole, on small scenes at 64 pixels."""

import copy
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import load_file

from setpiece.data.augmentation.canvas import RandomCanvas
from setpiece.data.batching import TrainImages
from setpiece.errors import DataError, NonFiniteCostError, UsageError, WeightsError
from setpiece.model.checkpoint import load
from setpiece.records import InputSize
from setpiece.runs import recording_files
from setpiece.runs.layout import RunFolder
from setpiece.setloss import auxiliary
from setpiece.training import loop, train
from setpiece.training.config import resolve
from setpiece.training.display import Display
from setpiece.training.start import open_data, start_training, starting_checkpoint

from ..old_names import old_name
from .killing import Killed, Killing

SETTINGS = {"size": 64, "batch_size": 4, "evaluations": 2, "precision": "fp32"}
SPEED = ("images_per_second", "seconds")


def rows(folder):
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in SPEED} for line in lines]


@pytest.fixture(scope="module")
def uninterrupted(scenes, tmp_path_factory):
    """A run of three epochs, twelve steps."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    start_training(resolve(scenes, "detr-tiny", epochs=3, **SETTINGS), folder)
    return folder


def test_a_run_folder_holds_what_it_promises(uninterrupted):
    for name in ("run.json", "metrics.jsonl", "best/metrics.json", "last/training.pt"):
        assert (uninterrupted / name).is_file()
    assert len(list((uninterrupted / "pictures").glob("*.png"))) == 4
    assert list((uninterrupted / "tensorboard").glob("events*"))
    assert not list(uninterrupted.rglob("*.unfinished"))
    assert load(uninterrupted).classes == load(uninterrupted / "last").classes

    epochs = rows(uninterrupted)
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    assert [row["step"] for row in epochs] == [4, 8, 12]
    assert [("AP" in row) for row in epochs] == [False, True, True]
    assert all({"loss", "class", "l1", "giou", "lr"} <= row.keys() for row in epochs)
    assert epochs[-1]["loss"] < epochs[0]["loss"]


@pytest.mark.parametrize(
    ("moment", "times", "save_seconds"),
    [
        ("step", 2, 1e9),  # before anything was saved
        ("step", 6, 0),  # inside the second epoch, the state of the step before saved
        ("evaluation", 0, 0),  # all steps of the second epoch done, its line not written
        ("evaluation", 1, 0),  # likewise of the last epoch
        ("metrics", 1, 1e9),  # line and checkpoints of the last epoch written, its state not
    ],
)
def test_a_killed_and_resumed_run_ends_as_an_uninterrupted_one(
    scenes, uninterrupted, tmp_path, monkeypatch, moment, times, save_seconds
):
    config = resolve(scenes, "detr-tiny", epochs=3, **SETTINGS)
    monkeypatch.setattr(loop, "SAVE_SECONDS", save_seconds)
    with pytest.raises(Killed):
        start_training(config, tmp_path / "run", display=Killing(moment, times))
    result = start_training(config, tmp_path / "run", resume=True)
    assert_same_end(tmp_path / "run", uninterrupted)
    assert_is_saved(result)


def test_a_run_killed_while_it_wrote_its_first_best_checkpoint_is_resumed(scenes, uninterrupted, tmp_path, monkeypatch):
    config = resolve(scenes, "detr-tiny", epochs=3, **SETTINGS)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    with pytest.raises(Killed):
        start_training(config, tmp_path / "run", display=Killing("evaluation", 0))
    (tmp_path / "run" / "best").mkdir()
    shutil.copy(uninterrupted / "last" / "model.safetensors", tmp_path / "run" / "best")
    start_training(config, tmp_path / "run", resume=True)
    assert_same_end(tmp_path / "run", uninterrupted)


def assert_same_end(folder, expected):
    assert rows(folder) == rows(expected)
    for part in ("best", "last"):
        weights = load_file(expected / part / "model.safetensors")
        torch.testing.assert_close(load_file(folder / part / "model.safetensors"), weights, rtol=0, atol=0)


def assert_is_saved(result):
    """The checkpoint and the metrics in memory are those of the folder."""
    weights = load_file(result.folder / "model.safetensors")
    torch.testing.assert_close(dict(result.checkpoint.model.state_dict()), weights, rtol=0, atol=0)
    written = json.loads((result.folder / "metrics.json").read_text())
    assert result.metrics.to_dict() == {name: value for name, value in written.items() if name != "step"}


@pytest.fixture(scope="module")
def growing(scenes, tmp_path_factory):
    """A run of sprint of two epochs, in which images grow, and the same killed in the second epoch."""
    config = resolve(scenes, "sprint-n", epochs=2, **SETTINGS | {"size": 150})
    folder = tmp_path_factory.mktemp("sprint")
    start_training(config, folder / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SAVE_SECONDS", 0)
        with pytest.raises(Killed):
            start_training(config, folder / "killed", display=Killing("step", 6))
    return config, folder


def test_a_run_of_sprint_resumes_within_an_epoch_whose_images_grow(growing, tmp_path):
    config, folder = growing
    shutil.copytree(folder / "killed", tmp_path / "run")
    start_training(config, tmp_path / "run", resume=True)
    assert_same_end(tmp_path / "run", folder / "whole")


def test_a_run_folder_with_the_names_of_before_resumes_to_the_same_end(growing, tmp_path):
    config, folder = growing
    shutil.copytree(folder / "killed", tmp_path / "run")
    for name in ("run.json", "metrics.jsonl"):
        text = (tmp_path / "run" / name).read_text()
        assert "one_to_many" in text
        (tmp_path / "run" / name).write_text(text.replace("one_to_many", "near"))
    file = tmp_path / "run" / "last" / "training.pt"
    state = torch.load(file, weights_only=True)
    state["average"] = {old_name(name): tensor for name, tensor in state.pop("ema").items()}
    state["model"] = {old_name(name): tensor for name, tensor in state["model"].items()}
    assert any("fusion" in name for name in state["average"])
    state["position"]["best"] = -1.0
    state["position"]["sums"]["near"] = state["position"]["sums"].pop("one_to_many")
    torch.save(state, file)

    start_training(config, tmp_path / "run", resume=True)
    first, *others = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert '"near"' in first  # written before, and left
    (tmp_path / "run" / "metrics.jsonl").write_text("\n".join([first.replace("near", "one_to_many"), *others]))
    assert_same_end(tmp_path / "run", folder / "whole")


def test_a_trainer_that_does_not_run_yet_changes_no_file(scenes, growing, tmp_path):
    config, folder = growing
    shutil.copytree(folder / "killed", tmp_path / "run")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    dataset, valid = open_data(scenes)
    checkpoint = starting_checkpoint(config, dataset.classes)
    images = TrainImages(dataset, InputSize(64, 64))
    loop.Trainer(config, Accelerator(), checkpoint, images, valid, RunFolder(tmp_path / "run"), Display())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_two_processes_train_as_one_on_the_same_global_batch(scenes, tmp_path):
    models = ["detr-tiny", "sprint-n"]
    script = [os.path.join(os.path.dirname(__file__), "distributed_run.py"), str(scenes)]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    one = [sys.executable, *script, str(tmp_path / "one")]
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for command in (one, [*two, *script, str(tmp_path / "two")]):
        subprocess.run([*command, *models], env=quiet, check=True, capture_output=True, timeout=300)
    for model in models:
        for alone, together in zip(rows(tmp_path / "one" / model), rows(tmp_path / "two" / model), strict=True):
            assert alone.keys() == together.keys()
            measured = [name for name, value in alone.items() if value is not None]  # no small objects: no APs
            assert [together[name] for name in measured] == pytest.approx([alone[name] for name in measured], rel=1e-3)


def test_minutes_end_a_run_by_its_own_clock(scenes, tmp_path):
    config = resolve(scenes, "detr-tiny", minutes=0.03, **SETTINGS)
    start_training(config, tmp_path / "run")
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["seconds"] >= 1.8
    assert "AP" in line  # the end is always evaluated
    assert line["lr"] < config.learning_rate  # it has fallen; how far depends on when the last step began


def test_the_one_to_many_box_loss_counts_by_its_weight_in_three_quarters_of_a_run(scenes, tmp_path, monkeypatch):
    learned = []

    class Spy(Accelerator):
        def backward(self, loss):
            learned.append(loss.detach().item())
            super().backward(loss)

    monkeypatch.setattr(train, "Accelerator", Spy)
    monkeypatch.setattr(auxiliary, "one_to_many_box_loss", lambda *_: torch.tensor(8.0))
    start_training(resolve(scenes, "sprint-n", epochs=4, one_to_many_weight=0.5, **SETTINGS), tmp_path / "run")
    epochs = rows(tmp_path / "run")
    assert [row.get("one_to_many") for row in epochs] == [8, 8, 8, None]
    means = torch.tensor(learned).view(4, -1).mean(1).tolist()
    more = [mean - row["loss"] for mean, row in zip(means, epochs, strict=True)]
    assert more == pytest.approx([4, 4, 4, 0], abs=1e-3)
    assert resolve(scenes, "sprint-n").one_to_many_weight == 1
    assert resolve(scenes, "detr-tiny").one_to_many_weight == 0


def test_fine_tuning_starts_from_the_weights_of_a_run(scenes, uninterrupted, tmp_path):
    checkpoint = load(uninterrupted)
    config = resolve(scenes, "tiny", checkpoint, epochs=1, **SETTINGS)
    start_training(config, tmp_path / "run", checkpoint)
    assert rows(tmp_path / "run")[0]["loss"] < rows(uninterrupted)[0]["loss"]


def test_training_leaves_the_checkpoint_that_it_starts_from_as_it_is(scenes, uninterrupted, tmp_path):
    checkpoint = replace(load(uninterrupted), classes=("these", "are", "others"))
    before = copy.deepcopy(checkpoint.model.state_dict())
    config = resolve(scenes, "tiny", checkpoint, epochs=1, **SETTINGS)
    result = start_training(config, tmp_path / "run", checkpoint)
    assert_is_saved(result)
    assert result.checkpoint.classes == load(uninterrupted).classes != checkpoint.classes
    torch.testing.assert_close(checkpoint.model.state_dict(), before, rtol=0, atol=0)


def test_without_images_to_evaluate_on_the_last_checkpoint_is_the_result(scenes, tmp_path):
    shutil.copytree(scenes / "train", tmp_path / "data" / "train")
    config = resolve(tmp_path / "data", "detr-tiny", epochs=1, **SETTINGS)
    result = start_training(config, tmp_path / "run")
    assert (result.folder, result.metrics) == (tmp_path / "run" / "last", None)
    weights = load_file(result.folder / "model.safetensors")
    torch.testing.assert_close(dict(result.checkpoint.model.state_dict()), weights, rtol=0, atol=0)


def test_images_start_small_and_grow_to_the_share_of_the_input_size_that_the_recipe_names(
    scenes, tmp_path, monkeypatch
):
    sides, strengths = [], set()

    def spy(size, *, strength, **others):
        sides.append(size.longest)
        strengths.add(strength)
        return RandomCanvas(size, strength=strength, **others)

    monkeypatch.setattr(train, "RandomCanvas", spy)
    settings = SETTINGS | {"size": 150, "evaluations": 1}
    config = resolve(scenes, "sprint-n", epochs=1, train_scale=0.85, first_scale=0.5, **settings)
    assert start_training(config, tmp_path / "run").checkpoint.size.longest == 150
    assert sides == [64, 96, 128]
    assert strengths == {config.augmentation_strength}


def test_a_checkpoint_keeps_its_backbone(scenes, uninterrupted):
    with pytest.raises(UsageError, match="--backbone goes with a preset"):
        resolve(scenes, "tiny", load(uninterrupted), epochs=1, backbone="timm/resnet10t")


def test_a_resumed_run_whose_recording_was_deleted_begins_another(scenes, tmp_path, monkeypatch):
    config = resolve(scenes, "detr-tiny", epochs=2, **SETTINGS)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "SAVE_SECONDS", 0)
        with pytest.raises(Killed):
            start_training(config, tmp_path / "run", display=Killing("step", 6))
    shutil.rmtree(tmp_path / "run" / "recording")
    start_training(config, tmp_path / "run", resume=True)
    assert [epoch.step for epoch in recording_files.read(tmp_path / "run" / "recording").epochs] == [6, 8]


def test_a_finished_run_is_not_overwritten_and_resuming_it_changes_nothing(scenes, uninterrupted):
    before = rows(uninterrupted)
    config = resolve(scenes, "detr-tiny", epochs=3, **SETTINGS)
    with pytest.raises(UsageError, match="holds a run already"):
        start_training(config, uninterrupted)
    start_training(config, uninterrupted, resume=True)
    assert rows(uninterrupted) == before


def test_resuming_with_other_settings_names_the_setting(scenes, uninterrupted):
    with pytest.raises(UsageError, match="started with epochs = 3, not 4"):
        start_training(resolve(scenes, "detr-tiny", epochs=4, **SETTINGS), uninterrupted, resume=True)


@pytest.mark.parametrize(
    ("data", "model", "error"),
    [("nowhere", "detr-tiny", UsageError), (".", "detr-tiny", DataError), (None, "detr-huge", UsageError)],
)
def test_a_run_that_cannot_start_leaves_no_folder(scenes, tmp_path, monkeypatch, data, model, error):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        start_training(resolve(data or scenes, model, epochs=1, **SETTINGS), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"model": "sprint-n"}, "model = detr-tiny, and the checkpoint has sprint-n"),
        ({"size": 96}, "size = 64, and the checkpoint has 96"),
        ({"size": None}, "size = 64, and the checkpoint has 256"),
    ],
)
def test_settings_that_contradict_the_checkpoint_are_not_recorded(scenes, tmp_path, made, said):
    config = resolve(scenes, "detr-tiny", epochs=1, **SETTINGS)
    dataset, valid = open_data(scenes)
    checkpoint = starting_checkpoint(config.model_copy(update=made), dataset.classes)
    with pytest.raises(UsageError, match=said):
        train.train(checkpoint, dataset, valid, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_named_backbone_and_the_size_of_a_preset_are_compared_with_the_checkpoint(scenes, tmp_path):
    dataset, valid = open_data(scenes)
    own = starting_checkpoint(resolve(scenes, "sprint-n"), dataset.classes)
    for checkpoint, said in (
        (replace(own, backbone="timm/resnet10t"), "backbone = None, and the checkpoint has timm/resnet10t"),
        (replace(own, size=InputSize(64, 64)), r"size = \d+, and the checkpoint has 64"),
    ):
        with pytest.raises(UsageError, match=said):
            train.train(checkpoint, dataset, valid, resolve(scenes, "sprint-n"), tmp_path / "run")


def test_a_run_begun_by_another_version_of_the_model_is_not_resumed(scenes, tmp_path):
    config = resolve(scenes, "detr-tiny", epochs=1, **SETTINGS)
    start_training(config, tmp_path / "run")
    dataset, valid = open_data(scenes)
    checkpoint = starting_checkpoint(config, dataset.classes)
    checkpoint.model.class_head = torch.nn.Linear(3, 3)
    with pytest.raises(WeightsError, match=r"run was begun by another version of detr-tiny; start a new run"):
        train.train(checkpoint, dataset, valid, config, tmp_path / "run", resume=True)


def test_a_run_begun_with_other_optimisers_is_not_resumed(scenes, tmp_path, monkeypatch):
    config = resolve(scenes, "sprint-n", epochs=1, **SETTINGS)
    start_training(config, tmp_path / "run")
    monkeypatch.setattr("setpiece.training.optimiser.FEATURES", 1000)  # nothing is left to Muon
    with pytest.raises(WeightsError, match=r"run was begun by another version of sprint-n; start a new run"):
        start_training(config, tmp_path / "run", resume=True)


def test_imagenet_weights_are_fetched_to_begin_a_run_and_not_to_resume_it(scenes, tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr(
        "setpiece.model.backbones.multi_scale.ResNetPyramid.load_imagenet", lambda self: fetched.append(self)
    )
    config = resolve(scenes, "sprint-s", epochs=1, **SETTINGS)
    start_training(config, tmp_path / "run")
    start_training(config, tmp_path / "run", resume=True)
    assert len(fetched) == 1


@pytest.mark.parametrize("classes", [1, 80])
def test_images_without_objects_and_with_more_than_queries_train_any_number_of_classes(tmp_path, classes):
    folder = tmp_path / "data" / "train"
    folder.mkdir(parents=True)
    for name in ("empty", "full"):
        Image.new("RGB", (64, 48)).save(folder / f"{name}.png")
    boxes = [{"bbox": [4 * (i % 14), 4 * (i // 14), 6, 6], "category_id": i % classes} for i in range(150)]
    content = {
        "images": [
            {"id": i, "file_name": f"{name}.png", "height": 48, "width": 64} for i, name in ((1, "empty"), (2, "full"))
        ],
        "annotations": [{"id": i, "image_id": 2, "area": 36, "iscrowd": 0, **box} for i, box in enumerate(boxes)],
        "categories": [{"id": i, "name": f"class {i}"} for i in range(classes)],
    }
    (folder / "_annotations.coco.json").write_text(json.dumps(content))
    config = resolve(folder.parent, "sprint-n", epochs=2, **SETTINGS | {"batch_size": 2})
    start_training(config, tmp_path / "run")
    assert len(load(tmp_path / "run").classes) == classes
    assert all(row["loss"] > 0 for row in rows(tmp_path / "run"))


def test_a_run_that_diverges_names_the_image_and_the_step(scenes, tmp_path):
    config = resolve(scenes, "detr-tiny", epochs=1, **SETTINGS)
    dataset, valid = open_data(scenes)
    checkpoint = starting_checkpoint(config, dataset.classes)
    with torch.no_grad():
        checkpoint.model.class_head.bias[0] = float("nan")
    with pytest.raises(NonFiniteCostError, match=r"diverged at step 0 on .*\.png\. Layer 0, image 0, query 0"):
        train.train(checkpoint, dataset, valid, config, tmp_path / "run")
