"""Every tensor of the published checkpoints, listed name by name, has its place in our model."""

import json
from pathlib import Path

import pytest
import torch

from setpiece.errors import WeightsError
from setpiece.model.formats.published import (
    class_names,
    coco_names,
    drop_unused_classes,
    from_original,
    from_transformers,
    infer_preset,
    is_dilated,
    to_transformers,
)
from setpiece.model.presets import presets

from ...shared import SHARED

LAYOUTS = SHARED / "published_layouts"
PUBLISHED = [
    ("original_detr-r50", "detr-r50"),
    ("original_detr-r50-dc5", "detr-r50-dc5"),
    ("original_detr-r101", "detr-r101"),
    ("transformers_detr-resnet-50", "detr-r50"),
    ("transformers_detr-resnet-50-dc5", "detr-r50-dc5"),
    ("transformers_detr-resnet-101", "detr-r101"),
]
needs_layouts = pytest.mark.skipif(
    not LAYOUTS.is_dir(), reason="needs shared/data/published_layouts beside the checkout"
)


def published_state(layout):
    shapes = json.loads((LAYOUTS / f"{layout}.json").read_text())
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def our_state(preset):
    with torch.device("meta"):
        return presets()[preset].build(91).state_dict()


@needs_layouts
@pytest.mark.parametrize(("layout", "preset"), PUBLISHED)
def test_every_published_tensor_is_used_and_every_tensor_of_ours_is_filled(layout, preset):
    theirs, ours = published_state(layout), our_state(preset)
    read = from_original if layout.startswith("original") else from_transformers
    state = read(theirs, ours, layout)
    assert {name: t.shape for name, t in state.items()} == {name: t.shape for name, t in ours.items()}
    assert sum(t.numel() for t in state.values()) == sum(t.numel() for t in theirs.values())


@needs_layouts
@pytest.mark.parametrize(("layout", "preset"), PUBLISHED)
def test_the_preset_is_told_from_the_weights_and_the_dilation(layout, preset):
    assert infer_preset(published_state(layout), dilation="dc5" in layout) == preset


@needs_layouts
@pytest.mark.parametrize(("layout", "preset"), [pair for pair in PUBLISHED if pair[0].startswith("transformers")])
def test_our_weights_are_written_in_the_published_layout(layout, preset):
    theirs = published_state(layout)
    written = to_transformers(our_state(preset))
    assert {name: t.shape for name, t in written.items()} == {name: t.shape for name, t in theirs.items()}


def test_a_packed_projection_is_split_in_the_order_query_key_value():
    names = [f"encoder.layers.0.self_attention.{part}.weight" for part in ("value", "query", "key")]
    packed = torch.arange(12.0).reshape(6, 2)
    state = from_original({"transformer.encoder.layers.0.self_attn.in_proj_weight": packed}, names, "x")
    value, query, key = (state[name] for name in names)
    assert torch.equal(torch.cat([query, key, value]), packed)


def test_missing_and_unexpected_tensors_are_named_in_the_files_own_words():
    with pytest.raises(WeightsError) as error:
        from_original(
            {"query_embed.weight": torch.ones(1, 1), "mask_head.bias": torch.ones(1)}, ["class_head.bias"], "a.pth"
        )
    message = str(error.value)
    assert "a.pth" in message
    assert "lacks class_embed.bias" in message
    assert "no place for mask_head.bias, query_embed.weight" in message
    assert message.count("\n") == 0


def test_counters_of_batches_are_left_out_knowingly():
    state = {"class_embed.bias": torch.ones(3), "backbone.0.body.bn1.num_batches_tracked": torch.tensor(0)}
    assert from_original(state, ["class_head.bias"], "a.pth").keys() == {"class_head.bias"}


def test_ids_that_coco_never_used_are_left_out_of_the_class_head():
    names = coco_names()
    assert len(names) == 91
    rows = torch.arange(92.0)
    state, used = drop_unused_classes({"class_head.weight": rows[:, None], "class_head.bias": rows}, names)
    assert len(used) == 80
    assert (used[0], used[11], used[-1]) == ("person", "stop sign", "toothbrush")
    assert not {"N/A", "__background__"} & set(used)
    assert [names[int(row)] for row in state["class_head.bias"][:-1]] == list(used)
    assert state["class_head.bias"][-1] == 91  # no-object
    assert torch.equal(state["class_head.weight"][:, 0], state["class_head.bias"])


@pytest.mark.parametrize(
    ("config", "dilated"),
    [
        ({"dilation": True, "backbone": "resnet50"}, True),
        ({"dilation": False, "backbone_config": {"output_stride": 16}}, True),
        ({"dilation": False, "backbone_config": None}, False),
        ({}, False),
    ],
)
def test_dilation_is_read_from_both_forms_of_their_config(config, dilated):
    assert is_dilated(config) is dilated


def test_class_names_follow_their_numbers():
    labels = {str(i): f"c{i}" for i in (10, 2, 0, 1, 3, 4, 5, 6, 7, 8, 9)}
    assert class_names({"id2label": labels}, Path("config.json")) == tuple(f"c{i}" for i in range(11))
    for labels in ({"1": "a", "2": "b"}, ["a"], None):
        with pytest.raises(WeightsError, match="does not name the classes"):
            class_names({"id2label": labels}, Path("config.json"))
