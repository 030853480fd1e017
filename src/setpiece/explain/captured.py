"""The explanation of a step at which training diverged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from setpiece.data.sampler import stable_seed
from setpiece.explain.explanation import Explanation
from setpiece.explain.report_image import make_report_image
from setpiece.inference.precision import autocast, uses_bf16
from setpiece.model.checkpoint import Checkpoint, load
from setpiece.records import Images, Outputs, Targets
from setpiece.runs.capture import read_capture
from setpiece.setloss import training_criterion

__all__ = ["explain_capture"]

LARGEST_LOGIT = 50.0  # shown; a probability of 0 or 1
NOTHING = 0.5  # cxcywh: shown in place of NaN


@torch.no_grad()
def explain_capture(folder: Path) -> Explanation:
    """Show the batch of a captured step as its weights predict it, in training mode: augmented images and all.

    Numbers that are not finite cannot be drawn. Logits are shown as if no class were likely and boxes as one in the
    middle, and the image says how many queries that is true of.

    Args:
        folder: see `runs.capture`.

    Raises:
        UsageError: there is no capture.
        WeightsError: it cannot be read.
    """
    capture, _ = read_capture(folder)
    checkpoint = load(folder)
    criterion = training_criterion(checkpoint.model.form)
    images, targets = capture.batch.images, capture.batch.targets
    cpu = torch.device("cpu")
    torch.manual_seed(stable_seed(capture.settings["seed"], capture.process, capture.step))  # of dropout, as in the run
    with autocast(cpu, uses_bf16(capture.settings["precision"], cpu)):
        predicted = checkpoint.model.train()(images.pixels, images.padding).at_least_float32()
    shown = []
    for b, (name, image_id) in enumerate(zip(capture.files, capture.batch.image_ids.tolist(), strict=True)):
        one = Outputs(predicted.logits[:, b : b + 1], predicted.boxes[:, b : b + 1])
        own = Targets(targets.labels[b : b + 1], targets.boxes[b : b + 1], targets.count[b : b + 1])
        wrong = int((~(one.logits.isfinite().all(-1) & one.boxes.isfinite().all(-1))).sum())
        of_image = f" {wrong} predictions of this image are not finite, over all layers." if wrong else ""
        image = make_report_image(name, image_id, _picture(images, b, checkpoint), _drawable(one), own, criterion)
        shown.append(replace(image, note=f"{capture.error} {capture.cause}{of_image}"))
    return Explanation(
        shown,
        checkpoint.classes,
        checkpoint.model.prediction_sets,
        title=f"Step {capture.step}, at which training diverged",
        missing=["The model and its training are not shown for a captured step."],
    )


def _drawable(outputs: Outputs) -> Outputs:
    logits = outputs.logits.nan_to_num(-LARGEST_LOGIT).clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    return Outputs(logits, outputs.boxes.nan_to_num(NOTHING).clamp(0, 1))


def _picture(images: Images, b: int, checkpoint: Checkpoint) -> UInt8[np.ndarray, "H W 3"]:
    """An image of a batch as it was before it was normalised, without its padding."""
    inside = ~images.padding[b]
    height, width = int(inside[:, 0].sum()), int(inside[0].sum())
    mean, std = (torch.tensor(of)[:, None, None] for of in (checkpoint.mean, checkpoint.std))
    rgb = (images.pixels[b, :, :height, :width] * std + mean) * 255
    return rgb.nan_to_num(0).clamp(0, 255).round().byte().permute(1, 2, 0).numpy()
