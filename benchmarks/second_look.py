"""What a second look at labels finds: errors are planted into right ones, and the list is read from the top.

    python benchmarks/second_look.py DATA... [--minutes 2] [--each 30] [--seed 0]

Into a copy of the training labels of each DATA go so many errors of each kind, each at an object of its own:

    class      another class
    unseen     a label where nothing is: of the size of some object, on no other label
    missing    a label removed
    off        a box moved and scaled, to an IoU of 0.3 to 0.5 with what it was, and to less than 0.3 with any other

Then two detectors are trained, each for `--minutes` on one half of the images, and judge the other half, as the trainer
of `setpiece label` does. A row of the list counts if it names a planted error: its image, its kind, and its place, by
an IoU of at least 0.5 with the label in question, for "missing" with the one that was removed.

Precision is the share of rows that count; recall the share of errors that are named: 50 rows cannot name more than 50.
The labels have errors of their own, so precision is a lower bound.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from labelling import overlap
from setpiece.data import Dataset, open_dataset
from setpiece.inference.label_errors import Suspect, suspects
from setpiece.inference.predictor import Predictor
from setpiece.labelling.rounds import Recipe
from setpiece.training.studies import out_of_fold

KINDS = ("class", "unseen", "missing", "off")
ROWS = (50, 120)
OFF = (0.3, 0.5)  # IoU with what the box was
SAME = 0.5  # IoU: of one place

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Planted:
    """An error: its box is the label in question, or the one that was removed."""

    kind: str
    image: int
    box: Box


@dataclass
class Labels:
    """Of one image, to be changed."""

    width: int
    height: int
    boxes: list[Box]
    classes: list[int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--minutes", type=float, default=2.0, help="of training, for each half")
    parser.add_argument("--model", default="sprint-n")
    parser.add_argument("--each", type=int, default=30, help="errors of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"| data | first rows | precision | recall | {' | '.join(KINDS)} |\n|---|---|---|---|{'---|' * len(KINDS)}")
    for data in options.data:
        dataset, planted = plant(open_dataset(data, "train"), options.each, random.Random(options.seed))
        found = look(dataset, options)
        for rows in (*ROWS, len(found)):
            print(f"| {data.name} | {describe(found[:rows], planted)} |", flush=True)


def plant(dataset: Dataset, each: int, chance: random.Random) -> tuple[Dataset, list[Planted]]:
    """The data set with so many errors of each kind, and where they are."""
    images = {
        example.image_id: Labels(
            example.width, example.height, [as_box(box) for box in example.boxes_xyxy], example.labels.tolist()
        )
        for example in dataset.examples
        if not example.crowd.any()
    }
    objects = [(image, box) for image, of in images.items() for box in of.boxes]
    chance.shuffle(objects)
    errors: list[Planted] = []
    for kind in KINDS:
        while sum(error.kind == kind for error in errors) < each:
            image, box = objects.pop()
            if (there := spoil(images[image], box, kind, len(dataset.classes), chance)) is not None:
                errors.append(Planted(kind, image, there))
    examples = []
    for example in dataset.examples:
        if (of := images.get(example.image_id)) is not None:
            boxes = np.array(of.boxes, np.float32).reshape(-1, 4)
            example = replace(
                example,
                boxes_xyxy=boxes,
                labels=np.array(of.classes, np.int64),
                crowd=np.zeros(len(boxes), np.bool_),
                areas=(boxes[:, 2:] - boxes[:, :2]).prod(1),
            )
        examples.append(example)
    return replace(dataset, examples=tuple(examples)), errors


def spoil(labels: Labels, box: Box, kind: str, classes: int, chance: random.Random) -> Box | None:
    """Make an error of one object; the box of the label in question, None where this object is not fit for it."""
    at = labels.boxes.index(box)
    others = [other for other in labels.boxes if other != box]
    match kind:
        case "class":
            labels.classes[at] = chance.choice([label for label in range(classes) if label != labels.classes[at]])
            return box
        case "missing":
            del labels.boxes[at], labels.classes[at]
            return box
        case "unseen":
            for place in anywhere(labels, box, chance):
                if not any(overlap(place, other) for other in labels.boxes):
                    labels.boxes.append(place)
                    labels.classes.append(labels.classes[at])
                    return place
        case "off":
            for place in beside(labels, box, chance):
                if OFF[0] <= overlap(place, box) <= OFF[1] and all(overlap(place, b) < OFF[0] for b in others):
                    labels.boxes[at] = place
                    return place
    return None


def anywhere(labels: Labels, box: Box, chance: random.Random, tries: int = 200) -> Iterator[Box]:
    """Boxes of one size all over an image."""
    width, height = box[2] - box[0], box[3] - box[1]
    for _ in range(tries):
        left, top = chance.uniform(0, labels.width - width), chance.uniform(0, labels.height - height)
        yield left, top, left + width, top + height


def beside(labels: Labels, box: Box, chance: random.Random, tries: int = 200) -> Iterator[Box]:
    """Boxes that are moved by up to half a side, and scaled by up to 1.5."""
    for _ in range(tries):
        sides = [(box[2] - box[0]), (box[3] - box[1])]
        x, y = ((box[i] + box[i + 2]) / 2 + chance.uniform(-0.5, 0.5) * sides[i] for i in (0, 1))
        width, height = (side * 1.5 ** chance.uniform(-1, 1) for side in sides)
        place = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        if min(place) >= 0 and place[2] <= labels.width and place[3] <= labels.height:
            yield place


def look(dataset: Dataset, options: argparse.Namespace) -> list[Suspect]:
    """The list of the trainer of `setpiece label`."""
    config = Recipe(options.model).config(dataset, 60 * options.minutes)
    found: list[Suspect] = []
    for checkpoint, unseen, _ in out_of_fold(config, dataset):
        found += suspects(Predictor(checkpoint), unseen)
    return sorted(found, key=lambda each: -each.doubt)


def describe(rows: Sequence[Suspect], planted: Sequence[Planted]) -> str:
    """Precision and recall of some rows, and for each kind how many errors are named, in how many rows of it."""
    right = sum(any(names(row, error) for error in planted) for row in rows)
    named = [error for error in planted if any(names(row, error) for row in rows)]
    cells = [str(len(rows)), f"{right / len(rows):.2f}", f"{len(named) / len(planted):.2f}"]
    for kind in KINDS:
        of_kind = sum(error.kind == kind for error in named)
        cells.append(f"{of_kind} in {sum(row.check == f'labels.{kind}' for row in rows)}")
    return " | ".join(cells)


def names(row: Suspect, error: Planted) -> bool:
    """Whether a row is about a planted error."""
    box = row.place.box_xyxy
    assert box is not None
    same = row.check == f"labels.{error.kind}" and row.image_id == error.image
    return same and overlap(box, error.box) >= SAME


def as_box(row: np.ndarray) -> Box:
    left, top, right, bottom = row.tolist()
    return left, top, right, bottom


if __name__ == "__main__":
    main()
