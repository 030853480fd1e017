"""The process that trains beside the server: `python -m setpiece.labelling.trainer LABELS PHOTOS`.

It reads the labels from their COCO file and takes commands as JSON lines on standard input; what it tells goes out as
JSON lines. When standard input closes it ends, wherever it is: the server is gone, and all that it writes is whole or
not there.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from setpiece.errors import DataError, SetpieceError, StoppedError
from setpiece.labelling.coco_file import LABELS, Saved, read_saved
from setpiece.labelling.examples import dataset_of, labelled_parts
from setpiece.labelling.labels import LEAST_LABELLED, LabelledImage
from setpiece.labelling.longer import Longer
from setpiece.labelling.order import by_helpfulness, uncertainty
from setpiece.labelling.rounds import Recipe, Rounds
from setpiece.labelling.seeing import Seeing, Seen
from setpiece.labelling.telling import Telling, own_output
from setpiece.model.checkpoint import Checkpoint

__all__ = ["Trainer", "main"]

NICE = 19  # how much more willing than others it is to wait for a core: the page comes first
ROUNDS_EACH = 3  # that learn the same labels, while no others come
TOGETHER = 4  # images that are looked at between two looks at the commands
LOOKED_AT = 200  # images, before new labels are learned
RANKED = 1000  # images among which the most helpful are chosen: those that the detector is most unsure of
FEATURES = 500  # labelled images whose likeness counts


class Trainer:
    """Learns, looks, and does what it is told.

    Args:
        folder: of the labels.
        photos: the folder of photos.
        recipe: how is trained.
        telling: to the server.
        commands: from it.

    Attributes:
        longer: what takes long; its `stop` may be called from another thread.
    """

    def __init__(
        self, folder: Path, photos: Path, recipe: Recipe, telling: Telling, commands: queue.SimpleQueue[dict[str, Any]]
    ) -> None:
        self._folder, self._photos, self._telling, self._commands = folder, photos, telling, commands
        self._recipe = recipe
        self._rounds = Rounds(folder / "training", recipe)
        if self._rounds.checkpoint is not None:
            recipe = replace(recipe, size=self._rounds.checkpoint.size.shortest)
        self.longer = Longer(folder / "training", photos, recipe, self._rounds.start_for, telling)
        self._sequence = 0
        self._coming: list[int] = []
        self._unusable: set[int] = set()
        self._looked: dict[int, int] = {}  # at each image in which round
        self._unsure: dict[int, float] = {}
        self._features: dict[int, np.ndarray] = {}
        self._to_do: list[dict[str, Any]] = []
        self._rounds_left = 0

    def run(self) -> None:
        """Work for ever.

        Raises:
            StoppedError: a signal came while it trained.
        """
        self._telling.tell(
            "rounds", rounds=self._rounds.rows, forecast=self._rounds.forecast(), round=self._rounds.number
        )
        self._take(wait=True)
        self.longer.resume()
        while True:
            try:
                while self._to_do:
                    self._do(self._to_do.pop(0))
                busy = self._train() | self._look() or self._train_again()
                if not busy:
                    self._telling.state(*self._idle())
            except StoppedError:
                raise
            except SetpieceError as error:
                self._telling.state("failed", str(error))
                busy = False
            self._take(wait=not busy)

    def _take(self, *, wait: bool) -> None:
        """Take the commands that are there; wait for one where there is nothing else to do."""
        while wait or not self._commands.empty():
            command = self._commands.get()
            wait = False
            if command["command"] == "labels":
                self._sequence, self._coming = command["sequence"], command["coming"]
                self._unusable = set(command["unusable"])
            else:
                self._to_do.append(command)

    def _do(self, command: Mapping[str, Any]) -> None:
        match command["command"]:
            case "second look":
                saved = self._read()
                images = [image for image in self._usable(saved) if image.marks.state != "open"]
                self.longer.second_look(dataset_of(saved.labels, self._photos, images), saved.labels.classes)
            case "final":
                self.longer.train(command)
            case "export":
                self.longer.export(command["format"])

    def _read(self) -> Saved:
        saved = read_saved(self._folder / LABELS)
        assert saved is not None  # the server wrote it before it started this process
        return saved

    def _usable(self, saved: Saved) -> list[LabelledImage]:
        return [image for id, image in saved.labels.images.items() if id not in self._unusable]

    def _train(self) -> bool:
        """A round, if there are enough labels and new ones; whether there was one."""
        if self._sequence <= self._rounds.sequence:
            return False
        self._rounds_left = ROUNDS_EACH
        return self._round()

    def _train_again(self) -> bool:
        """Another round with the same labels, if there are rounds left for them; whether there was one."""
        return self._rounds_left > 0 and self._round()

    def _round(self) -> bool:
        """A round, if there are enough labels; whether there was one."""
        self._rounds_left -= 1
        saved = self._read()
        dataset, valid = labelled_parts(saved.labels, self._photos, self._unusable)
        if len(dataset.examples) < LEAST_LABELLED or all(example.crowd.all() for example in dataset.examples):
            return False
        number, rounds = self._rounds.number + 1, self._rounds
        said = f"Round {number} learns from {len(dataset.examples)} images."
        seconds = self._recipe.round_seconds(len(dataset.examples))
        with self._telling.by_the_clock(seconds, lambda done: self._telling.state("training", said, done)):
            rounds.train(dataset, saved.labels.classes, saved.sequence)
        self._telling.state("predicting", f"Round {number} is measured on {len(valid.examples)} held-out images.")
        try:
            rounds.measure(dataset, valid)
        except DataError as error:  # a photo broke just now
            self._telling.state("predicting", f"Round {number} is not measured: {error}")
        self._telling.tell("rounds", rounds=rounds.rows, forecast=rounds.forecast(), round=rounds.number, finished=True)
        return True

    def _look(self) -> bool:
        """Look at open images that the last round has not seen, those first that come next; whether there were some."""
        saved, number = self._read(), self._rounds.number
        images = self._usable(saved)
        new = [image for image in images if self._looked.get(image.id) != number and image.marks.state == "open"]
        checkpoint = self._rounds.start_for(saved.labels.classes)
        if not new or checkpoint is None:
            return False
        seeing = Seeing(checkpoint)
        self._features |= self._of_labelled(seeing, images)
        count = 0
        for together in self._in_order(new):
            said = f"Looking at {len(new) - count} open images."
            self._telling.state("predicting", said, round(count / len(new), 3))
            count += len(together)
            found = seeing.look(self._sized(together))
            for image, seen in zip(together, found, strict=True):
                self._looked[image.id] = number
                if seen is not None:
                    self._features[image.id] = seen.features
                    self._unsure[image.id] = uncertainty(_confidences(seen))
                    self._suggest(image, seen, checkpoint, saved)
            self._take(wait=False)
            if self._to_do or (self._sequence > self._rounds.sequence and count >= LOOKED_AT):
                break
        self._rank(images)
        return True

    def _in_order(self, images: Sequence[LabelledImage]) -> Iterator[list[LabelledImage]]:
        """A few at a time: those that come next, as the server says meanwhile, then the others.

        Of the others those come first that were not looked at for the longest time: so all get their turn, where new
        labels end each look early.
        """
        left = {image.id: image for image in sorted(images, key=lambda image: self._looked.get(image.id, -1))}
        while left:
            first = [id for id in self._coming if id in left]
            yield [left.pop(id) for id in [*first, *(id for id in left if id not in first)][:TOGETHER]]

    def _suggest(self, image: LabelledImage, seen: Seen, checkpoint: Checkpoint, saved: Saved) -> None:
        ids = {category.name: category.id for category in saved.labels.classes}
        found = seen.detections
        names = () if found.class_id is None else (checkpoint.classes[label] for label in found.class_id)
        boxes = [
            {"box": [round(value, 2) for value in box], "category": ids[name], "score": round(float(score), 4)}
            for box, name, score in zip(found.xyxy.tolist(), names, _confidences(seen), strict=True)
        ]
        self._telling.tell("suggestions", image=image.id, round=self._rounds.number, boxes=boxes)

    def _of_labelled(self, seeing: Seeing, images: Sequence[LabelledImage]) -> dict[int, np.ndarray]:
        """Features of labelled images that were not looked at while they were open."""
        lacking = [each for each in images if each.marks.state != "open" and each.id not in self._features][:FEATURES]
        found: dict[int, np.ndarray] = {}
        for start in range(0, len(lacking), TOGETHER):
            together = lacking[start : start + TOGETHER]
            seen = seeing.look(self._sized(together))
            found |= {image.id: each.features for image, each in zip(together, seen, strict=True) if each is not None}
        return found

    def _sized(self, images: Sequence[LabelledImage]) -> list[tuple[Path, tuple[int, int]]]:
        return [(self._photos / image.file, (image.height, image.width)) for image in images]

    def _rank(self, images: Sequence[LabelledImage]) -> None:
        """Tell the order of the open images that were looked at, in this round or before."""
        still = [image.id for image in images if image.marks.state == "open" and image.id in self._unsure]
        ids = sorted(still, key=lambda id: -self._unsure[id])[:RANKED]
        labelled = [image.id for image in images if image.marks.state != "open" and image.id in self._features]
        if not ids:
            return
        features = np.stack([self._features[id] for id in ids])
        of_labelled = np.stack([self._features[id] for id in labelled]) if labelled else features[:0]
        order = by_helpfulness(np.array([self._unsure[id] for id in ids]), features, of_labelled)
        self._telling.tell("order", next=[ids[i] for i in order])

    def _idle(self) -> tuple[str, str]:
        if self._rounds.checkpoint is None:
            return "waiting", f"Training starts with {LEAST_LABELLED} labelled images."
        return "idle", "All labels are learned."


def _confidences(seen: Seen) -> np.ndarray:
    return np.zeros(0) if seen.detections.confidence is None else seen.detections.confidence.astype(np.float64)


def _listen(commands: queue.SimpleQueue[dict[str, Any]], stop: Callable[[str], None]) -> None:
    for line in sys.stdin:
        command = json.loads(line)
        if command.get("stopped"):
            stop(command["id"])
        commands.put(command)
    os._exit(0)  # the server is gone


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(prog="python -m setpiece.labelling.trainer")
    parser.add_argument("folder", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--size", type=int)
    parser.add_argument("--seconds", type=float)
    given = parser.parse_args(arguments)
    telling = Telling(own_output())
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    os.nice(NICE)
    logging.basicConfig(format="%(message)s")
    signal.signal(signal.SIGINT, lambda *_: None)  # it stops a long training, and nothing else
    recipe = Recipe(given.model, given.size, given.seconds)
    trainer = Trainer(given.folder, given.photos, recipe, telling, commands)
    threading.Thread(target=_listen, args=(commands, trainer.longer.stop), daemon=True).start()
    with suppress(StoppedError):  # by a signal to this process: the next one goes on
        trainer.run()


if __name__ == "__main__":
    main()
