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
from setpiece.labelling.labels import Box, LabelledImage, checked_box

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
            removed), "cost" by term, "text", "decision", and "change": the number of the change that applied it.
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
            self.rows = [
                {"id": str(number), "decision": None, "change": None, **row}
                for number, row in enumerate(event["rows"], 1)
            ]
            self._save()

    def row(self, id: str) -> dict[str, Any]:
        """The row of an id.

        Raises:
            KeyError: there is none.
        """
        return {row["id"]: row for row in self.rows}[id]

    def decide(self, id: str, decision: Literal["keep", "apply"], change: int | None = None) -> None:
        """Keep what was decided, and the number of the change that was made for it."""
        self.row(id).update(decision=decision, change=change)
        self._save()

    def follow(self, change: int, *, is_made: bool) -> None:
        """A change was taken back or made again: so is the decision that it was made for."""
        of_change = [row for row in self.rows if row.get("change") == change]
        for row in of_change:
            row["decision"] = "apply" if is_made else None
        if of_change:
            self._save()

    def applied(self, row: Mapping[str, Any], image: LabelledImage, categories: Container[int]) -> list[Box]:
        """The boxes of an image once the suggestion of a row is applied.

        Args:
            row: of the second look.
            image: with its boxes as they are.
            categories: ids of the classes that there are.

        Raises:
            UsageError: the label or the class is not there any more, the image has changed its size, or the suggestion
                is applied already.
        """
        suggestion, boxes = row["suggestion"], image.marks.boxes
        if suggestion is not None and suggestion["category"] not in categories:
            raise UsageError("The class of this suggestion has been removed since the second look.")
        new = None
        if suggestion is not None:
            new = checked_box(suggestion["box"], suggestion["category"], image.width, image.height)
        if row["kind"] == "missing":
            assert new is not None
            if any(_same(box, new.corners, new.category) for box in boxes):
                raise UsageError("There is this label already: nothing is left to apply.")
            return [*boxes, new]
        at = next((i for i, box in enumerate(boxes) if _same(box, row["box"], row["category"])), None)
        if at is None:
            raise UsageError("This label has been changed since the second look: there is nothing to apply.")
        was, others = boxes[at], [box for i, box in enumerate(boxes) if i != at]
        if new is not None:
            others.insert(
                at, replace(was, category=new.category) if row["kind"] == "class" else replace(was, corners=new.corners)
            )
        return others

    def _save(self) -> None:
        write_whole(self._file, json.dumps({"rows": self.rows}))


def _same(box: Box, corners: Sequence[float], category: int | None) -> bool:
    near = all(abs(a - b) <= SAME for a, b in zip(box.corners, corners, strict=True))
    return near and box.category == category
