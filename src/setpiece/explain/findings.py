"""Facts -> sentences: what to look at first, computed from the numbers alone.

A kind of finding is a function with its threshold beside it, of one image (`kinds.py`) or of all images (here).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch

from setpiece.explain.facts import of_pairs
from setpiece.explain.kinds import OF_AN_IMAGE, Finding, View
from setpiece.explain.shown import ShownImage

MOST = 8  # a handful
MOST_OF_A_KIND = 2
BUSY_SHARE = 0.7  # of the matching, done by the busiest slots
FEW_SLOTS = 0.25  # of all slots: that many or fewer are few
ENOUGH_PAIRS = 50  # to speak of shares


def find_all(images: Sequence[ShownImage], classes: Sequence[str], layers: Sequence[str]) -> list[Finding]:
    """The most striking findings, the strongest first: at most `MOST`, and `MOST_OF_A_KIND` of one kind.

    Args:
        classes: the name of each class.
        layers: the name of each prediction set.
    """
    views = [View(index, image, classes) for index, image in enumerate(images)]
    kinds = [[found for view in views for found in kind(view)] for kind in OF_AN_IMAGE]
    kinds += [list(kind(images, layers)) for kind in (refinement, restlessness, busy_slots)]
    best = [found for kind in kinds for found in _strongest(kind, MOST_OF_A_KIND)]
    return _strongest(best, MOST)


def _strongest(findings: Sequence[Finding], count: int) -> list[Finding]:
    return sorted(findings, key=lambda found: -found.strength)[:count]


def refinement(images: Sequence[ShownImage], layers: Sequence[str]) -> Iterator[Finding]:
    """What the layers make of the boxes."""
    iou = [of_pairs(image.facts.iou, image.facts.match) for image in images]
    if iou and len(layers) > 1 and (mean := torch.cat(iou, 1).mean(1)).numel() and not mean.isnan().any():
        steps = ", ".join(f"{value:.2f} ({layer})" for value, layer in zip(mean.tolist(), layers, strict=True))
        yield Finding(f"The matched boxes have a mean IoU of {steps}.", 0.45)


def restlessness(images: Sequence[ShownImage], layers: Sequence[str]) -> Iterator[Finding]:
    """How many targets change their query from layer to layer."""
    matches = [image.facts.match for image in images]
    targets = sum(match.shape[1] for match in matches)
    if targets < ENOUGH_PAIRS or len(layers) < 2:
        return
    changed = (torch.cat(matches, 1).diff(dim=0) != 0).double().mean(1).tolist()
    layer, share = max(enumerate(changed, 1), key=lambda item: item[1])
    if share > 0:
        yield Finding(
            f"Most targets change hands from {layers[layer - 1]} to {layers[layer]}: {share:.0%} of {targets} get "
            "another query there.",
            0.4 + 0.4 * share,
            layer=layer,
        )


def busy_slots(images: Sequence[ShownImage], layers: Sequence[str]) -> Iterator[Finding]:
    """Few query slots that do most of the matching, in the final layer."""
    count = Counter(query for image in images for query in image.facts.match[-1].tolist() if query >= 0)
    pairs = count.total()
    if pairs < ENOUGH_PAIRS:
        return
    busiest, done = 0, 0
    for busiest, (_, times) in enumerate(count.most_common(), 1):  # noqa: B007
        done += times
        if done >= BUSY_SHARE * pairs:
            break
    slots = images[0].facts.boxes.shape[1]
    if busiest <= FEW_SLOTS * slots:
        yield Finding(f"{busiest} of {slots} query slots do {done / pairs:.0%} of the matching ({layers[-1]}).", 0.5)
