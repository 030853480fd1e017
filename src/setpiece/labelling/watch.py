"""The folder of photos beside the record of labels: what came, what vanished, and what broke."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from setpiece.labelling.labels import Labels, Marks
from setpiece.labelling.photos import Look
from setpiece.labelling.source import Source
from setpiece.labelling.store import Store

__all__ = ["Problem", "Watch"]

NAMED = 3  # files that a sentence names


@dataclass(frozen=True)
class Problem:
    """Why a photo cannot be labelled at present; its labels are kept.

    Attributes:
        state: "missing" or "broken".
        why: a sentence.
    """

    state: Literal["missing", "broken"]
    why: str


class Watch:
    """Keeps the record in step with the folder.

    Args:
        source: the folder, and what a data set says of its images, for when they are taken in.
        store: the record.

    Attributes:
        photos: the folder.
        problems: of images of the record, by their id.
        unread: files that are in no record since they never could be read, with the sentence that says why.
    """

    def __init__(self, source: Source, store: Store) -> None:
        self.photos, self._source, self._store = source.photos, source, store
        self._outside = 0
        self.problems: dict[int, Problem] = {}
        self.unread: dict[str, str] = {}
        self._looked: dict[str, Look] = {}

    def to_look(self, stamps: Mapping[str, tuple[int, int]]) -> list[tuple[str, tuple[int, int]]]:
        """Those of the files that have to be looked into: new ones, and ones that changed."""
        known = {image.file: image.stamp for image in self._store.labels.images.values()}
        known |= {file: look.stamp for file, look in self._looked.items()}
        return [(file, stamp) for file, stamp in stamps.items() if known.get(file) != stamp]

    def take(self, stamps: Mapping[str, tuple[int, int]], looks: Sequence[Look]) -> list[str]:
        """Bring the record up to date.

        Args:
            stamps: of all files that are there.
            looks: into those of `to_look`.

        Returns:
            Sentences about what is new.

        Raises:
            OutputError: it cannot be written.
        """
        before, unread_before = self.problems, self.unread
        self._looked |= {look.file: look for look in looks}
        self._looked = {file: look for file, look in self._looked.items() if file in stamps}
        labels = self._store.labels
        known = {image.file for image in labels.images.values()}
        changed = self._update(labels)
        self.problems = {id: problem for id in labels.images if (problem := self._problem(labels, id, stamps))}
        new = [look for look in self._looked.values() if look.file not in known]
        self.unread = {look.file: look.why for look in new if look.why is not None}
        whole = sorted((look for look in new if look.why is None), key=lambda look: look.file)
        if whole:
            self._store.add_images(
                (look.file, look.width, look.height, look.stamp, self._marks(look.file)) for look in whole
            )
        elif changed:
            self._store.save()
        return [
            *_said([look.file for look in whole], "photo came", "photos came"),
            *self._said_of_problems(before),
            *(why for file, why in self.unread.items() if file not in unread_before),
            *self._said_of_links(),
        ]

    def _marks(self, file: str) -> Marks:
        """What the data set says of a file; its classes are those of the same names here, whatever their ids."""
        marks, names = self._source.marks.get(file, Marks()), {each.id: each.name for each in self._source.classes}
        category_named = self._store.labels.category_named
        boxes = (replace(box, category=category_named(names[box.category]).id) for box in marks.boxes)
        return replace(marks, boxes=tuple(boxes))

    def _said_of_links(self) -> list[str]:
        before, self._outside = self._outside, self.photos.outside
        if self._outside in (0, before):
            return []
        files = "1 photo is a link" if self._outside == 1 else f"{self._outside} photos are links"
        return [f"{files} out of the folder: nothing outside it is read."]

    def _update(self, labels: Labels) -> bool:
        """Take over stamps and sizes of files that changed, and can be used; whether there are some."""
        changed = False
        for image in labels.images.values():
            look = self._looked.get(image.file)
            if look is None or look.why is not None or look.stamp == image.stamp:
                continue
            if not image.marks.boxes and (image.width, image.height) != (look.width, look.height):
                image.width, image.height = look.width, look.height
                image.revision += 1
            if (image.width, image.height) == (look.width, look.height):
                image.stamp, changed = look.stamp, True
        return changed

    def _problem(self, labels: Labels, id: int, stamps: Mapping[str, tuple[int, int]]) -> Problem | None:
        image = labels.images[id]
        if image.file not in stamps:
            return Problem("missing", f"{image.file} is not in the folder any more: its labels are kept.")
        look = self._looked.get(image.file)
        if look is None:
            return None
        if look.why is not None:
            return Problem("broken", look.why)
        if (look.width, look.height) != (image.width, image.height):
            return Problem(
                "broken",
                f"{image.file} has {look.width} x {look.height} pixels now, and its boxes were drawn on "
                f"{image.width} x {image.height}: put the former file in its place, or remove the boxes.",
            )
        return None

    def _said_of_problems(self, before: Mapping[int, Problem]) -> list[str]:
        images = self._store.labels.images

        def files(which: Callable[[int], bool]) -> list[str]:
            return [images[id].file for id in sorted({*before, *self.problems}) if which(id)]

        def is_now(id: int, state: str) -> bool:
            now, was = self.problems.get(id), before.get(id)
            return now is not None and now.state == state and (was is None or was.state != state)

        gone = files(lambda id: is_now(id, "missing"))
        back = files(lambda id: id in before and id not in self.problems)
        broken = [self.problems[id].why for id in sorted(self.problems) if is_now(id, "broken")]
        return [
            *_said(gone, "photo vanished", "photos vanished", "; what was labelled is kept"),
            *_said(back, "photo is usable again", "photos are usable again"),
            *broken,
        ]


def _said(files: Sequence[str], one: str, many: str, more: str = "") -> list[str]:
    """A sentence about some files; none about none.

    Example:
        >>> _said(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], "photo came", "photos came")
        ['4 photos came (a.jpg, b.jpg, c.jpg and others).']
    """
    if not files:
        return []
    named = ", ".join(files[:NAMED]) + (" and others" if len(files) > NAMED else "")
    return [f"{len(files)} {one if len(files) == 1 else many} ({named}){more}."]
