"""What a data set held when a run was started: the contents that `setpiece.data.fingerprint` gives for each split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Contents", "what_changed"]

Contents = Mapping[str, Mapping[str, Any]]  # by split: numbers of "images" and "objects", "classes" and "sha256"


def what_changed(then: Contents, now: Contents) -> str:
    """What differs between two contents, in words; nothing where they are the same.

    Example:
        >>> then = {"train": {"images": 8, "objects": 20, "classes": ["cell"], "sha256": "ab"}}
        >>> what_changed(then, {"train": then["train"] | {"images": 9}})
        'train had 8 images, and has 9'
    """
    for split in dict.fromkeys([*then, *now]):
        if split not in then or split not in now:
            return f"its {split} images are {'new' if split in now else 'gone'}"
        if then[split]["classes"] != now[split]["classes"]:
            classes = (", ".join(of[split]["classes"]) for of in (then, now))
            return "its classes were {}, and are {}".format(*classes)
        for count in ("images", "objects"):
            if then[split][count] != now[split][count]:
                return f"{split} had {then[split][count]} {count}, and has {now[split][count]}"
        if then[split]["sha256"] != now[split]["sha256"]:
            return f"boxes or file names of {split} are others"
    return ""
