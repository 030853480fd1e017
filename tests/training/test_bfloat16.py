"""Training in bfloat16 from end to end. Every processor computes in it, those without such instructions slowly."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from setpiece import Detector
from setpiece.training.config import resolve
from setpiece.training.start import start_training


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("model", ["detr-tiny", "sprint-n"])
def test_a_run_in_bfloat16_ends_near_one_in_float32_with_weights_in_float32(scenes, tmp_path, model):
    for precision in ("bf16", "fp32"):
        config = resolve(scenes, model, epochs=1, size=64, batch_size=8, evaluations=1, precision=precision)
        start_training(config, tmp_path / precision)
    (coarse,), (fine,) = losses(tmp_path / "bf16"), losses(tmp_path / "fp32")
    assert coarse != fine  # it did compute in bfloat16
    assert math.isclose(coarse, fine, rel_tol=0.05)

    weights = load_file(tmp_path / "bf16" / "best" / "model.safetensors")
    assert all(weight.dtype == torch.float32 for weight in weights.values() if weight.is_floating_point())
    assert all(weight.isfinite().all() for weight in weights.values())
    found = Detector.load(tmp_path / "bf16").predict(str(next(scenes.glob("valid/*.png"))), threshold=0.0)
    assert len(found) > 0
