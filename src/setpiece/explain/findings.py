"""Facts -> sentences: what to look at first, computed from the numbers alone.

A kind of finding is a function, with its threshold beside it: of one image (`kinds.py`), of all images, or of the
training (here).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from setpiece.explain.arrays import unpack
from setpiece.explain.facts import of_pairs
from setpiece.explain.image_findings import OF_AN_IMAGE, Finding, View
from setpiece.explain.report_image import ReportImage

MOST = 8  # a handful
MOST_OF_A_KIND = 2
ONCE_MORE = 0.75  # what the strength of a finding is worth after a stronger one of its kind


def find_all(
    images: Sequence[ReportImage],
    classes: Sequence[str],
    layers: Sequence[str],
    training: dict[str, Any] | None = None,
) -> list[Finding]:
    """The most striking findings, the strongest first: at most `MOST`, and `MOST_OF_A_KIND` of one kind.

    Args:
        classes: the name of each class.
        layers: the name of each prediction set.
        training: what `timeline` says of the model's training.
    """
    matching = (training or {}).get("matching")
    views = [View(index, image, classes) for index, image in enumerate(images)]
    kinds = [[found for view in views for found in kind(view)] for kind in OF_AN_IMAGE]
    kinds += [list(kind(images, layers)) for kind in (refinement, restlessness)]
    kinds += [list(kind(matching)) for kind in (settling, hard_images) if matching is not None]
    kinds += [list(busy_slots(images, layers, matching))]
    ranked = []
    for kind in kinds:
        best = sorted(kind, key=lambda found: -found.strength)[:MOST_OF_A_KIND]
        ranked += [(found.strength * ONCE_MORE**place, found) for place, found in enumerate(best)]
    return [found for _, found in sorted(ranked, key=lambda item: -item[0])[:MOST]]


ENOUGH_PAIRS = 50  # to speak of shares


def refinement(images: Sequence[ReportImage], layers: Sequence[str]) -> Iterator[Finding]:
    """What the layers make of the boxes."""
    iou = torch.cat([of_pairs(image.facts.iou, image.facts.match) for image in images], 1)  # (L, all targets)
    pairs = torch.cat([image.facts.match >= 0 for image in images], 1).sum(1)
    if len(layers) > 1 and pairs.min() >= ENOUGH_PAIRS:
        means = zip((iou.sum(1) / pairs).tolist(), layers, strict=True)
        steps = ", ".join(f"{mean:.2f} ({layer})" for mean, layer in means)
        yield Finding(f"The matched boxes have a mean IoU of {steps}.", 0.45)


def restlessness(images: Sequence[ReportImage], layers: Sequence[str]) -> Iterator[Finding]:
    """Where most targets change their query from one layer to the next."""
    match = torch.cat([image.facts.match for image in images], 1)  # (L, all targets)
    if len(layers) < 2 or match.shape[1] < ENOUGH_PAIRS:
        return
    share, step = (match.diff(dim=0) != 0).double().mean(1).max(0)
    before, after = layers[int(step)], layers[int(step) + 1]
    if share > 0:
        where = f"from {before} to {after}, the most of all steps"
        text = f"{share:.0%} of {match.shape[1]} targets get another query {where}."
        yield Finding(text, 0.4 + 0.4 * share.item(), layer=int(step) + 1)


BUSY_SHARE = 0.7  # of the matching, done by the busiest slots
FEW_SLOTS = 0.25  # of all slots: so many or fewer are few


def busy_slots(
    images: Sequence[ReportImage], layers: Sequence[str], matching: dict[str, Any] | None
) -> Iterator[Finding]:
    """Few query slots that do most of the matching in the last layer, in training if that was recorded."""
    if matching is not None:
        usage, when = unpack(matching["usage"])[-1], f"in the last {matching['usage_epochs']} epochs of training"
    else:
        match = torch.cat([image.facts.match[-1] for image in images])
        if len(match) < ENOUGH_PAIRS:
            return
        usage, when = np.bincount(match[match >= 0], minlength=images[0].facts.boxes.shape[1]), "on these images"
    done = np.sort(usage)[::-1].cumsum() / max(usage.sum(), 1e-9)
    busiest = int((done < BUSY_SHARE).sum()) + 1
    if busiest <= FEW_SLOTS * len(usage):
        text = (
            f"{busiest} of {len(usage)} query slots do {done[busiest - 1]:.0%} of the matching ({layers[-1]}) {when}."
        )
        yield Finding(text, 0.55)


def settling(matching: dict[str, Any]) -> Iterator[Finding]:
    """How far the match of the probe images came to rest."""
    moved, epochs = unpack(matching["moved"])[:, -1], unpack(matching["moved_epochs"])
    known = np.isfinite(moved).nonzero()[0]
    if len(known) > 1:
        first, last = known[0], known[-1]
        text = (
            f"At the end of training (epoch {epochs[last]}) {moved[last]:.0%} of the probe images' targets had another "
            f"query than at the look before; in epoch {epochs[first]} it was {moved[first]:.0%}."
        )
        yield Finding(text, 0.5)


ALWAYS_WORST = 3  # of the last epochs


def hard_images(matching: dict[str, Any]) -> Iterator[Finding]:
    """Training images whose loss is among the highest again and again."""
    for image in matching["worst"]:
        if image["epochs"] >= ALWAYS_WORST and image["loss"] is not None:
            share = image["epochs"] / matching["usage_epochs"]
            text = (
                f"{image['name']} (training): its loss is among the highest in {image['epochs']} of the last "
                f"{matching['usage_epochs']} epochs, {image['loss']:.2f} in the last one. Are its labels right?"
            )
            yield Finding(text, 0.6 * share)
