"""One model that detects something, exported once in each form."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from setpiece.data.scenes import draw_scene
from setpiece.export.export import describe, export
from setpiece.model.zoo import load_head_start
from setpiece.records import InputSize

from ..checks import without_checks


@pytest.fixture(scope="package", autouse=True)
def as_users_export():
    """See `without_checks`."""
    with without_checks():
        yield


@pytest.fixture(scope="package")
def checkpoint():
    """The packaged weights, which know objects of no class in particular, made more confident, with two classes."""
    start = load_head_start("sprint-n", ("thing", "other"))
    with torch.no_grad():
        for head in start.model.class_heads:
            head.bias += torch.tensor([5.0, 3.0])
    return replace(start, size=InputSize(128, 128), thresholds=(0.3, 0.4))


@pytest.fixture(scope="package")
def pictures():
    """Of several sizes."""
    return [(f"scene {seed}", draw_scene(seed)[0]) for seed in range(6)]


@pytest.fixture(scope="package")
def onnx_file(checkpoint, pictures, tmp_path_factory):
    """Of one canvas and any number of images."""
    file = tmp_path_factory.mktemp("onnx") / "things.onnx"
    info = describe(checkpoint, size=128, metrics={"AP": 0.5}, licence="CC0-1.0")
    assert export(checkpoint, info, "onnx", file, pictures=pictures).startswith("Verified on ")
    return file


@pytest.fixture(scope="package")
def openvino_folder(checkpoint, pictures, tmp_path_factory):
    """Of any canvas and any number of images."""
    folder = tmp_path_factory.mktemp("openvino") / "things_openvino"
    assert export(checkpoint, describe(checkpoint), "openvino", folder, pictures=pictures).startswith("Verified on ")
    return folder
