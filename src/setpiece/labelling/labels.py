"""The record of all labels: images with their boxes, classes, and changes that know what was before and what is after.

Boxes name their class by its id, which it keeps for ever. The page counts classes instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from setpiece.errors import UsageError

__all__ = [
    "DECIMALS",
    "LEAST_LABELLED",
    "Box",
    "Category",
    "Change",
    "LabelledImage",
    "Labels",
    "Marks",
    "State",
    "add_class",
    "checked_box",
    "merge_classes",
    "remove_class",
    "rename_class",
    "set_marks",
]

State = Literal["open", "labelled", "empty"]
LEAST_LABELLED = 3  # images from which on is trained
DECIMALS = 3  # of a pixel's coordinates; what is written and read again is equal
LEAST_SIDE = 0.01  # pixels; readers of data sets drop boxes that have less


@dataclass(frozen=True)
class Category:
    """A class: its id in the COCO file, and its name."""

    id: int
    name: str


@dataclass(frozen=True)
class Box:
    """A labelled object.

    Attributes:
        corners: left, top, right, bottom in pixels of the upright image.
        category: id of its class.
        crowd: whether it stands for a group: a data set may bring such boxes.
    """

    corners: tuple[float, float, float, float]
    category: int
    crowd: bool = False


@dataclass(frozen=True)
class Marks:
    """What a person has said of an image.

    Attributes:
        state: "labelled" where every object has its box, "empty" where there is no object, "open" before that is
            confirmed.
        boxes: of the objects.
    """

    state: State = "open"
    boxes: tuple[Box, ...] = ()


@dataclass
class LabelledImage:
    """A photo and its marks.

    Attributes:
        file: path below the folder of photos, with "/".
        width: pixels, upright.
        height: likewise.
        stamp: bytes and time of change of the file when it was looked into.
        revision: counts the changes of its marks.
    """

    id: int
    file: str
    width: int
    height: int
    stamp: tuple[int, int]
    marks: Marks = field(default_factory=Marks)
    revision: int = 0


@dataclass(frozen=True)
class Change:
    """One step, which can be undone.

    Attributes:
        action: in words, as "draw box".
        images: the marks of each changed image before and after, by its id.
        classes: all classes before and after, where they change.
    """

    action: str
    images: Mapping[int, tuple[Marks, Marks]] = field(default_factory=dict)
    classes: tuple[tuple[Category, ...], tuple[Category, ...]] | None = None

    def reversed(self) -> Change:
        """What undoes it."""
        images = {id: (after, before) for id, (before, after) in self.images.items()}
        return Change(self.action, images, None if self.classes is None else (self.classes[1], self.classes[0]))


@dataclass
class Labels:
    """All images and classes.

    Attributes:
        images: by id.
        classes: in the order in which the page shows them.
        highest: the highest id of a class that ever was removed or added.
    """

    images: dict[int, LabelledImage] = field(default_factory=dict)
    classes: tuple[Category, ...] = ()
    highest: int = field(default=0, compare=False)

    def apply(self, change: Change) -> None:
        """Make a change; revisions of what it touches go up.

        Where classes leave or move, another page would count them in another way: then those of all images go up.
        """
        self.remember(change)
        for id, (_, after) in change.images.items():
            image = self.images[id]
            image.marks, image.revision = after, image.revision + 1
        if change.classes is not None:
            before = self.classes
            self.classes = change.classes[1]
            used = {box.category for image in self.images.values() for box in image.marks.boxes}
            used -= {category.id for category in self.classes}
            # Photos that came since the change was made for the first time may have brought boxes of other classes.
            self.classes = (*self.classes, *(category for category in before if category.id in used))
            if [each.id for each in self.classes][: len(before)] != [each.id for each in before]:
                for image in self.images.values():
                    image.revision += 1

    def remember(self, change: Change) -> None:
        """Keep the ids of its classes from being given again: what the detector learned of a class goes by its id."""
        self.highest = max([self.highest, *(category.id for classes in change.classes or () for category in classes)])

    def next_category(self) -> int:
        """An id for a new class."""
        return max([self.highest, *(category.id for category in self.classes)]) + 1

    def category_named(self, name: str) -> Category:
        """The class of a name, which is added where there is none. That is no step which can be undone."""
        found = next((each for each in self.classes if each.name == name), None)
        if found is None:
            found = Category(self.next_category(), name)
            self.classes = (*self.classes, found)
        return found

    def category(self, position: int) -> Category:
        """The class at a position.

        Raises:
            UsageError: there is none.
        """
        if not 0 <= position < len(self.classes):
            raise UsageError(f"There is no class {position}: there are {len(self.classes)}.")
        return self.classes[position]

    def used(self) -> dict[int, int]:
        """How many boxes each class has, by its id."""
        counts = {category.id: 0 for category in self.classes}
        for image in self.images.values():
            for box in image.marks.boxes:
                counts[box.category] += 1
        return counts

    def new_images(self, files: Iterable[tuple[str, int, int, tuple[int, int], Marks]]) -> list[LabelledImage]:
        """Take in photos: (file, width, height, stamp, marks) of each."""
        added = []
        for file, width, height, stamp, marks in files:
            image = LabelledImage(max(self.images, default=0) + 1, file, width, height, stamp, marks)
            self.images[image.id] = image
            added.append(image)
        return added


def checked_box(corners: Sequence[float], category: int, width: int, height: int, *, crowd: bool = False) -> Box:
    """A box inside an image.

    Raises:
        UsageError: it has no area, is outside the image, or is no four numbers.
    """
    if len(corners) != 4 or not all(map(math.isfinite, corners)):
        raise UsageError("A box is four numbers: left, top, right, bottom.")
    left, top, right, bottom = (round(float(value), DECIMALS) for value in corners)
    if min(left, top) < -LEAST_SIDE or right > width + LEAST_SIDE or bottom > height + LEAST_SIDE:
        raise UsageError(
            f"The box ({left:g}, {top:g}) to ({right:g}, {bottom:g}) is not inside {width} x {height} pixels."
        )
    inside = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    if min(inside[2] - inside[0], inside[3] - inside[1]) < LEAST_SIDE:
        raise UsageError(f"The box ({left:g}, {top:g}) to ({right:g}, {bottom:g}) has no area.")
    return Box(inside, category, crowd)


def set_marks(labels: Labels, id: int, state: State, boxes: Sequence[Box], action: str) -> Change:
    """Say something else of an image. One that is labelled and has no boxes is empty.

    Raises:
        UsageError: it is said to be empty and has boxes.
    """
    if state == "empty" and boxes:
        raise UsageError("An image with boxes is not empty: remove them first.")
    if state == "labelled" and not boxes:
        state = "empty"
    before, after = labels.images[id].marks, Marks(state, tuple(boxes))
    return Change(action, {id: (before, after)} if after != before else {})


def add_class(labels: Labels, name: str) -> Change:
    """One more class, the last.

    Raises:
        UsageError: the name is blank or taken.
    """
    name = _free_name(labels, name)
    new = Category(labels.next_category(), name)
    return Change(f"add class {name}", classes=(labels.classes, (*labels.classes, new)))


def rename_class(labels: Labels, position: int, name: str) -> Change:
    """Another name for a class.

    Raises:
        UsageError: there is no such class, or the name is blank or another one's.
    """
    was = labels.category(position)
    name = _free_name(labels, name, but=was)
    after = tuple(replace(each, name=name) if each is was else each for each in labels.classes)
    return Change(f"rename class {was.name} to {name}", classes=(labels.classes, after))


def merge_classes(labels: Labels, position: int, into: int) -> Change:
    """Give the boxes of a class to another one, and remove it.

    Raises:
        UsageError: there are no such classes, or both are one.
    """
    gone, kept = labels.category(position), labels.category(into)
    if gone is kept:
        raise UsageError(f"{gone.name} cannot be merged into itself: choose another class.")
    images = _with_boxes(labels, lambda box: replace(box, category=kept.id) if box.category == gone.id else box)
    return Change(f"merge class {gone.name} into {kept.name}", images, (labels.classes, _without(labels, gone)))


def remove_class(labels: Labels, position: int) -> Change:
    """Remove a class that no box has.

    Raises:
        UsageError: there is no such class, or boxes have it.
    """
    gone = labels.category(position)
    if count := labels.used()[gone.id]:
        boxes = "1 box has" if count == 1 else f"{count} boxes have"
        raise UsageError(f"{boxes} the class {gone.name}: merge it into another one, or remove them first.")
    return Change(f"remove class {gone.name}", classes=(labels.classes, _without(labels, gone)))


def _with_boxes(labels: Labels, changed: Callable[[Box], Box]) -> dict[int, tuple[Marks, Marks]]:
    after = {
        id: replace(image.marks, boxes=tuple(map(changed, image.marks.boxes))) for id, image in labels.images.items()
    }
    return {id: (labels.images[id].marks, marks) for id, marks in after.items() if marks != labels.images[id].marks}


def _without(labels: Labels, gone: Category) -> tuple[Category, ...]:
    return tuple(each for each in labels.classes if each is not gone)


def _free_name(labels: Labels, name: str, but: Category | None = None) -> str:
    name = " ".join(name.split())
    if not name:
        raise UsageError("A class needs a name.")
    if any(each.name == name for each in labels.classes if each is not but):
        raise UsageError(f"There is a class {name} already: give another name.")
    return name
