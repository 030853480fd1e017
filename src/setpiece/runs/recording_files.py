"""The files of a recording: written by training, read by the report.

A run folder holds `recording/` with these files. Each is whole at any time, and none is pickled.

```
header.json                 the `Header`; "format" is 1
probe-0.jpg, probe-1.jpg    the probe images, at most 320 pixels a side
epoch-000001.safetensors    an `Epoch`, with its `Snapshot` if one was taken
```

An epoch's file has the safetensors layout (little endian). Its metadata are text: `format`, `epoch`, `step`, `seconds`,
`images`, `targets`, `compared`, and `worst_names` as JSON. Its arrays are named as the fields of `Epoch`; those of the
snapshot have `snapshot.` before their name. The tables `EPOCH` and `SNAPSHOT` give the type and shape of each. The
first file of a recording has no images. Its number is the number of epochs done before it, usually 0.

`slots` of the header is "learned" or "top-k". Format 1 says "ranked" for "top-k" and is the same otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from setpiece.atomic import write_whole
from setpiece.errors import DataError
from setpiece.runs.recording import Epoch, Header, Recording, Snapshot

__all__ = [
    "EPOCH",
    "SNAPSHOT",
    "cut",
    "has_header",
    "probe_picture",
    "read",
    "read_header",
    "write_epoch",
    "write_header",
]

# Every array of an epoch's file: the type that it is stored in, and its shape (axes as in `runs.recording`). A fraction
# stored as a whole number is a share of the largest number of that type.
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

_FORMAT = 2
_READ = (1, 2)
_HEADER = "header.json"
_COUNTS = ("epoch", "step", "images", "targets", "compared")


def write_header(folder: Path, header: Header) -> None:
    """Begin a recording, or replace the header of the one in `folder`."""
    text = json.dumps({"format": _FORMAT, **asdict(header)}, indent=1) + "\n"
    write_whole(folder / _HEADER, text)


def has_header(folder: Path, header: Header) -> bool:
    """Whether `folder` holds a recording with an equal header."""
    try:
        return _read_header(folder / _HEADER) == header
    except DataError:
        return False


def read_header(folder: Path) -> Header:
    """The header of a recording.

    Raises:
        DataError: there is no recording, or its header cannot be read.
    """
    return _read_header(folder / _HEADER)


def write_epoch(folder: Path, epoch: Epoch) -> None:
    """Write the file of an epoch, or replace it."""
    arrays = {name: _pack(getattr(epoch, name), kind) for name, (kind, _) in EPOCH.items()}
    if epoch.snapshot is not None:
        arrays |= {
            f"snapshot.{name}": _pack(getattr(epoch.snapshot, name), kind) for name, (kind, _) in SNAPSHOT.items()
        }
    metadata = {"format": str(_FORMAT), **{name: str(getattr(epoch, name)) for name in (*_COUNTS, "seconds")}}
    metadata["worst_names"] = json.dumps(epoch.worst_names)
    write_whole(_file(folder, epoch.epoch), to_safetensors(arrays, metadata))


def cut(folder: Path, step: int) -> None:
    """Remove the epochs that ended after a step: a resumed run trains them again. Damaged files go too."""
    for file in _files(folder):
        try:
            kept = int(_metadata(file)["step"]) <= step
        except DataError:
            kept = False
        if not kept:
            file.unlink()


def read(folder: Path) -> Recording:
    """Read a recording. An epoch that cannot be read is left out, and a sentence in `damaged` names its file.

    Raises:
        DataError: there is no recording, or its header cannot be read.
    """
    header = _read_header(folder / _HEADER)
    epochs, damaged = [], []
    for file in _files(folder):
        try:
            epochs.append(_read_epoch(file, header))
        except DataError as error:
            damaged.append(str(error))
    return Recording(folder, header, epochs, damaged)


def probe_picture(folder: Path, number: int) -> Path:
    """The small JPEG of a probe image."""
    return folder / f"probe-{number}.jpg"


def _file(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:06d}.safetensors"


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.safetensors"))


def _read_header(file: Path) -> Header:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] not in _READ:
            raise DataError(f"{file} has format {content['format']}, which is not read here: update the package.")
        if content["slots"] == "ranked":
            content["slots"] = "top-k"
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
    if metadata.get("format") not in [str(number) for number in _READ]:
        raise DataError(f"{file.name} of the recording has a format that is not read here: update the package.")
    return dict(metadata)


def _read_epoch(file: Path, header: Header) -> Epoch:
    metadata = _metadata(file)
    try:
        with safe_open(file, "numpy") as tensors:
            arrays = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 (it is no dictionary)
        counts: dict[str, Any] = {name: int(metadata[name]) for name in _COUNTS}
        sizes = {"L": len(header.layers), "Q": header.queries, "P": len(header.probes)}
        counted = _unpack(arrays, EPOCH, "", sizes)
        names = [str(name) for name in json.loads(metadata["worst_names"])]
        if len(names) != len(counted["worst_images"]):
            raise ValueError("worst_names")
        return Epoch(
            **counts,
            **counted,
            seconds=float(metadata["seconds"]),
            worst_names=names,
            snapshot=_read_snapshot(arrays, header, sizes),
        )
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file.name} of the recording is damaged.") from error


def _read_snapshot(arrays: Mapping[str, np.ndarray], header: Header, sizes: Mapping[str, int]) -> Snapshot | None:
    """The snapshot among the arrays of a file, None where there is none; raises as `_unpack`."""
    if not any(name.startswith("snapshot.") for name in arrays):
        return None
    most_targets = max((len(probe.labels) for probe in header.probes), default=0)
    snapshot = Snapshot(**_unpack(arrays, SNAPSHOT, "snapshot.", {**sizes, "T": most_targets}))
    if not -1 <= snapshot.match.min(initial=-1) <= snapshot.match.max(initial=-1) < snapshot.queries.shape[1]:
        raise ValueError("match")
    return snapshot


def _pack(values: np.ndarray, kind: str) -> np.ndarray:
    """An array as its stored type; fractions become whole numbers where the type is unsigned."""
    stored = np.dtype(kind)
    if values.dtype.kind == "f" and stored.kind == "u":
        values = np.rint(values.clip(0, 1) * np.iinfo(stored).max)
    return np.ascontiguousarray(values, stored)


def _unpack(
    arrays: Mapping[str, np.ndarray], table: Mapping[str, tuple[str, str]], prefix: str, sizes: Mapping[str, int]
) -> dict[str, Any]:
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
