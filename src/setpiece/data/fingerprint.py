"""What a data set holds, in a few numbers: enough to tell whether it is still the same."""

from __future__ import annotations

import hashlib
from typing import Any

from setpiece.data.dataset import Dataset

__all__ = ["fingerprint"]


def fingerprint(dataset: Dataset) -> dict[str, Any]:
    """The number of images and objects, the classes, and a hash of all annotations; ready for JSON.

    The hash takes the names and sizes of the image files and their boxes, in the order in which they are read. It does
    not take the folder, so data that was moved is the same; nor the pixels.
    """
    hashed = hashlib.sha256("\0".join(dataset.classes).encode())
    for example in dataset.examples:
        hashed.update(f"\0{example.path.name}\0{example.height}\0{example.width}\0".encode(errors="surrogateescape"))
        for array in (example.boxes_xyxy, example.labels, example.crowd):
            hashed.update(array.tobytes())
    return {
        "images": len(dataset.examples),
        "objects": sum(len(example.labels) for example in dataset.examples),
        "classes": list(dataset.classes),
        "sha256": hashed.hexdigest(),
    }
