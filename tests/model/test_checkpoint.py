"""Checkpoints made new, written, read back, and refused with one sentence."""

import argparse
import errno
import json
import logging
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from setpiece.errors import OutputError, SetpieceError, UsageError, WeightsError
from setpiece.model.checkpoint import create, load, save, with_classes
from setpiece.model.formats.published import original_name, transformers_name
from setpiece.model.presets import presets
from setpiece.records import InputSize

from ..old_names import old_name

CLASSES = ("ace", "king", "queen")


@pytest.fixture
def tiny(tmp_path):
    """A saved checkpoint of detr-tiny, and its folder."""
    checkpoint = create("detr-tiny", CLASSES)
    save(checkpoint, tmp_path / "tiny")
    return checkpoint, tmp_path / "tiny"


def edit_config(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def one_sentence(error):
    message = str(error.value)
    assert "\n" not in message
    return message


# --- new


def test_a_new_checkpoint_has_the_presets_input_size_and_imagenets_normalisation():
    checkpoint = create("detr-tiny", list(CLASSES))
    assert (checkpoint.preset, checkpoint.classes) == ("detr-tiny", CLASSES)
    assert checkpoint.size == InputSize(256, 256)
    assert checkpoint.mean == (0.485, 0.456, 0.406)
    assert checkpoint.std == (0.229, 0.224, 0.225)
    assert checkpoint.model.class_head.out_features == 4


def test_the_longest_side_follows_the_shortest_in_the_presets_proportion(caplog):
    assert create("detr-r50", CLASSES, shortest=480).size.longest == 800
    assert "starts from a random CNN" in caplog.text
    assert create("detr-tiny", CLASSES, shortest=128, longest=512).size.longest == 512


def test_an_unknown_preset_is_a_usage_error_that_names_the_presets():
    with pytest.raises(UsageError) as error:
        create("detr-r5", CLASSES)
    assert all(name in one_sentence(error) for name in ("'detr-r5'", *presets()))


@pytest.mark.parametrize(
    ("classes", "options"),
    [
        ((), {}),
        (CLASSES, {"shortest": 0}),
        (CLASSES, {"shortest": 300, "longest": 200}),
        (CLASSES, {"pretrained_backbone": True}),
    ],
)
def test_what_cannot_be_made_is_a_usage_error(classes, options):
    with pytest.raises(UsageError) as error:
        create("detr-tiny", classes, **options)
    one_sentence(error)


def test_a_pretrained_backbone_that_cannot_be_fetched_is_one_sentence(monkeypatch):
    def unreachable(*_args, **options):
        assert options["weights_only"]
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(WeightsError, match="ImageNet weights of resnet50 could not be fetched") as error:
        create("detr-r50", CLASSES, pretrained_backbone=True)
    one_sentence(error)


# --- there and back


def test_a_saved_checkpoint_comes_back_the_same(tiny):
    checkpoint, folder = tiny
    again = load(folder)
    assert (again.preset, again.classes, again.mean, again.std) == (
        "detr-tiny",
        CLASSES,
        checkpoint.mean,
        checkpoint.std,
    )
    images, padding = torch.rand(1, 3, 64, 64), torch.zeros(1, 64, 64, dtype=torch.bool)
    outputs, expected = again.model.eval()(images, padding), checkpoint.model.eval()(images, padding)
    assert torch.equal(outputs.logits, expected.logits)
    assert torch.equal(outputs.boxes, expected.boxes)


def test_what_is_read_can_be_trained_and_saved_again(tiny, tmp_path):
    _, folder = tiny
    again = load(folder)
    assert all(p.requires_grad and p.device.type == "cpu" for p in again.model.parameters())
    again.model.to(memory_format=torch.channels_last)
    save(again, tmp_path / "again")
    assert (tmp_path / "again" / "config.json").read_text() == (folder / "config.json").read_text()
    assert sorted(file.name for file in (tmp_path / "again").iterdir()) == ["config.json", "model.safetensors"]


def test_another_number_of_queries_is_kept(tmp_path):
    checkpoint = create("detr-tiny", CLASSES)
    checkpoint.model.queries, checkpoint.model.num_queries = nn.Embedding(9, 128), 9
    save(checkpoint, tmp_path)
    assert load(tmp_path).model.num_queries == 9


def test_half_precision_weights_are_read_as_float32(tiny):
    _, folder = tiny
    state = load_file(folder / "model.safetensors")
    save_file({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, folder / "model.safetensors")
    assert {p.dtype for p in load(folder).model.parameters()} == {torch.float32}


def test_a_file_of_weights_is_read_with_the_config_beside_it(tiny):
    _, folder = tiny
    assert load(str(folder / "model.safetensors")).classes == CLASSES


def test_a_run_folder_gives_its_best_else_its_last(tmp_path):
    save(create("detr-tiny", ["last"]), tmp_path / "last")
    assert load(tmp_path).classes == ("last",)
    save(create("detr-tiny", ["best"]), tmp_path / "best")
    assert load(tmp_path).classes == ("best",)


def test_a_write_that_fails_leaves_the_old_checkpoint(tiny, monkeypatch):
    checkpoint, folder = tiny

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OutputError, match=r"model\.safetensors could not be written .No space left"):
        save(checkpoint, folder)
    assert load(folder).classes == CLASSES


# --- other classes


def test_a_class_keeps_by_its_name_what_was_learned_of_it(tiny, caplog):
    _, folder = tiny
    checkpoint = load(folder)
    with caplog.at_level(logging.WARNING, logger="setpiece"):
        other = with_classes(checkpoint, ["queen", "jack", "ace"], "cards")
    old, new = checkpoint.model.class_head.weight, other.model.class_head.weight
    torch.testing.assert_close(new[[0, 2, 3]], old[[2, 0, 3]])
    assert "(ace, king, queen): keeps 2 of them and has to be trained on 1 class (jack)." in caplog.text
    caplog.clear()
    assert with_classes(checkpoint, ["king"], "cards").model.class_head.out_features == 2
    assert caplog.text == ""


def test_a_head_for_other_classes_is_new_and_a_message_says_so(tiny, caplog):
    checkpoint, folder = tiny
    with caplog.at_level(logging.WARNING, logger="setpiece"):
        other = load(folder, classes=["cat", "dog"])
    assert other.classes == ("cat", "dog")
    assert other.model.class_head.out_features == 3
    assert "3 classes (ace, king, queen)" in caplog.text
    assert "2 classes (cat, dog)" in caplog.text
    assert torch.equal(other.model.queries.weight, checkpoint.model.queries.weight)


def test_a_head_for_the_same_classes_is_kept_in_silence(tiny, caplog):
    checkpoint, folder = tiny
    same = load(folder, classes=list(CLASSES))
    assert torch.equal(same.model.class_head.weight, checkpoint.model.class_head.weight)
    assert caplog.text == ""


# --- published checkpoints, as files


def published_state(preset, rows, name_of):
    """Zeros of the published shapes; a packed projection is put together again."""
    with torch.device("meta"):
        ours = presets()[preset].build(rows - 1).state_dict()
    state = {}
    for name, tensor in ours.items():
        name, _, part = name_of(name).partition("[")
        shape = [3 * tensor.shape[0], *tensor.shape[1:]] if part else list(tensor.shape)
        state[name] = torch.zeros(()).expand(shape)  # one number on disk, whatever the shape
    return state


def write_pth(path, preset, rows=92, **more):
    torch.save({"model": published_state(preset, rows, original_name), **more}, path)
    return path


def test_an_original_file_names_the_classes_of_coco(tmp_path):
    checkpoint = load(write_pth(tmp_path / "detr-r50-e632da11.pth", "detr-r50"))
    assert checkpoint.preset == "detr-r50"
    assert len(checkpoint.classes) == 80
    assert checkpoint.model.class_head.out_features == 81
    assert not checkpoint.model.backbone.conv1.weight.requires_grad
    assert checkpoint.size == InputSize(800, 1333)


def test_an_original_file_is_dilated_by_its_name_or_by_its_own_arguments(tmp_path):
    assert load(write_pth(tmp_path / "detr-r50-dc5-f0fb7ef5.pth", "detr-r50-dc5")).preset == "detr-r50-dc5"
    args = argparse.Namespace(dilation=True)
    assert load(write_pth(tmp_path / "checkpoint.pth", "detr-r101-dc5", args=args)).preset == "detr-r101-dc5"


def test_an_original_file_of_unnamed_classes_asks_for_their_names(tmp_path):
    path = write_pth(tmp_path / "checkpoint.pth", "detr-r50", rows=4)
    with pytest.raises(WeightsError, match="detects 3 classes and does not name them") as error:
        load(path)
    one_sentence(error)
    assert load(path, classes=CLASSES).classes == CLASSES


def write_transformers(folder, **config):
    folder.mkdir(parents=True)
    state = published_state("detr-r50", 92, transformers_name)
    save_file({k: v.contiguous() for k, v in state.items()}, folder / "model.safetensors")
    labels = {str(i): "N/A" if i in (0, 12) else f"class {i}" for i in range(91)}
    (folder / "config.json").write_text(json.dumps({"model_type": "detr", "id2label": labels, **config}))


def test_a_hub_id_is_read_through_the_real_client_from_its_cache(tmp_path, monkeypatch):
    repository = tmp_path / "models--facebook--detr-resnet-50"
    write_transformers(repository / "snapshots" / "abc123")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc123")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    checkpoint = load("facebook/detr-resnet-50")
    assert checkpoint.preset == "detr-r50"
    assert checkpoint.classes == tuple(f"class {i}" for i in range(91) if i not in (0, 12))


def test_their_config_and_weights_must_agree_on_the_number_of_classes(tmp_path):
    write_transformers(tmp_path / "theirs", id2label={"0": "a"})
    with pytest.raises(WeightsError, match="class head of 92 rows, but 1 classes are named") as error:
        load(tmp_path / "theirs")
    one_sentence(error)


# --- refused


def test_an_unreachable_hub_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        WeightsError, match="facebook/detr-resnet-50 could not be fetched: the hub cannot be reached"
    ) as error:
        load("facebook/detr-resnet-50")
    one_sentence(error)


