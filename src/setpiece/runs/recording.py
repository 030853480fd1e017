"""The records of a recording: what training keeps of its matching, epoch by epoch.

A recording is a `Header`, which says what the run is, and an `Epoch` for every epoch. Now and then an epoch comes with
a `Snapshot`: the predictions of the exponential moving average (EMA) of the model for a few probe images. How these
records are stored is in `setpiece.runs.recording_files`. The axes are called

    L layers (prediction sets)     Q object queries     P probe images     S sampled training images
    T most targets of a probe      K queries kept of each probe's prediction     M images of highest loss

Boxes are cxcywh, in fractions of the image. With several processes, an epoch counts the images of the main process
alone: its share of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Int16, Int32, Int64

from setpiece.records import Form

__all__ = ["Epoch", "Header", "Probe", "Recording", "Snapshot"]


@dataclass(frozen=True)
class Probe:
    """An image that every snapshot predicts again.

    Attributes:
        image_id: the data set's own.
        name: of the image file.
        width: of the image, in pixels.
        height: of the image, in pixels.
        labels: class of each target.
        boxes: cxcywh of each target, in [0, 1].
    """

    image_id: int
    name: str
    width: int
    height: int
    labels: list[int]
    boxes: list[list[float]]


@dataclass(frozen=True)
class Header:
    """What stays the same during a run.

    Attributes:
        preset: of the model.
        classes: name of each class.
        form: of the class term, "softmax" or "sigmoid".
        layers: name of each of the L prediction sets, in order.
        queries: Q.
        slots: what query number q is. "learned": the same learned vector for every image, as in DETR. "top-k": the
            encoder cell with the q-th highest score of each image (top-k query selection); the number is then a rank,
            and says nothing of where or what the cell is.
        images: number of training images.
        split: that the probes are drawn from.
        probes: the P probe images.
    """

    preset: str
    classes: list[str]
    form: Form
    layers: list[str]
    queries: int
    slots: Literal["learned", "top-k"]
    images: int
    split: str
    probes: list[Probe]


@dataclass(frozen=True)
class Snapshot:
    """What the EMA model predicts for the probes at the end of an epoch, and where all queries predict boxes.

    Attributes:
        queries: the numbers of the kept queries: those that are matched in some layer, then the most confident ones.
            Their order differs between snapshots.
        origins: where each kept query comes from: its own number ("learned"), or the index of its encoder cell, counted
            through all feature maps ("top-k"). Queries of the same origin are the same query in every snapshot.
        boxes: predicted boxes; stored in steps of 1/65535.
        labels: the most likely class of each.
        scores: its probability, in [0, 1]; stored as float16.
        match: the query of each target, as its place among the kept queries; -1 for padding, or without a query.
        costs: of each matched pair, `records.TERMS` without weights, from `setloss.pair_costs`; 0 without a pair.
        sample: boxes that all queries of the last layer predicted for S augmented training images since the snapshot
            before; stored in steps of 1/255.
        sample_matched: True where that query was matched.
    """

    queries: Int32[np.ndarray, "P K"]
    origins: Int32[np.ndarray, "P K"]
    boxes: Float32[np.ndarray, "P L K 4"]
    labels: Int16[np.ndarray, "P L K"]
    scores: Float32[np.ndarray, "P L K"]
    match: Int16[np.ndarray, "P L T"]
    costs: Float32[np.ndarray, "P L T 3"]
    sample: Float32[np.ndarray, "S Q 4"]
    sample_matched: Bool[np.ndarray, "S Q"]


@dataclass(frozen=True)
class Epoch:
    """What training counted in an epoch.

    Attributes:
        epoch: its number, from 1.
        step: optimiser steps done at its end.
        seconds: of training done at its end.
        images: number of images trained on in this epoch.
        targets: their targets, after augmentation.
        compared: the targets whose query is known from an earlier epoch. Augmentation must have kept all targets of the
            image both times: otherwise it is not known which target is which.
        changed: how many of `compared` are matched to another query than in that earlier epoch.
        agreement: how many of `targets` are matched to the same query in both layers.
        matched: how often each query was matched.
        terms: the loss terms `records.TERMS` without weights, mean over steps.
        box_mean: mean of the boxes that each query of the last layer predicted, matched or not.
        box_deviation: their standard deviation.
        worst_losses: the highest losses of single images in the last layer, each image as a batch of its own, weighted;
            the highest first.
        worst_images: the ids of these images.
        worst_names: the names of their files.
        snapshot: None where no snapshot was taken after this epoch.
    """

    epoch: int
    step: int
    seconds: float
    images: int
    targets: int
    compared: int
    changed: Int64[np.ndarray, " L"]
    agreement: Int64[np.ndarray, "L L"]
    matched: Int64[np.ndarray, "L Q"]
    terms: Float32[np.ndarray, "3 L"]
    box_mean: Float32[np.ndarray, "Q 4"]
    box_deviation: Float32[np.ndarray, "Q 4"]
    worst_losses: Float32[np.ndarray, " M"]
    worst_images: Int64[np.ndarray, " M"]
    worst_names: list[str]
    snapshot: Snapshot | None


@dataclass(frozen=True)
class Recording:
    """A recording, as far as its files can be read.

    Attributes:
        folder: that it was read from.
        header: what the run is.
        epochs: in order. The first has no images: it holds the snapshot from before the first step.
        damaged: a sentence for every file that could not be read.
    """

    folder: Path
    header: Header
    epochs: list[Epoch]
    damaged: list[str]
