"""The second look: the labels that a detector contradicts which has not seen them, and what people decided on each."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from setpiece.atomic import write_whole
from setpiece.errors import UsageError
from setpiece.labelling.labels import Box

__all__ = ["SecondLook"]

SAME = 0.01  # pixels within which two coordinates are one


class SecondLook:
    """The rows, in a file: they stay when the server is started again.

    Args:
        file: JSON.

    Attributes:
        state: "none", "running", "ready" or "failed".
        done: share of the work, in [0, 1].
        said: a sentence.
        rows: of the last look, most striking first. Each has "id", "kind", "image", "box" and "category" of the label
            (None where an object has none), "suggestion" with "box", "category" and "score" (None where it is to be
            removed), "cost" by term, "text" and "decision".
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.state, self.done, self.said = "none", 0.0, ""
        self.rows: list[dict[str, Any]] = []
        with suppress(OSError, ValueError, KeyError):
            self.rows = json.loads(file.read_bytes())["rows"]
            self.state = "ready"

    def tell(self, event: Mapping[str, Any]) -> None:
        """The trainer has told how far it is, or what it found."""
        self.state, self.done, self.said = event["state"], event["done"], event["said"]
        if self.state == "ready":
            self.rows = [{"id": str(number), "decision": None, **row} for number, row in enumerate(event["rows"], 1)]
            self._save()

    def row(self, id: str) -> dict[str, Any]:
        """The row of an id.

        Raises:
            KeyError: there is none.
        """
        return {row["id"]: row for row in self.rows}[id]

    def decide(self, id: str, decision: Literal["keep", "apply"]) -> None:
        """Keep what was decided."""
        self.row(id)["decision"] = decision
        self._save()

    def applied(self, row: Mapping[str, Any], boxes: Sequence[Box], categories: Container[int]) -> list[Box]:
        """The boxes of an image once the suggestion of a row is applied.

        Args:
            row: of the second look.
            boxes: as they are.
            categories: ids of the classes that there are.

        Raises:
            UsageError: the label or the class is not there any more.
        """
        suggestion = row["suggestion"]
        if suggestion is not None and suggestion["category"] not in categories:
            raise UsageError("The class of this suggestion has been removed since the second look.")
        if row["kind"] == "missing":
            return [*boxes, Box(tuple(suggestion["box"]), suggestion["category"])]
        at = next((i for i, box in enumerate(boxes) if _same(box, row)), None)
        if at is None:
            raise UsageError("This label has been changed since the second look: there is nothing to apply.")
        was, others = boxes[at], [box for i, box in enumerate(boxes) if i != at]
        match row["kind"]:
            case "class":
                others.insert(at, replace(was, category=suggestion["category"]))
            case "off":
                others.insert(at, replace(was, corners=tuple(suggestion["box"])))
        return others

    def _save(self) -> None:
        write_whole(self._file, json.dumps({"rows": self.rows}))


def _same(box: Box, row: Mapping[str, Any]) -> bool:
    near = all(abs(a - b) <= SAME for a, b in zip(box.corners, row["box"], strict=True))
    return near and box.category == row["category"]
