"""A run's folder -> the `training` part of the payload: how matching, losses and metrics moved while it was trained.

With E epochs, L layers, Q query slots, A looks at the probes of which N are kept, T targets of a probe, S images:

```
{ "metrics": null | {            # from metrics.jsonl, one entry per epoch; null where there is none
      "epoch": [int], "seconds": [s], "loss", "AP", "AP50": [number|null] },
  "matching": null | {           # from recording/
      "preset": str, "slots": "learned"|"ranked", "layers": [str], "queries": Q, "images": int, "split": str,
      "epochs": i4 (E,), "seconds": f4 (E,),
      "instability": f4 (E,L),   # share of targets with another query slot than when last seen; NaN where none is known
      "agreement": f4 (E,L),     # share of targets whose slot is that of the last layer
      "agreement_between": f4 (L,L),                  # the same between any two layers, in the last epoch
      "terms": {"class", "l1", "giou": f4 (E,L)},     # of the loss, without weights
      "usage": f4 (L,Q),         # share of the matched targets that each slot had, over the last epochs;
      "usage_epochs": int,       # so many
      "box_mean", "box_deviation": f4 (Q,4),          # of each slot's predictions in the last epoch, cxcywh
      "sample": u1 (S,Q,4),      # boxes (255 is 1) predicted by each slot on some of the latest images;
      "sample_matched": i4 (S,Q),                     # 1 where the slot was matched there
      "worst": [{"name", "id", "loss", "epochs"}],    # highest loss in the last epoch; in how many of the last
                                                      # `usage_epochs` epochs the image was among the highest
      "moved": f4 (A,L),         # share of all probes' targets with another query than at the look before (NaN: none),
      "moved_epochs": i4 (A,),   # for every look
      "looks": i4 (N,),          # the epochs of the looks that are kept
      "probes": [{"name", "width", "height", "src": data URL|null, "labels": [int], "targets": f4 (T,4),
          "boxes": f4 (N,L,T,4), "origins", "queries": i4 (N,L,T),     # of the matched query; -1 where there is none
          "best_labels": i4 (N,L,T), "scores": f4 (N,L,T),             # its most likely class
          "costs": f4 (N,L,T,3) }]                                     # class, L1, GIoU, without weights
  } }
```

A query is followed by its origin: the slot itself where slots are learned, the cell that it started from where they
are ranks (`setpiece.runs.recording`). Where a recording is long, its snapshots are thinned out evenly, the first
and last kept.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from setpiece.errors import DataError
from setpiece.explain.arrays import array, rounded
from setpiece.records import TERMS
from setpiece.runs import recording
from setpiece.runs.layout import RunFolder
from setpiece.runs.recording import Epoch, Header, Recording, Snapshot

RECENT = 5  # epochs that say what the slots do now
SAMPLED = 6  # looks whose sampled boxes are shown
MOST_LOOKS = 40
MAX_NUMBERS = 150_000  # of all probes over all looks: about 0.8 MB on the page
CURVES = ("loss", "AP", "AP50")


def read_timeline(run: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """What can be read of a run's training, and a sentence for everything that cannot.

    Args:
        run: the folder that `setpiece train` wrote; any other folder has nothing to show.
    """
    missing: list[str] = []
    folder = RunFolder(run)
    metrics = _read_metrics(folder.metrics, missing)
    matching = None
    try:
        found = recording.read(folder.recording)
        missing += found.damaged
        if any(epoch.images for epoch in found.epochs):
            matching = _matching(found)
        else:
            missing.append("The recording holds no whole epoch, so there is no timeline of the matching.")
    except DataError as error:
        missing.append(f"There is no timeline of the matching. {error}")
    return ({"metrics": metrics, "matching": matching} if metrics or matching else None), missing


def _read_metrics(file: Path, missing: list[str]) -> dict[str, Any] | None:
    if not file.is_file():
        missing.append(f"There is no {file}, so neither losses nor AP over time are shown.")
        return None
    rows, damaged = [], 0
    for line in file.read_text(errors="replace").splitlines():
        try:
            row = json.loads(line)
            rows.append({name: _number(row.get(name)) for name in ("seconds", *CURVES)} | {"epoch": int(row["epoch"])})
        except (ValueError, KeyError, TypeError, AttributeError):
            damaged += 1
    if damaged:
        missing.append(f"{damaged} lines of {file.name} are damaged and left out.")
    if not rows:
        return None
    return {name: [row[name] for row in rows] for name in ("epoch", "seconds", *CURVES)}


def _number(value: Any) -> float | None:
    return rounded(float(value)) if isinstance(value, int | float) and np.isfinite(value) else None


def _matching(found: Recording) -> dict[str, Any]:
    header = found.header
    epochs = [epoch for epoch in found.epochs if epoch.images]
    agreement = np.stack([epoch.agreement / max(epoch.targets, 1) for epoch in epochs])  # (E, L, L)
    return {
        "preset": header.preset,
        "slots": header.slots,
        "layers": header.layers,
        "queries": header.queries,
        "images": header.images,
        "split": header.split,
        "epochs": array(np.array([epoch.epoch for epoch in epochs])),
        "seconds": array(np.array([epoch.seconds for epoch in epochs])),
        "instability": array(np.stack([_share(epoch.changed, epoch.compared) for epoch in epochs])),
        "agreement": array(agreement[:, :, -1]),
        "agreement_between": array(agreement[-1]),
        "terms": {name: array(np.stack([epoch.terms[i] for epoch in epochs])) for i, name in enumerate(TERMS)},
        **_slots(epochs, [epoch.snapshot for epoch in found.epochs if epoch.snapshot is not None]),
        **_looks(found.folder, header, [epoch for epoch in found.epochs if epoch.snapshot is not None]),
    }


def _share(part: np.ndarray, whole: int) -> np.ndarray:
    return part / whole if whole else np.full(part.shape, np.nan)


def _slots(epochs: list[Epoch], snapshots: list[Snapshot]) -> dict[str, Any]:
    """What the slots do now, and the images that the loss is highest on."""
    recent, last = epochs[-RECENT:], epochs[-1]
    matched = np.sum([epoch.matched for epoch in recent], 0)  # (L, Q)
    latest = [snapshot for snapshot in snapshots if len(snapshot.sample)][-SAMPLED:]
    boxes = np.concatenate([np.zeros((0, *last.box_mean.shape)), *(one.sample for one in latest)])
    flags = np.concatenate([np.zeros((0, boxes.shape[1])), *(one.sample_matched for one in latest)])
    often = Counter(image for epoch in recent for image in epoch.worst_images.tolist())
    worst = zip(last.worst_names, last.worst_images.tolist(), last.worst_losses.tolist(), strict=True)
    return {
        "usage": array(matched / matched.sum(1, keepdims=True).clip(1)),
        "usage_epochs": len(recent),
        "box_mean": array(last.box_mean),
        "box_deviation": array(last.box_deviation),
        "sample": array(np.rint(boxes * 255).astype(np.uint8)),
        "sample_matched": array(flags.astype(np.int32)),
        "worst": [
            {"name": name, "id": image, "loss": _number(loss), "epochs": often[image]} for name, image, loss in worst
        ],
    }


def _looks(folder: Path, header: Header, epochs: list[Epoch]) -> dict[str, Any]:
    """The probes over time."""
    snapshots = [epoch.snapshot for epoch in epochs if epoch.snapshot is not None]
    L, targets = len(header.layers), [len(probe.labels) for probe in header.probes]
    followed = [[_follow(snapshot, p, T) for p, T in enumerate(targets)] for snapshot in snapshots]  # looks × probes
    origins = [np.concatenate([one["origins"] for one in look], 1) for look in followed]  # (L, all targets) each
    moved = [np.full(L, np.nan)] if origins else []
    moved += [_share((now != before).sum(1), now.shape[1]) for before, now in pairwise(origins)]
    kept = _thin(len(snapshots), max(2, MAX_NUMBERS // max(1, 11 * L * sum(targets))))
    return {
        "looks": array(np.array([epochs[n].epoch for n in kept], np.int64)),
        "moved": array(np.stack(moved) if moved else np.zeros((0, L))),
        "moved_epochs": array(np.array([epoch.epoch for epoch in epochs], np.int64)),
        "probes": [
            {
                "name": probe.name,
                "width": probe.width,
                "height": probe.height,
                "src": _picture(folder / f"probe-{p}.jpg"),
                "labels": probe.labels,
                "targets": array(np.array(probe.boxes).reshape(-1, 4)),
                **{name: array(np.stack([followed[n][p][name] for n in kept])) for name in FOLLOWED if kept},
            }
            for p, probe in enumerate(header.probes)
        ],
    }


FOLLOWED = ("boxes", "origins", "queries", "best_labels", "scores", "costs")


def _follow(snapshot: Snapshot, p: int, T: int) -> dict[str, np.ndarray]:
    """The query of each of a probe's T targets, in every layer."""
    place = snapshot.match[p, :, :T].astype(np.int64)  # (L, T)
    there, at = place >= 0, place.clip(0)
    layer = np.arange(len(place))[:, None]
    return {
        "boxes": snapshot.boxes[p, layer, at] * there[..., None],
        "origins": np.where(there, snapshot.origins[p, at], -1),
        "queries": np.where(there, snapshot.queries[p, at], -1),
        "best_labels": snapshot.labels[p, layer, at].astype(np.int32),
        "scores": snapshot.scores[p, layer, at] * there,
        "costs": snapshot.costs[p, :, :T],
    }


def _thin(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, evenly, with the first and the last.

    Example:
        >>> _thin(3, 5), _thin(9, 3)
        ([0, 1, 2], [0, 4, 8])
    """
    most = min(most, MOST_LOOKS, count)
    return sorted({round(place) for place in np.linspace(0, count - 1, most).tolist()})


def _picture(file: Path) -> str | None:
    if not file.is_file():
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(file.read_bytes()).decode()}"