@pytest.mark.parametrize("source", ["no-such-thing", "runs/cells/best", "/no/such/folder", "a/model.pth", "../run"])
def test_nothing_at_the_source_is_a_usage_error(source):
    with pytest.raises(UsageError, match="There is no checkpoint at") as error:
        load(source)
    assert source in one_sentence(error)


def no_config(folder):
    (folder / "config.json").unlink()


def broken_config(folder):
    (folder / "config.json").write_text('{"format": 1,')


def list_as_config(folder):
    (folder / "config.json").write_text("[]")


def foreign_config(folder):
    (folder / "config.json").write_text('{"model_type": "yolos"}')


def truncated(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100_000])


def foreign_tensors(folder):
    save_file({"a": torch.ones(1)}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (no_config, "has no config.json"),
        (broken_config, "cannot be read as JSON"),
        (list_as_config, "expected a JSON object"),
        (foreign_config, "preset: Field required"),
        (lambda folder: edit_config(folder, format=4), "has format 4, newer than this Setpiece reads"),
        (lambda folder: edit_config(folder, preset="detr-r9"), "'detr-r9', which is none of detr-r50"),
        (lambda folder: edit_config(folder, std=[0, 1, 1]), "std.0: Input should be greater than 0"),
        (lambda folder: edit_config(folder, classes=["a"]), "class_head.weight has shape"),
        (lambda folder: (folder / "model.safetensors").unlink(), "is missing"),
        (truncated, "truncated or not a safetensors file"),
        (foreign_tensors, "lacks backbone.layer1"),
    ],
)
def test_a_damaged_or_foreign_folder_is_one_sentence(tiny, damage, says):
    _, folder = tiny
    damage(folder)
    with pytest.raises(WeightsError) as error:
        load(folder)
    message = one_sentence(error)
    assert says in message
    assert str(folder) in message


