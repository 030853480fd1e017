"""What training records of its matching: the files, written and read.

A run folder holds `recording/`, with these files, each whole at any time and none of them pickled:

```
header.json                 what the run is: see `Header` and `Probe`; "format" is 1
probe-0.jpg, probe-1.jpg    the probe images, at most 320 pixels a side
epoch-000001.safetensors    what one epoch left: see `Epoch`, and `Snapshot` where the probes were looked at
```

An epoch's file is in the safetensors layout (little endian). Its metadata are `format`, `epoch`, `step`, `seconds`,
`images`, `targets`, `compared` and `worst_names` (JSON), as text; its arrays are the fields of `Epoch` by their names,
and those of `Snapshot` behind `snapshot.`, in the types and shapes of the tables `EPOCH` and `SNAPSHOT`. A run begins
with a file of no images, numbered by the epochs done before, usually 0. There

    L layers (prediction sets)     Q query slots     P probes     S sampled images
    T most targets of a probe      K queries that are kept of each probe's prediction     M images of highest loss

Boxes are cxcywh, in fractions of the image. An epoch counts the images that the main process trained on: with several
processes, its share of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Int16, Int32, Int64
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from setpiece.atomic import write_whole
from setpiece.errors import DataError
from setpiece.records import Form

FORMAT = 1
HEADER = "header.json"
COUNTS = ("epoch", "step", "images", "targets", "compared")


@dataclass(frozen=True)
class Probe:
    """One of the images that are looked at again and again.

    Attributes:
        name: of the image file.
        width: of the image, in pixels.
        height: likewise.
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
    """What a run is, as far as it does not change while it goes on.

    Attributes:
        preset: the model's.
        form: of the class term, "softmax" or "sigmoid".
        layers: the name of each of the L prediction sets, in order.
        queries: Q.
        slots: "learned" where query slot q is the same learned vector for every image (DETR), "ranked" where it is the
            q-th best cell of each image, so that a slot's number says how good a cell was, not where or what it is.
        images: how many images the run trains on.
        split: that the probes are from.
    """

    preset: str
    classes: list[str]
    form: Form
    layers: list[str]
    queries: int
    slots: Literal["learned", "ranked"]
    images: int
    split: str
    probes: list[Probe]


@dataclass(frozen=True)
class Snapshot:
    """The probes as the averaged model saw them at the end of an epoch, without augmentation, and the slots' boxes.

    Attributes:
        queries: the slots that are kept: all that are matched in some layer, then the most confident; the order varies.
        origins: where each of these starts: at the slot itself ("learned"), or at a cell, counted through all maps
            ("ranked"). The same origin is the same query in every epoch.
        boxes: predicted by each layer; kept to 1/65535.
        labels: the most likely class.
        scores: its probability; kept as float16.
        match: the place among the kept queries of each target's query; -1 for padding, or without a query.
        costs: of each matched pair, `records.TERMS` without weights, from `setloss.pair_costs`; 0 where there is none.
        sample: boxes that every slot of the last layer predicted on S training images since the look before, augmented
            as they were; kept to 1/255.
        sample_matched: whether that slot was matched there.
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
    """What an epoch left.

    Attributes:
        epoch: counted from 1.
        step: optimiser steps done at its end.
        seconds: of training done at its end.
        images: seen in it.
        targets: seen in it, after augmentation.
        compared: those of them whose query is known from an earlier sighting of the image. A sighting counts only where
            augmentation kept all of the image's targets, since otherwise it is not known which they are.
        changed: how many of `compared` have another query slot than in that sighting.
        agreement: how many of `targets` have the same query slot in both layers.
        matched: how often each slot was some target's.
        terms: mean over steps of the loss terms `records.TERMS`, without weights.
        box_mean: of the boxes that each slot of the last layer predicted, matched or not.
        box_deviation: their standard deviation.
        worst_losses: the highest losses of an image in the last layer, as a batch of its own, weighted; highest first.
        worst_images: the ids of these images.
        worst_names: the names of their files.
        snapshot: None where the probes were not looked at after this epoch.
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


# Every array of an epoch's file: the type that it is stored in, and its shape. Of fractions, the largest whole number
# that the type holds stands for 1.
EPOCH = {
    "changed": ("int64", "L"),
    "agreement": ("int64", "L L"),
    "matched": ("int64", "L Q"),
    "terms": ("float32", "3 L"),
    "box_mean": ("float32", "Q 4"),
    "box_deviation": ("float32", "Q 4"),
    "worst_losses": ("float32", "M"),
    "worst_images": ("int64", "M"),
}
SNAPSHOT = {
    "queries": ("int32", "P K"),
    "origins": ("int32", "P K"),
    "boxes": ("uint16", "P L K 4"),
    "labels": ("int16", "P L K"),
    "scores": ("float16", "P L K"),
    "match": ("int16", "P L T"),
    "costs": ("float32", "P L T 3"),
    "sample": ("uint8", "S Q 4"),
    "sample_matched": ("bool", "S Q"),
}


@dataclass(frozen=True)
class Recording:
    """A recording as far as it can be read.

    Attributes:
        folder: that it is in.
        epochs: in order.
        damaged: a sentence for every file that could not be read.
    """

    folder: Path
    header: Header
    epochs: list[Epoch]
    damaged: list[str]


