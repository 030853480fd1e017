"""The journal: a line for each change of the labels, on disk before anybody is told that the change is made."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from setpiece.errors import DataError, OutputError
from setpiece.labelling.labels import Box, Category, Change, Marks

__all__ = ["Entry", "Journal"]


@dataclass(frozen=True)
class Entry:
    """A line.

    Attributes:
        sequence: its number, from 1.
        at: seconds since 1970.
        change: what was done.
        undoes: the number of the change that this one takes back.
        redoes: the number of the change that this one makes again.
    """

    sequence: int
    at: float
    change: Change
    undoes: int | None = None
    redoes: int | None = None


class Journal:
    """A file of JSON lines that is only appended to.

    Args:
        file: made with the first line.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._size = self._before = 0  # bytes of the whole lines, now and before the last one

    def read(self) -> list[Entry]:
        """All lines. A last one that was not finished, because the process was killed, is cut off.

        Raises:
            DataError: it cannot be read, or a line is missing or damaged.
            OutputError: it cannot be cut.
        """
        content = b""
        try:
            content = self.file.read_bytes()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise DataError(f"Cannot open {self.file}: {error.strerror}; check its permissions.") from error
        whole = content[: content.rfind(b"\n") + 1]
        self._size = len(whole)
        if len(whole) < len(content):
            self._cut()
        entries: list[Entry] = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = _entry(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{self.file} is damaged in line {number}: restore it, or remove it to go on."
                ) from error
            if entries and entry.sequence != entries[-1].sequence + 1:
                raise DataError(f"{self.file} lacks a line before line {number}: restore it, or remove it to go on.")
            entries.append(entry)
        return entries

    def append(self, entry: Entry) -> None:
        """Write a line; when this returns it is on the disk.

        Raises:
            OutputError: it cannot be written; the journal is as it was.
        """
        line = json.dumps(_as_json(entry), separators=(",", ":")).encode() + b"\n"
        try:
            with self.file.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._cut()
            raise OutputError(
                f"{self.file} could not be written ({error.strerror or error}): make room, and make the change again."
            ) from error
        self._before, self._size = self._size, self._size + len(line)

    def take_back(self) -> None:
        """Remove the line that was just written."""
        self._size = self._before
        self._cut()

    def _cut(self) -> None:
        if self.file.exists():
            try:
                os.truncate(self.file, self._size)
            except OSError as error:
                raise OutputError(f"{self.file} could not be written ({error.strerror or error}).") from error


def _as_json(entry: Entry) -> dict[str, Any]:
    content: dict[str, Any] = {"sequence": entry.sequence, "action": entry.change.action, "at": round(entry.at, 3)}
    for name in ("undoes", "redoes"):
        if (number := getattr(entry, name)) is not None:
            content[name] = number
    if entry.change.classes is not None:
        content["classes"] = [
            [{"id": each.id, "name": each.name} for each in classes] for classes in entry.change.classes
        ]
    content["images"] = {str(id): [_marks_json(each) for each in pair] for id, pair in entry.change.images.items()}
    return content


def _marks_json(marks: Marks) -> dict[str, Any]:
    boxes = [
        {"box": list(box.corners), "category": box.category} | ({"crowd": True} if box.crowd else {})
        for box in marks.boxes
    ]
    return {"state": marks.state, "boxes": boxes}


def _entry(content: Mapping[str, Any]) -> Entry:
    classes = content.get("classes")
    before_after = classes and tuple(tuple(Category(each["id"], each["name"]) for each in side) for side in classes)
    images = {int(id): (_marks(before), _marks(after)) for id, (before, after) in content["images"].items()}
    change = Change(content["action"], images, before_after)
    return Entry(content["sequence"], content["at"], change, content.get("undoes"), content.get("redoes"))


def _marks(content: Mapping[str, Any]) -> Marks:
    boxes = (Box(_corners(box["box"]), box["category"], box.get("crowd", False)) for box in content["boxes"])
    return Marks(content["state"], tuple(boxes))


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = map(float, values)
    return left, top, right, bottom