class Surprise:
    """Unpickling this would run code."""

    def __reduce__(self):
        return (Path.touch, (Path("surprise"),))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a checkpoint",
        b"PK\x03\x04 nor this",
        {"weights": 1},
        [1, 2],
        {"model": {"a": 1}},
        {"model": Surprise()},
    ],
)
def test_a_damaged_or_foreign_pth_is_one_sentence_and_runs_nothing(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(WeightsError, match=r"x\.pth") as error:
        load(path)
    one_sentence(error)
    assert not (tmp_path / "surprise").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.onnx", r"model\.onnx is not a checkpoint"),
        ("notes.txt", r"notes\.txt is not a checkpoint: .* an exported model \(\.onnx, \.xml or \.pt2\)"),
        ("page.html", r"page\.html is not a checkpoint: an exported page detects in a browser alone"),
    ],
)
def test_a_file_of_another_kind_is_refused(name, said, tmp_path):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(SetpieceError, match=said) as error:
        load(tmp_path / name)
    one_sentence(error)


def test_a_checkpoint_of_the_first_format_is_read_by_its_old_names(tmp_path):
    checkpoint = create("sprint-n", CLASSES)
    save(checkpoint, tmp_path / "new")
    state = load_file(tmp_path / "new" / "model.safetensors")
    old = {old_name(name): tensor for name, tensor in state.items()}
    assert sum(name not in state for name in old) > 50
    (tmp_path / "old").mkdir()
    save_file(old, tmp_path / "old" / "model.safetensors")
    config = json.loads((tmp_path / "new" / "config.json").read_text())
    assert config["format"] == 3
    (tmp_path / "old" / "config.json").write_text(json.dumps(config | {"format": 1}))
    for name, tensor in load(tmp_path / "old").model.state_dict().items():
        assert tensor.equal(state[name])


def test_a_state_with_old_names_loads_into_a_model_and_into_one_inside_another():
    model = create("sprint-n", CLASSES).model
    old = {old_name(name): tensor for name, tensor in create("sprint-n", CLASSES).model.state_dict().items()}
    model.load_state_dict(dict(old))
    assert all(tensor.equal(old[old_name(name)]) for name, tensor in model.state_dict().items())
    outer = torch.nn.ModuleDict({"module": create("sprint-n", CLASSES).model})
    outer.load_state_dict({f"module.{name}": tensor for name, tensor in old.items()})