def write_header(folder: Path, header: Header) -> None:
    """Begin a recording, or replace the header of the one in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / HEADER, lambda path: path.write_text(_header_text(header)))


def has_header(folder: Path, header: Header) -> bool:
    """Whether the recording in `folder`, if there is one, has this very header."""
    file = folder / HEADER
    return file.is_file() and file.read_text(errors="replace") == _header_text(header)


def _header_text(header: Header) -> str:
    return json.dumps({"format": FORMAT, **asdict(header)}, indent=1) + "\n"


def write_epoch(folder: Path, epoch: Epoch) -> None:
    """Write an epoch's file, in the place of one that is there."""
    arrays = {name: _pack(getattr(epoch, name), kind) for name, (kind, _) in EPOCH.items()}
    if epoch.snapshot is not None:
        arrays |= {
            f"snapshot.{name}": _pack(getattr(epoch.snapshot, name), kind) for name, (kind, _) in SNAPSHOT.items()
        }
    metadata = {"format": str(FORMAT), **{name: str(getattr(epoch, name)) for name in (*COUNTS, "seconds")}}
    metadata["worst_names"] = json.dumps(epoch.worst_names)
    write_whole(_file(folder, epoch.epoch), lambda path: save_file(arrays, path, metadata))


def cut(folder: Path, step: int) -> None:
    """Remove the epochs that ended past a step, which a resumed run goes through again."""
    for file in _files(folder):
        try:
            kept = int(_metadata(file)["step"]) <= step
        except DataError:
            kept = False
        if not kept:
            file.unlink()


def read(folder: Path) -> Recording:
    """Read a recording.

    Raises:
        DataError: there is none, or its header cannot be read. Epochs that cannot be read are left out and said.
    """
    header = _read_header(folder / HEADER)
    epochs, damaged = [], []
    for file in _files(folder):
        try:
            epochs.append(_read_epoch(file, header))
        except DataError as error:
            damaged.append(str(error))
    return Recording(folder, header, epochs, damaged)


def _file(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:06d}.safetensors"


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.safetensors"))


def _read_header(file: Path) -> Header:
    try:
        content = json.loads(file.read_text())
        if content["format"] != FORMAT:
            raise DataError(f"{file} is of another format than {FORMAT}: read it with the version that wrote it.")
        header = TypeAdapter(Header).validate_python(content)
        if not header.layers or any(len(probe.boxes) != len(probe.labels) for probe in header.probes):
            raise ValueError("layers or probes")
        return header
    except FileNotFoundError as error:
        raise DataError(f"There is no {file}: the run was not recorded.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is damaged, so nothing of the recording can be read.") from error


def _metadata(file: Path) -> dict[str, str]:
    try:
        with safe_open(file, "numpy") as tensors:
            metadata = tensors.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise DataError(f"{file.name} of the recording is damaged.") from error
    if metadata.get("format") != str(FORMAT):
        raise DataError(f"{file.name} of the recording is of another format than {FORMAT}.")
    return dict(metadata)


def _read_epoch(file: Path, header: Header) -> Epoch:
    metadata = _metadata(file)
    try:
        with safe_open(file, "numpy") as tensors:
            arrays = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 (it is no dictionary)
        sizes = {"L": len(header.layers), "Q": header.queries, "P": len(header.probes)}
        found: dict[str, Any] = {name: int(metadata[name]) for name in COUNTS}
        snapshot = None
        if any(name.startswith("snapshot.") for name in arrays):
            snapshot = Snapshot(**_unpack(arrays, SNAPSHOT, "snapshot.", sizes))
            if snapshot.match.shape[2] != max((len(probe.labels) for probe in header.probes), default=0):
                raise ValueError("match")
            if not -1 <= snapshot.match.min(initial=-1) <= snapshot.match.max(initial=-1) < snapshot.queries.shape[1]:
                raise ValueError("match")
        found |= _unpack(arrays, EPOCH, "", sizes)
        names = [str(name) for name in json.loads(metadata["worst_names"])]
        if len(names) != len(found["worst_images"]):
            raise ValueError("worst_names")
        return Epoch(**found, seconds=float(metadata["seconds"]), worst_names=names, snapshot=snapshot)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file.name} of the recording is damaged.") from error


def _pack(values: np.ndarray, kind: str) -> np.ndarray:
    """Fractions as whole numbers where they are stored so; everything else as its stored type."""
    stored = np.dtype(kind)
    if values.dtype.kind == "f" and stored.kind == "u":
        values = np.rint(values.clip(0, 1) * np.iinfo(stored).max)
    return np.ascontiguousarray(values, stored)


def _unpack(
    arrays: Mapping[str, np.ndarray], table: Mapping[str, tuple[str, str]], prefix: str, sizes: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """The arrays of a table by name; raises ValueError or KeyError where one is not as the table says."""
    found: dict[str, Any] = {}
    known = dict(sizes)
    for name, (kind, shape) in table.items():
        stored = arrays[prefix + name]
        axes = shape.split()
        if stored.dtype != kind or len(axes) != stored.ndim:
            raise ValueError(name)
        for axis, size in zip(axes, stored.shape, strict=True):
            expected = int(axis) if axis.isdigit() else known.setdefault(axis, size)
            if size != expected:
                raise ValueError(name)
        if stored.dtype.kind == "u":
            stored = stored.astype(np.float32) / np.iinfo(stored.dtype).max
        found[name] = stored.astype(np.float32) if stored.dtype == np.float16 else stored
    return found
