"""A recording -> how the matching changed during training.

The axes are called

    E epochs     L layers (prediction sets)     Q object queries     S sampled training images
    A snapshots of the probe images     N snapshots kept, of them     T targets of a probe

A query is followed by its origin (see `recording.Snapshot`): two snapshots matched a target to the same query if the
origin is the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from setpiece.runs.recording import Epoch, Header, Probe, Recording, Snapshot
from setpiece.runs.recording_files import probe_picture

__all__ = ["HardImage", "MatchingHistory", "ProbeHistory", "matching_history"]

RECENT_EPOCHS = 5  # the last epochs, which say how often each query is matched now
SAMPLED_SNAPSHOTS = 6  # the last snapshots, whose sampled boxes are kept
MAX_SNAPSHOTS = 40
MAX_NUMBERS = 150_000  # of all probes in all kept snapshots: about 0.8 MB on the page


@dataclass(frozen=True)
class ProbeHistory:
    """The matched queries of one probe image over the snapshots.

    Where a target has no query, `origins` and `queries` are -1, and the other fields have no meaning.

    Attributes:
        probe: the image and its T targets.
        picture: a small JPEG of it, None where there is none.
        boxes: predicted by the matched query, cxcywh in [0, 1].
        origins: of the matched query, see `recording.Snapshot`.
        queries: the number of the matched query.
        best_labels: its most likely class.
        scores: the probability of that class, in [0, 1].
        costs: of the pair, the terms `records.TERMS` without weights.
    """

    probe: Probe
    picture: bytes | None
    boxes: Float32[np.ndarray, "N L T 4"]
    origins: Int64[np.ndarray, "N L T"]
    queries: Int64[np.ndarray, "N L T"]
    best_labels: Int64[np.ndarray, "N L T"]
    scores: Float32[np.ndarray, "N L T"]
    costs: Float32[np.ndarray, "N L T 3"]

    def take(self, kept: Int64[np.ndarray, " N"]) -> ProbeHistory:
        """The same with these snapshots alone."""
        return replace(
            self,
            boxes=self.boxes[kept],
            origins=self.origins[kept],
            queries=self.queries[kept],
            best_labels=self.best_labels[kept],
            scores=self.scores[kept],
            costs=self.costs[kept],
        )


@dataclass(frozen=True)
class HardImage:
    """A training image with one of the highest losses in the last epoch.

    Attributes:
        name: of its file.
        image_id: the data set's own.
        loss: in the last epoch, weighted; NaN or infinite where it was so.
        epochs: in how many of the last epochs (`MatchingHistory.recent_epochs`) it was among the highest.
    """

    name: str
    image_id: int
    loss: float
    epochs: int


@dataclass(frozen=True)
class MatchingHistory:
    """How the matching changed during training.

    Attributes:
        header: what the run is.
        epochs: the number of each epoch.
        seconds: of training done at its end.
        instability: share of targets that are matched to another query than when they were last seen; NaN where none
            was seen before.
        agreement: share of targets that are matched to the same query as in the last layer.
        agreement_between: the same between any two layers, in the last epoch.
        terms: the loss terms `records.TERMS` without weights.
        usage: share of the matched targets that each query had in the last `recent_epochs` epochs.
        recent_epochs: how many epochs that are, at most `RECENT_EPOCHS`.
        box_mean: mean of the boxes that each query of the last layer predicted in the last epoch, cxcywh in [0, 1].
        box_deviation: their standard deviation.
        sample: boxes that the queries of the last layer predicted for some of the latest training images.
        sample_matched: True where the query was matched there.
        hard_images: the highest losses of the last epoch, the highest first.
        snapshot_epochs: the epoch of each snapshot.
        probe_changes: share of the targets of all probes that are matched to another query than in the snapshot before;
            NaN for the first snapshot.
        kept_epochs: the epochs of the kept snapshots: at most `MAX_SNAPSHOTS`, evenly spaced, with the first and the
            last.
        probes: each probe image in the kept snapshots.
    """

    header: Header
    epochs: Int64[np.ndarray, " E"]
    seconds: Float64[np.ndarray, " E"]
    instability: Float32[np.ndarray, "E L"]
    agreement: Float32[np.ndarray, "E L"]
    agreement_between: Float32[np.ndarray, "L L"]
    terms: Float32[np.ndarray, "E 3 L"]
    usage: Float32[np.ndarray, "L Q"]
    recent_epochs: int
    box_mean: Float32[np.ndarray, "Q 4"]
    box_deviation: Float32[np.ndarray, "Q 4"]
    sample: Float32[np.ndarray, "S Q 4"]
    sample_matched: Bool[np.ndarray, "S Q"]
    hard_images: list[HardImage]
    snapshot_epochs: Int64[np.ndarray, " A"]
    probe_changes: Float32[np.ndarray, "A L"]
    kept_epochs: Int64[np.ndarray, " N"]
    probes: list[ProbeHistory]


def matching_history(recording: Recording) -> MatchingHistory:
    """Compute the history from the counts and snapshots of a recording.

    Args:
        recording: with at least one epoch that has images.
    """
    epochs = [epoch for epoch in recording.epochs if epoch.images]
    recent, last = epochs[-RECENT_EPOCHS:], epochs[-1]
    agreement = np.stack([_share(epoch.agreement, max(epoch.targets, 1)) for epoch in epochs])  # (E, L, L)
    matched = np.sum([epoch.matched for epoch in recent], 0)  # (L, Q)
    with_snapshot = [epoch for epoch in recording.epochs if epoch.snapshot is not None]
    snapshots = [epoch.snapshot for epoch in with_snapshot if epoch.snapshot is not None]
    sampled = [snapshot for snapshot in snapshots if len(snapshot.sample)][-SAMPLED_SNAPSHOTS:]
    Q = recording.header.queries
    probes = [_probe_history(recording, index, snapshots) for index in range(len(recording.header.probes))]
    snapshot_epochs = np.array([epoch.epoch for epoch in with_snapshot], np.int64)
    kept = _kept_snapshots(recording.header, len(snapshots))
    return MatchingHistory(
        header=recording.header,
        epochs=np.array([epoch.epoch for epoch in epochs]),
        seconds=np.array([epoch.seconds for epoch in epochs]),
        instability=np.stack([_share(epoch.changed, epoch.compared) for epoch in epochs]),
        agreement=agreement[:, :, -1],
        agreement_between=agreement[-1],
        terms=np.stack([epoch.terms for epoch in epochs]),
        usage=(matched / matched.sum(1, keepdims=True).clip(1)).astype(np.float32),
        recent_epochs=len(recent),
        box_mean=last.box_mean,
        box_deviation=last.box_deviation,
        sample=np.concatenate([np.zeros((0, Q, 4), np.float32), *(one.sample for one in sampled)]),
        sample_matched=np.concatenate([np.zeros((0, Q), bool), *(one.sample_matched for one in sampled)]),
        hard_images=_hard_images(recent),
        snapshot_epochs=snapshot_epochs,
        probe_changes=_probe_changes(probes, len(snapshots), len(recording.header.layers)),
        kept_epochs=snapshot_epochs[kept],
        probes=[probe.take(kept) for probe in probes],
    )


def _share(part: np.ndarray, whole: int) -> np.ndarray:
    """`part / whole`, NaN where the whole is 0."""
    return (part / (whole or np.nan)).astype(np.float32)


def _hard_images(recent: list[Epoch]) -> list[HardImage]:
    often = Counter(image for epoch in recent for image in epoch.worst_images.tolist())
    last = recent[-1]
    rows = zip(last.worst_names, last.worst_images.tolist(), last.worst_losses.tolist(), strict=True)
    return [HardImage(name, image, loss, often[image]) for name, image, loss in rows]


def _probe_history(recording: Recording, index: int, snapshots: list[Snapshot]) -> ProbeHistory:
    """The probe of this index in all snapshots."""
    probe, picture = recording.header.probes[index], probe_picture(recording.folder, index)
    N, L, T = len(snapshots), len(recording.header.layers), len(probe.labels)
    history = ProbeHistory(
        probe=probe,
        picture=picture.read_bytes() if picture.is_file() else None,
        boxes=np.zeros((N, L, T, 4), np.float32),
        origins=np.full((N, L, T), -1),
        queries=np.full((N, L, T), -1),
        best_labels=np.zeros((N, L, T), np.int64),
        scores=np.zeros((N, L, T), np.float32),
        costs=np.zeros((N, L, T, 3), np.float32),
    )
    layer = np.arange(L)[:, None]
    for n, snapshot in enumerate(snapshots):
        match = snapshot.match[index, :, :T].astype(np.int64)  # (L, T)
        matched, place = match >= 0, match.clip(0)
        history.boxes[n] = snapshot.boxes[index, layer, place] * matched[..., None]
        history.origins[n] = np.where(matched, snapshot.origins[index, place], -1)
        history.queries[n] = np.where(matched, snapshot.queries[index, place], -1)
        history.best_labels[n] = snapshot.labels[index, layer, place]
        history.scores[n] = snapshot.scores[index, layer, place] * matched
        history.costs[n] = snapshot.costs[index, :, :T]
    return history


def _probe_changes(probes: list[ProbeHistory], A: int, L: int) -> Float32[np.ndarray, "A L"]:
    origins = np.concatenate([np.zeros((A, L, 0), np.int64), *(probe.origins for probe in probes)], 2)
    changes = np.full((A, L), np.nan, np.float32)
    changes[1:] = _share((origins[1:] != origins[:-1]).sum(2), origins.shape[2])
    return changes


def _kept_snapshots(header: Header, count: int) -> Int64[np.ndarray, " N"]:
    """The places of the snapshots to keep, so that all of them together stay small."""
    numbers = 11 * len(header.layers) * sum(len(probe.labels) for probe in header.probes)  # of one snapshot
    most = max(2, MAX_NUMBERS // max(1, numbers))
    return np.array(_spread(count, min(most, MAX_SNAPSHOTS)), np.int64)


def _spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, evenly spaced, with the first and the last.

    Example:
        >>> _spread(3, 5), _spread(9, 3)
        ([0, 1, 2], [0, 4, 8])
    """
    return sorted({round(place) for place in np.linspace(0, count - 1, min(most, count)).tolist()})
