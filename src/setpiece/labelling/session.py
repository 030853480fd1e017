"""What the server knows: labels, photos, and what the trainer has told. Only the event loop's thread changes it."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from setpiece.labelling import labels as changes
from setpiece.labelling.final import final_view, read_final
from setpiece.labelling.held_out import is_held_out
from setpiece.labelling.labels import LEAST_LABELLED, Change, LabelledImage, State, checked_box
from setpiece.labelling.second_look import SecondLook
from setpiece.labelling.source import Source
from setpiece.labelling.store import Store
from setpiece.labelling.watch import Watch

__all__ = ["Session", "Suggestions", "Trained"]

KEPT_SENTENCES = 50
Mode = Literal["helpful", "files"]


@dataclass(frozen=True)
class Suggestions:
    """What the detector sees in an image.

    Attributes:
        round: of training, from 1.
        boxes: the most confident first: (corners, id of the class, confidence).
    """

    round: int
    boxes: tuple[tuple[tuple[float, float, float, float], int, float], ...]


@dataclass
class Trained:
    """What the trainer has told.

    Attributes:
        state: what it does, see the page's `training`.
        round: the last one that is done.
        said: a sentence.
        done: share of what it does, None where that is not known.
        rounds: each with "round", "labelled", "boxes", "ap", "low", "high".
        forecast: of AP, from the last round that measured it.
        final: of the long training, None before it.
    """

    state: str = "waiting"
    round: int = 0
    said: str = ""
    done: float | None = None
    rounds: list[dict[str, Any]] = field(default_factory=list)
    forecast: dict[str, Any] | None = None
    final: dict[str, Any] | None = None


class Session:
    """Labels of a folder of photos, as the page sees and changes them.

    Args:
        source: photos, and the labels of a data set.
        store: the labels on disk.
        given: the folder as it was given.
        classes: names to begin with, where there are no labels yet.

    Attributes:
        on_change: called when the trainer has to know something: other labels, photos, or images that come next.
    """

    def __init__(self, source: Source, store: Store, given: Path, classes: Sequence[str] = ()) -> None:
        self.store, self.given = store, given
        self.watch = Watch(source, store)
        self.mode: Mode = "helpful"
        self.coming: list[int] = []
        self.ranked: list[int] = []
        self.suggestions: dict[int, Suggestions] = {}
        self.trained = Trained(final=final_view(read_final(store.folder / "training")))
        self.second_look = SecondLook(store.folder / "training" / "second_look.json")
        self.said: list[tuple[int, str]] = []
        self.on_change: Callable[[], None] = lambda: None
        self._numbers, self._start, self._version = itertools.count(1), secrets.token_hex(4), 0
        if store.is_new:
            store.labels.classes = source.classes
            for sentence in source.said:
                self.say(sentence)
            for name in classes:
                if name not in [each.name for each in store.labels.classes]:
                    store.labels.apply(changes.add_class(store.labels, name))
            store.save()

    @property
    def version(self) -> str:
        """Of all that the page shows: another one when something of it changes."""
        return f"{self._start}-{self._version}"

    def touch(self) -> None:
        """Something that the page shows has changed."""
        self._version += 1

    def say(self, sentence: str) -> None:
        """Tell the people at the page."""
        self.said = [*self.said, (next(self._numbers), sentence)][-KEPT_SENTENCES:]
        self.touch()

    async def look_at_photos(self, *, quietly: bool = False) -> None:
        """Bring the record in step with the folder.

        Args:
            quietly: say nothing of what came: at the start everything does.
        """
        stamps = await asyncio.to_thread(self.watch.photos.stamps)
        new = self.watch.to_look(stamps)
        looks = await asyncio.to_thread(self.watch.photos.look, new)
        problems = self.watch.problems
        said = self.watch.take(stamps, looks)
        if looks or said or problems != self.watch.problems:
            for sentence in said:
                if not (quietly and " came (" in sentence):
                    self.say(sentence)
            self.touch()
            self.on_change()

    def image(self, id: int) -> LabelledImage:
        """The image of an id.

        Raises:
            KeyError: there is none.
        """
        return self.store.labels.images[id]

    def set_marks(self, id: int, state: State, boxes: Sequence[tuple[Sequence[float], int, bool]], action: str) -> None:
        """Say something else of an image; (corners, position of the class, crowd) for each box.

        Raises:
            UsageError: a box is not inside the image, or there is no such class.
            OutputError: it cannot be written.
        """
        labels, image = self.store.labels, self.image(id)
        checked = [
            checked_box(corners, labels.category(position).id, image.width, image.height, crowd=crowd)
            for corners, position, crowd in boxes
        ]
        self.make(changes.set_marks(labels, id, state, checked, action))

    def make(self, change: Change) -> None:
        """Make a change, and tell the trainer.

        Raises:
            OutputError: it cannot be written; nothing is changed.
        """
        self.store.change(change)
        self._changed()

    def undo(self) -> Change | None:
        """Take the last change back; None where there is none."""
        return self._again(self.store.history.to_undo(), self.store.undo, is_made=False)

    def redo(self) -> Change | None:
        """Make the last change again that was taken back; None where there is none."""
        return self._again(self.store.history.to_redo(), self.store.redo, is_made=True)

    def _again(
        self, last: tuple[int, Change] | None, make: Callable[[], Change | None], *, is_made: bool
    ) -> Change | None:
        if last is None:
            return None
        make()
        self.second_look.follow(last[0], is_made=is_made)
        self._changed()
        return last[1]

    def _changed(self) -> None:
        self.touch()
        self.on_change()

    def decide(self, row_id: str, decision: Literal["keep", "apply"]) -> None:
        """Keep the label of a row of the second look, or change it as suggested.

        Raises:
            KeyError: there is no such row.
            UsageError: the label has been changed since, or there is nothing to apply.
        """
        row, change = self.second_look.row(row_id), None
        if decision == "apply":
            image = self.image(row["image"])
            boxes = self.second_look.applied(row, image, {each.id for each in self.store.labels.classes})
            state: State = "open" if image.marks.state == "open" else "labelled"
            self.make(
                changes.set_marks(self.store.labels, row["image"], state, boxes, f"apply suggestion ({row['kind']})")
            )
            change = self.store.history.sequence
        self.second_look.decide(row_id, decision, change)
        self.touch()

    def order_by(self, mode: Mode, coming: Sequence[int]) -> None:
        """Offer open images in another order; the trainer predicts first what comes next."""
        self.coming = [id for id in coming if id in self.store.labels.images]
        if mode != self.mode:
            self.mode = mode
            self.touch()
        self.on_change()

    def usable(self) -> list[LabelledImage]:
        """The images that can be shown, in the order of their files."""
        return [image for id, image in self.store.labels.images.items() if id not in self.watch.problems]

    def labelled_needed(self) -> int:
        """How many more images have to be labelled before training starts; those that are held out do not count."""
        count = sum(image.marks.state != "open" and not is_held_out(image.file) for image in self.usable())
        return max(0, LEAST_LABELLED - count)

    def describe(self, change: Change) -> str:
        """A change in words, such as "draw box in a.jpg"."""
        if len(change.images) == 1 and change.classes is None:
            return f"{change.action} in {self.image(next(iter(change.images))).file}"
        return change.action
