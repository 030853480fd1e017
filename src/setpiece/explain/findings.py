"""The findings of a report: what to look at first, computed from the facts of its images and from the `Timeline`.

A kind of finding is a function, with its threshold before it: on one image (`image_findings`), on all images or on the
training (here).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from setpiece.explain.facts import of_pairs
from setpiece.explain.image_findings import IMAGE_FINDINGS, Finding, ImageContext
from setpiece.explain.matching_history import MatchingHistory
from setpiece.explain.report_image import ReportImage
from setpiece.explain.timeline import Timeline

__all__ = ["find_all"]

MAX_FINDINGS = 8
MAX_PER_KIND = 2
REPEAT_FACTOR = 0.75  # on the strength of a finding, for each stronger one of its kind


def find_all(
    images: Sequence[ReportImage],
    classes: Sequence[str],
    layers: Sequence[str],
    training: Timeline | None = None,
) -> list[Finding]:
    """The most striking findings, the strongest first: at most `MAX_FINDINGS`, and `MAX_PER_KIND` of one kind.

    Args:
        images: of the report.
        classes: the name of each class.
        layers: the name of each prediction set.
        training: of the model, if it is known.
    """
    matching = None if training is None else training.matching
    contexts = [ImageContext(index, image, classes) for index, image in enumerate(images)]
    by_kind = [[found for context in contexts for found in kind(context)] for kind in IMAGE_FINDINGS]
    by_kind += [list(mean_iou_by_layer(images, layers)), list(changes_between_layers(images, layers))]
    if matching is not None:
        by_kind += [list(match_stability(matching)), list(hard_images(matching))]
    by_kind += [list(concentrated_matches(images, layers, matching))]
    weighted = []
    for kind in by_kind:
        best = sorted(kind, key=lambda found: -found.strength)[:MAX_PER_KIND]
        weighted += [(found.strength * REPEAT_FACTOR**place, found) for place, found in enumerate(best)]
    return [found for _, found in sorted(weighted, key=lambda item: -item[0])[:MAX_FINDINGS]]


ENOUGH_PAIRS = 50  # for a mean or a share


def mean_iou_by_layer(images: Sequence[ReportImage], layers: Sequence[str]) -> Iterator[Finding]:
    """How the layers refine the matched boxes."""
    iou = torch.cat([of_pairs(image.facts.iou, image.facts.match) for image in images], 1)  # (L, all targets)
    pairs = torch.cat([image.facts.match >= 0 for image in images], 1).sum(1)
    if len(layers) > 1 and pairs.min() >= ENOUGH_PAIRS:
        means = zip((iou.sum(1) / pairs).tolist(), layers, strict=True)
        steps = ", ".join(f"{mean:.2f} ({layer})" for mean, layer in means)
        yield Finding(f"Mean IoU of the matched boxes, layer by layer: {steps}.", 0.45)


def changes_between_layers(images: Sequence[ReportImage], layers: Sequence[str]) -> Iterator[Finding]:
    """The two layers between which most targets change their query."""
    match = torch.cat([image.facts.match for image in images], 1)  # (L, all targets)
    if len(layers) < 2 or match.shape[1] < ENOUGH_PAIRS:
        return
    share, step = (match.diff(dim=0) != 0).double().mean(1).max(0)
    before, after = layers[int(step)], layers[int(step) + 1]
    if share > 0:
        most = ", more than between any other two layers" if len(layers) > 2 else ""
        text = f"{share:.0%} of {match.shape[1]} targets change their matched query from {before} to {after}{most}."
        yield Finding(text, 0.4 + 0.4 * share.item(), layer=int(step) + 1)


DOMINANT_SHARE = 0.7  # of the matches
FEW_QUERIES = 0.25  # of all queries: up to this share, they count as few


def concentrated_matches(
    images: Sequence[ReportImage], layers: Sequence[str], matching: MatchingHistory | None
) -> Iterator[Finding]:
    """Few object queries that have most of the matches in the last layer; in training, if that was recorded."""
    if matching is not None:
        usage, when = matching.usage[-1], f"in the last {matching.recent_epochs} epochs of training"
    else:
        match = torch.cat([image.facts.match[-1] for image in images])
        if len(match) < ENOUGH_PAIRS:
            return
        usage, when = np.bincount(match[match >= 0], minlength=images[0].facts.boxes.shape[1]), "on these images"
    done = np.sort(usage)[::-1].cumsum() / max(usage.sum(), 1e-9)
    busiest = int((done < DOMINANT_SHARE).sum()) + 1
    if busiest <= FEW_QUERIES * len(usage):
        share = f"{done[busiest - 1]:.0%}"
        yield Finding(
            f"{busiest} of {len(usage)} object queries get {share} of the matches ({layers[-1]}) {when}.", 0.55
        )


def match_stability(matching: MatchingHistory) -> Iterator[Finding]:
    """How far the match of the probe images has settled at the end of training."""
    changes, epochs = matching.probe_changes[:, -1], matching.snapshot_epochs
    known = np.isfinite(changes).nonzero()[0]
    if len(known) > 1:
        first, last = known[0], known[-1]
        text = (
            f"At the end of training (epoch {epochs[last]}), {changes[last]:.0%} of the probe images' targets are "
            f"matched to another query than in the snapshot before; in epoch {epochs[first]} it was "
            f"{changes[first]:.0%}."
        )
        yield Finding(text, 0.5)


FEWEST_EPOCHS = 3  # of the last ones


def hard_images(matching: MatchingHistory) -> Iterator[Finding]:
    """Training images whose loss is among the highest in several of the last epochs."""
    for image in matching.hard_images:
        if image.epochs >= FEWEST_EPOCHS and math.isfinite(image.loss):
            text = (
                f"{image.name} (training image): its loss is among the highest in {image.epochs} of the last "
                f"{matching.recent_epochs} epochs ({image.loss:.2f} in the last one). Are its labels right?"
            )
            yield Finding(text, 0.6 * (image.epochs / matching.recent_epochs))
